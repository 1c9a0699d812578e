"""How the number of replicas follows the load: every figure of the autoscaler, computed from the plan.

Three things decide. What a replica carries within the latency limits is the most that it may be given. How long a
replica takes to be ready is how far ahead the autoscaler has to act. And a wrong step costs: money for a replica that
nobody needs, waiting for one that is missing; keeping a spare replica for about as long as a start takes costs at most
twice what the best choice in hindsight would have (the break-even rule of rent-or-buy problems).

The Horizontal Pod Autoscaler (KEDA makes one too) aims for `threshold` a replica on average and acts once the average is
more than TOLERANCE from it.
"""

import math
from typing import Literal

from homeport.errors import Problem, SpecError
from homeport.planning.scaling_checks import impossible, in_flight_at_peak
from homeport.planning.scaling_types import TOLERANCE, Scaling, Setting
from homeport.planning.types import ModelPlan
from homeport.planning.workload import SECONDS_A_DAY, peak_to_mean

SYNC_S = 15
"""Seconds between two looks of the HPA (kube-controller-manager's default sync period)."""
SCRAPE_S = 15
"""Seconds between two scrapes of a replica: what the rendered PodMonitor asks for."""
RATE_WINDOW_S = 120
"""Window of a request rate: four scrapes even where Prometheus scrapes every 30 s."""
LONGEST_WINDOW_S = 3600
"""The API's limit of stabilizationWindowSeconds."""
LONGEST_PERIOD_S = 1800
"""The API's limit of a policy's periodSeconds."""
UNKNOWN_START_S = 300
"""Where the start-up time is unknown: Kubernetes' default scale-down window."""
SURE_SHARE = 10
"""Being sure before a start may take a tenth of the start (an assumption)."""
LONGEST_SURE_S = 60
"""... and no longer than a minute: somebody waits (an assumption)."""
RISE_S = 3600
"""Where no day profile says it: the load rises from its mean to its peak within an hour (an assumption)."""
MOST_HEADROOM = 0.5
"""Never more than half of a replica is kept free for growth (an assumption)."""
WHOLE_FROM = 20
"""Thresholds of fewer requests have a decimal: without it, rounding would cost more than 5 % of the replicas."""
FALLBACK_AFTER_S = 60
"""Prometheus may be away for a minute before the fallback counts: about a restart (an assumption)."""
LEAST_POLL_S = 5
DEFAULT_POLL_S = 30
"""KEDA's default pollingInterval."""


def scaling(model: ModelPlan) -> Scaling | None:
    """Every figure of the model's autoscaler; None where the number of replicas is fixed.

    Raises SpecError, with paths below the model's spec, where the engine shows nothing to scale on or an override cannot
    work.
    """
    by = model.spec.scaling.by
    if by == "none" or model.fixed_replicas or model.replicas_min >= model.replicas_max:
        return None
    made = _Computed(model).all(by)
    problems = [*impossible(model, made)]
    if problems:
        raise SpecError(problems)
    return made


class _Computed:
    """The figures of one model, each from those before it."""

    def __init__(self, model: ModelPlan) -> None:
        self.model = model
        self.asked = model.spec.scaling
        self.real = model.stands_for or model
        self.metrics = model.engine.metrics
        self.by_rate = self.metrics.waiting is None or self.metrics.running is None
        if self.by_rate and self.metrics.requests_total is None:
            raise SpecError(
                [
                    Problem(
                        message=f"{model.engine.engine} {model.engine.version} has no series that an autoscaler could follow",
                        path=("scaling", "by"),
                        value=self.asked.by,
                        help="set scaling.by to none",
                    )
                ]
            )
        startup = model.startup
        self.ready = math.ceil(startup.ready_s) if startup else UNKNOWN_START_S
        self.worst = math.ceil(startup.ready_s_interval[1]) if startup else UNKNOWN_START_S
        self.start_source = "the start-up above" if startup else "start-up time unknown: Kubernetes' default"
        self.planned = max(1, model.replicas_planned)

    def all(self, by: Literal["keda", "hpa"]) -> Scaling:
        model, asked = self.model, self.asked
        self.up_window = self._up_window()
        self.reaction = self._reaction()
        self.rise, self.fall, self.day, self.day_assumed = _steepest(model)
        self.headroom = self._headroom()
        down, threshold = self._down_window(), self._threshold()
        to_zero = by == "keda" and model.replicas_min == 0
        polling = self._polling() if to_zero else None
        return Scaling(
            by=by,
            signal="rate" if self.by_rate else "in_flight",
            least=model.replicas_min,
            most=model.replicas_max,
            threshold=threshold,
            at_peak=self._at_peak(threshold.value),
            kv_cache=self._kv_cache(),
            up_window=self.up_window,
            up_step=self._up_step(),
            up_period=Setting(
                value=_within(self.ready, SYNC_S, LONGEST_PERIOD_S),
                unit="s",
                why="one start; until its replicas are ready a step does not show, and the queue asks for too many",
                source=self.start_source,
            ),
            down_window=down,
            down_step=self._down_step(down.value),
            down_period=Setting(
                value=_within(down.value, SYNC_S, LONGEST_PERIOD_S),
                unit="s",
                why="the scale-down window",
                source="the figure above",
            ),
            fallback_replicas=self._fallback() if by == "keda" else None,
            fallback_failures=self._failures(polling) if by == "keda" else None,
            wake=asked.wake if to_zero else None,
            polling=polling,
            cooldown=self._cooldown(down.value) if to_zero else None,
            reaction=self.reaction,
            headroom=self.headroom,
            idle=self._idle(down.value),
            short=self._short(),
        )

    def _up_window(self) -> Setting:
        if (given := self.asked.scale_up_stabilization_s) is not None:
            return _given(given, "s")
        return Setting(
            value=min(LONGEST_SURE_S, self.ready // SURE_SHARE),
            unit="s",
            why=f"a tenth of {self.ready} s to ready, at most {LONGEST_SURE_S} s; a spike of one scrape starts nothing",
            source=self.start_source,
            assumption=True,
        )

    def _reaction(self) -> Setting:
        window = int(self.up_window.value)
        return Setting(
            value=SCRAPE_S + SYNC_S + window + self.ready,
            unit="s",
            why=f"{SCRAPE_S} s to a scrape + {SYNC_S} s to a look of the HPA + {window} s to be sure + {self.ready} s to ready",
            source="the PodMonitor's interval, kube-controller-manager's default, " + self.start_source,
        )

    def _headroom(self) -> Setting:
        capacity = self.real.capacity
        if capacity is None or capacity.requests_per_s <= 0:
            return Setting(
                value=0.0,
                unit="of a replica",
                why="what a replica carries is unknown, so nothing is kept free",
                source="the plan",
                assumption=True,
            )
        holds = self.planned * capacity.requests_per_s
        share = self.rise * self.reaction.value / holds
        most, limit = MOST_HEADROOM, f"; at most {MOST_HEADROOM:g}"
        left = self._left_at_peak()
        if left is not None and left < most:
            most = left
            limit = f"; at most the {left:.2g} that the planned replicas have left at the peak, after which nothing grows"
        return Setting(
            value=min(most, share),
            unit="of a replica",
            why=f"the load grows by {self.rise * 60:.3g} requests/s a minute, for {self.reaction.value / 60:.3g} min; "
            f"what is planned carries {holds:.3g} requests/s" + (limit if share > most else ""),
            source=self.day,
            assumption=self.day_assumed,
        )

    def _threshold(self) -> Setting:
        unit = "requests/s" if self.by_rate else "requests running and waiting"
        if (given := self.asked.threshold) is not None:
            return _given(given, unit)
        capacity, free = self.real.capacity, self.headroom.value
        if capacity is None:
            if self.by_rate:
                return Setting(
                    value=self.model.peak_requests_per_s / self.planned,
                    unit=unit,
                    why=f"capacity of a replica unknown: the peak's {self.model.peak_requests_per_s:.3g} requests/s, shared "
                    f"by {self.planned} planned",
                    source="the spec's workload",
                    assumption=True,
                )
            return Setting(
                value=1,
                unit=unit,
                why="capacity of a replica unknown: one request at a time",
                source="nothing better is known",
                assumption=True,
            )
        # Running and waiting grow together with the load; what is kept free is a share of both.
        carries = capacity.requests_per_s if self.by_rate else capacity.concurrency
        exact = carries / TOLERANCE * (1 - free)
        each = (self._load_at_peak() or 0.0) / self.planned
        # An average over replicas need not be whole: rounding 1.8 down to 1 would ask for almost twice the replicas.
        digits = 0 if exact >= WHOLE_FROM else 1
        least = (
            "" if self.by_rate or exact >= 1 else "; at least 1: one request alone asks for no second replica"
        )
        value = exact if self.by_rate else max(1, math.floor(exact * 10**digits) / 10**digits)
        if value * TOLERANCE < each <= carries:
            # Rounded down it would ask for one replica more than the plan buys for the peak.
            up = math.ceil(exact * 10**digits) / 10**digits
            value = up if up * TOLERANCE <= carries else math.ceil(exact * 1000) / 1000
        return Setting(
            value=value,
            unit=unit,
            why=f"{carries:.3g} keep the latency limits; / {TOLERANCE:g}: the HPA acts 10 % above its target; x {1 - free:.3g}: "
            f"the rest is kept free for growth{least}",
            source="the largest load of a replica above",
        )

    def _load_at_peak(self) -> float | None:
        """The peak in the signal's unit, on all replicas together."""
        return self.model.peak_requests_per_s if self.by_rate else in_flight_at_peak(self.real)

    def _left_at_peak(self) -> float | None:
        """The share of a planned replica that is free at the peak, which the plan has bought enough for."""
        capacity, load = self.real.capacity, self._load_at_peak()
        if capacity is None or load is None:
            return None
        carries = capacity.requests_per_s if self.by_rate else capacity.concurrency
        return max(0.0, 1 - load / self.planned / carries)

    def _at_peak(self, threshold: float) -> Setting | None:
        """The HPA leaves the planned replicas alone as long as their load is within its tolerance."""
        load = self._load_at_peak()
        if load is None:
            return None
        unit = "requests/s" if self.by_rate else "requests in flight"
        each = load / self.planned
        stays = threshold / TOLERANCE <= each <= threshold * TOLERANCE
        needed = self.planned if stays else max(1, math.ceil(load / threshold - 1e-9))
        return Setting(
            value=_within(needed, self.model.replicas_min, self.model.replicas_max),
            unit="replicas",
            why=f"{load:.3g} {unit} on {self.planned} planned are {each:.3g} a replica; "
            + (
                f"that is within 10 % of {threshold:.3g}, where the HPA stays"
                if stays
                else f"at {threshold:.3g} each, {needed} would share them; "
                f"{self.model.replicas_min} to {self.model.replicas_max} may run"
            ),
            source="the peak and the speed above",
        )

    def _kv_cache(self) -> Setting | None:
        if self.metrics.kv_cache_usage is None:
            return None
        if (given := self.asked.kv_cache_usage) is not None:
            return _given(given, "of the KV cache")
        return Setting(
            value=math.floor((1 - self.headroom.value) / TOLERANCE * 100) / 100,
            unit="of the KV cache",
            why=f"a full cache; / {TOLERANCE:g}: the HPA acts 10 % above its target; x {1 - self.headroom.value:.3g}: the rest is "
            "kept free for growth",
            source="a guard: requests longer than the mean fill the cache before there are many",
        )

    def _up_step(self) -> Setting:
        if (given := self.asked.scale_up_step) is not None:
            return _given(given, "replicas")
        grown = self._replicas_for(self.rise * self.reaction.value)
        missing = self.planned - max(1, self.model.replicas_min)
        value = max(1, grown, missing)
        return Setting(
            value=value,
            unit="replicas",
            why=f"the most of 1, {grown} for the growth during one start, and {missing} from the least to the planned",
            source="being short costs more than a start",
            assumption=self.day_assumed,
        )

    def _down_window(self) -> Setting:
        if (given := self.asked.scale_down_stabilization_s) is not None:
            return _given(given, "s")
        longest = math.ceil(self.model.launch.longest_request_s)
        options = [
            (self.worst, f"a replica that was taken away is back after {self.worst} s at worst"),
            (longest, f"one request may take {longest} s: a pause between two is no fall of the load"),
            (
                4 * SCRAPE_S,
                f"four scrapes of {SCRAPE_S} s: a replica that misses one keeps its requests counted",
            ),
        ]
        if self.by_rate:
            options.append((RATE_WINDOW_S, f"the window of the request rate, {RATE_WINDOW_S} s"))
        value, why = max(options, key=lambda option: option[0])
        limited = f", at most {LONGEST_WINDOW_S} s (the API's limit)" if value > LONGEST_WINDOW_S else ""
        return Setting(
            value=min(LONGEST_WINDOW_S, value),
            unit="s",
            why=why + limited,
            source=self.start_source
            + "; idling as long as a start takes costs at most twice the best choice",
        )

    def _down_step(self, window: float) -> Setting:
        if (given := self.asked.scale_down_step) is not None:
            return _given(given, "replicas")
        fallen = self._replicas_for(self.fall * window)
        return Setting(
            value=max(1, fallen),
            unit="replicas",
            why=f"the most of 1 and {fallen}, as the load falls in {window:g} s where it falls fastest",
            source=self.day,
            assumption=self.day_assumed,
        )

    def _replicas_for(self, requests_per_s: float) -> int:
        capacity = self.real.capacity
        if capacity is None or capacity.requests_per_s <= 0:
            return 0
        return math.ceil(requests_per_s / capacity.requests_per_s - 1e-9)

    def _fallback(self) -> Setting:
        if (given := self.asked.fallback_replicas) is not None:
            return _given(given, "replicas")
        least, most = max(1, self.model.replicas_min), self.model.replicas_max
        return Setting(
            value=max(least, min(self.planned, most)),
            unit="replicas",
            why=f"as planned for the peak ({self.planned}), from {least} to {most}; more that run already stay",
            source="the planned replicas above",
        )

    def _failures(self, polling: Setting | None) -> Setting:
        if (given := self.asked.fallback_failures) is not None:
            return _given(given, "readings")
        readings, how = FALLBACK_AFTER_S // SYNC_S, f"the HPA reads every {SYNC_S} s"
        if polling is not None:
            readings = math.floor(FALLBACK_AFTER_S / SYNC_S + FALLBACK_AFTER_S / polling.value)
            how += f" and KEDA every {polling.value:g} s"
        return Setting(
            value=readings - 1,
            unit="readings",
            why=f"the next one counts; that is {FALLBACK_AFTER_S} s, about a restart of Prometheus; {how}",
            source="KEDA counts the failed readings of each trigger",
            assumption=True,
        )

    def _polling(self) -> Setting:
        if (given := self.asked.polling_interval_s) is not None:
            return _given(given, "s")
        return Setting(
            value=_within(self.ready // SURE_SHARE, LEAST_POLL_S, DEFAULT_POLL_S),
            unit="s",
            why=f"a tenth of {self.ready} s to ready, from {LEAST_POLL_S} s to KEDA's default of {DEFAULT_POLL_S} s",
            source=self.start_source,
            assumption=True,
        )

    def _cooldown(self, window: float) -> Setting:
        if (given := self.asked.cooldown_s) is not None:
            return _given(given, "s")
        return Setting(
            value=window,
            unit="s",
            why="the scale-down window; whoever comes after it waits for a whole start",
            source="the figure above",
        )

    def _idle(self, window: float) -> Setting | None:
        """What a replica that nobody needs costs until it is taken away."""
        nodes = self.real.nodes
        if nodes is None or nodes.price is None:
            return None
        share = self.real.gpus_per_replica / nodes.gpus_per_node
        hour = float(nodes.price.usd_per_hour) * share
        return Setting(
            value=hour * window / 3600,
            unit="USD",
            why=f"${hour:,.2f} an hour ({share:g} x a node at ${nodes.price.usd_per_hour}) x {window:g} s",
            source=nodes.price.source,
            assumption=nodes.price.assumed is not None,
        )

    def _short(self) -> Setting | None:
        """How many requests wait, beyond what the limits allow, if a replica is missing at the peak."""
        capacity = self.real.capacity
        if capacity is None:
            return None
        missing = min(capacity.requests_per_s, self.model.peak_requests_per_s / self.planned)
        limit = self.model.spec.latency.ttft_ms / 1000
        return Setting(
            value=missing * self.reaction.value,
            unit="requests late",
            why=f"{missing:.3g} requests/s x {self.reaction.value:g} s; each waits up to {self.reaction.value:g} s for its first "
            f"token, not {limit:g} s",
            source="the peak, and the reaction above",
        )


def _steepest(model: ModelPlan) -> tuple[float, float, str, bool]:
    """How fast the load rises and falls at most, requests/s a second; where that comes from, and whether it is assumed."""
    work = model.spec.workload
    mean = work.requests_per_day / SECONDS_A_DAY
    if work.day_profile is not None:
        hours = work.day_profile
        steps = [
            (after - before) / sum(hours) * work.requests_per_day / 3600
            for before, after in zip(hours, (*hours[1:], hours[0]), strict=True)
        ]
        return max(steps) / 3600, max(0.0, -min(steps)) / 3600, "the day profile's steepest hours", False
    change = mean * (peak_to_mean(work) - 1) / RISE_S
    return change, change, "assumed: from the mean to the peak, and back, within an hour", True


def _given(value: float, unit: str) -> Setting:
    return Setting(value=value, unit=unit, why="as written", source="the spec", given=True)


def _within(value: float, least: float, most: float) -> float:
    return max(least, min(most, value))
