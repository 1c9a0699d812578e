"""Measured runs and the candidates that they speak of: what a plan takes from a file of measurements."""

import math
import statistics
from pathlib import Path
from typing import Any

import msgspec

from homeport.catalog.architecture_types import Architecture
from homeport.catalog.gpus import gpu
from homeport.engines import registry
from homeport.errors import HomeportError
from homeport.planning import precision
from homeport.planning.candidates import Candidate, Question
from homeport.planning.types import ModelPlan, ModelSource
from homeport.sizing.measured import SPEEDS, Found, MemoryKnown, Point, Trend, predicted_run, shrunk
from homeport.sizing.measurements import Run, read_measurements
from homeport.sizing.types import Load, Settings, Start

KV_NAMES = {"fp8_e4m3": "fp8", "bfloat16": "bf16", "float16": "fp16"}


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """All that the runs say of one candidate."""

    trends: dict[str, Trend]
    memory: MemoryKnown | None
    start: Found | None

    @property
    def own(self) -> bool:
        """Whether runs of the very configuration are among them, in whatever version of the engine."""
        return self.memory is not None or any(t.points or t.versions for t in self.trends.values())


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that runs are of."""

    id: str
    architecture: Architecture
    context_tokens: int | None
    weights_gib: float | None


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its model found: the settings that it had, and its ratios to the prediction (logarithms)."""

    run: Run
    configuration: tuple[Any, ...]
    settings: Settings
    ratios: dict[str, float]
    in_flight: float
    tokens: int | None
    start: float | None


class Evidence:
    """The runs of one file, and what they say of candidates. Each run's prediction is made once."""

    def __init__(self, file: str, base_dir: Path) -> None:
        """Read `file`, a path from `base_dir`. Raises SpecError with the lines of what is wrong in it."""
        path = base_dir / file
        self.file = _short(file)
        self._folder = path.parent
        self.runs = read_measurements(path, self.file)
        self._sources: dict[str, ModelSource] = {}
        self._models: dict[str, _Model | None] = {}
        self._known: dict[int, _Known | None] = {}
        self._made: dict[tuple[Any, ...], Correction] = {}
        self._by_setup: dict[tuple[str, str], list[int]] = {}
        for index, run in enumerate(self.runs):
            self._by_setup.setdefault((run.engine, gpu(run.gpu).id), []).append(index)

    def learn(self, source: ModelSource) -> None:
        """Remember a model that the plan has found: its runs need no second look-up."""
        if source.checkpoint.lower() in self._sources:
            return
        for name in (source.checkpoint, source.local_path):
            if name:
                self._sources[name.lower()] = source
        self._models.clear()
        self._known = {index: known for index, known in self._known.items() if known is not None}
        self._made.clear()

    def unknown_models(self) -> list[str]:
        """Models of runs that are neither in the catalog nor in the plan, so that nothing can be predicted for them."""
        names = dict.fromkeys(run.checkpoint or run.model for run in self.runs)
        return [name for name in names if self._model(name) is None]

    def remarks(self, plan: ModelPlan) -> list[str]:
        """What the user may have expected of the runs and did not get."""
        found = []
        if plan.gpu is not None and any(t.capped and t.basis != "others" for t in plan.measured):
            found.append(
                f"{self.file}: runs are faster than a {plan.gpu.id}'s data sheet allows, and are held there: another GPU, a "
                "prefix cache or speculative decoding?"
            )
        if not plan.measured and plan.gpu is not None:
            found.append(
                f"{self.file}: no run is of {plan.engine.engine} on {plan.gpu.id}: this plan is predicted, not measured"
            )
        if unknown := self.unknown_models():
            found.append(
                f"{self.file}: runs of {', '.join(unknown)} are left out: a model that is neither in the spec nor in the "
                "catalog has no prediction to compare with"
            )
        return found

    def correction(
        self, question: Question, source: ModelSource, storage: str, candidate: Candidate
    ) -> Correction:
        """Return what the runs say of a candidate of the model `source`, whose weights lie in `storage`."""
        release, card = question.release, candidate.gpu
        mine = (
            source.checkpoint,
            release.engine,
            release.version,
            card.id,
            candidate.settings.tensor_parallel_size,
            candidate.settings.pipeline_parallel_size,
            candidate.settings.nodes,
            candidate.precision.label,
            _kv_name(question.kv_cache_dtype, source.architecture),
        )
        key = (mine, candidate.settings, storage)
        if key not in self._made:
            self._made[key] = self._correction(mine, candidate.settings, storage)
        return self._made[key]

    def _correction(self, mine: tuple[Any, ...], settings: Settings, storage: str) -> Correction:
        _, engine, _, card, *_ = mine
        related = [
            known
            for index in self._by_setup.get((engine, card), ())
            if (known := self._of(index, self.runs[index])) is not None
        ]
        same = [known for known in related if known.configuration == mine]
        others = [known for known in related if known.configuration != mine]
        versions = [known for known in others if _but_version(known.configuration) == _but_version(mine)]
        trends = {name: _trend(name, same, versions, others) for name in SPEEDS}
        return Correction(
            trends={name: trend for name, trend in trends.items() if trend is not None},
            memory=_memory(same, settings) or _memory_of_versions(versions),
            start=_start(same, others, storage),
        )

    def _model(self, name: str) -> _Model | None:
        if name not in self._models:
            self._models[name] = self._look_up(name)
        return self._models[name]

    def _look_up(self, name: str) -> _Model | None:
        from homeport.catalog.architecture import architecture
        from homeport.catalog.resolve import resolve
        from homeport.planning.sources import sized

        source = self._sources.get(name.lower())
        if source is None:
            try:
                found = resolve(name, base_dir=self._folder, offline=True)
                source = self._sources.get((found.local_path or found.id).lower())
                if source is None:
                    arch = architecture(sized(found), found.id)
                    size = found.weight_bytes or arch.weight_bytes
                    return _Model(
                        id=found.id,
                        architecture=arch,
                        context_tokens=found.context_tokens,
                        weights_gib=size / 2**30 if size else None,
                    )
            except HomeportError:
                return None
        return _Model(
            id=source.checkpoint,
            architecture=source.architecture,
            context_tokens=source.context_tokens,
            weights_gib=source.weight_bytes / 2**30,
        )

    def _of(self, index: int, run: Run) -> _Known | None:
        if index not in self._known:
            model = self._model(run.checkpoint or run.model)
            self._known[index] = _predicted(run, model) if model else None
        return self._known[index]


def _short(file: str) -> str:
    """The path from the current folder, where the file lies below it; a command's option gives it in full."""
    path = Path(file)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _kv_name(name: str | None, arch: Architecture) -> str:
    """The type of the cache under one name: the weights' own is "auto"."""
    if name is None:
        return "auto"
    short = KV_NAMES.get(name, name)
    return "auto" if short == precision.SIXTEEN_BIT.get(arch.dtype) and arch.quantization is None else short


def _predicted(run: Run, model: _Model) -> _Known | None:
    """The run with its prediction; None where its precision cannot be had from the checkpoint."""
    from homeport.sizing.memory import size
    from homeport.sizing.startup import predict_startup

    card, arch = gpu(run.gpu), model.architecture
    wanted = run.precision or "auto"
    if precision.check(wanted, arch, model.id, ()) is not None:
        return None
    stored = precision.asked(wanted, arch, card)
    kv = _kv_name(run.kv_cache_dtype, arch)
    fraction = run.settings.gpu_memory_utilization
    settings = Settings(
        engine=run.engine,
        engine_version=run.engine_version,
        tensor_parallel_size=run.tensor_parallel_size,
        pipeline_parallel_size=run.pipeline_parallel_size,
        nodes=run.nodes,
        weight_dtype=stored.weight_dtype,
        quantization=stored.quantization,
        kv_cache_dtype=kv,
        gpu_memory_utilization=_default_fraction(run) if fraction is None else fraction,
        max_model_len=run.settings.max_model_len or model.context_tokens,
        max_num_batched_tokens=run.settings.max_num_batched_tokens,
        max_num_seqs=run.settings.max_num_seqs,
    )
    memory = size(arch, card, settings)
    tokens = run.measured.kv_cache_tokens or (memory.kv_cache_tokens if memory.fits else None)
    ratios: dict[str, float] = {}
    in_flight = 1.0
    if run.workload is not None and any(getattr(run.measured, name) is not None for name in SPEEDS):
        load = Load(
            input_tokens=run.workload.input_tokens,
            output_tokens=run.workload.output_tokens,
            concurrency=run.workload.concurrency,
        )
        expected, in_flight = predicted_run(arch, card, settings, load, tokens)
        for name, value in _speeds(run, load, expected["ttft_ms"]).items():
            ratios[name] = math.log(value / expected[name])
    start = None
    if run.measured.ready_s is not None and run.storage is not None:
        how = Start(storage=run.storage, weights_gib_total=model.weights_gib)
        expected_s = predict_startup(arch, card, settings, how).ready_s
        start = math.log(run.measured.ready_s / expected_s)
    return _Known(
        run=run,
        configuration=(
            model.id,
            run.engine,
            run.engine_version,
            card.id,
            run.tensor_parallel_size,
            run.pipeline_parallel_size,
            run.nodes,
            stored.label,
            kv,
        ),
        settings=settings,
        ratios=ratios,
        in_flight=in_flight,
        tokens=memory.kv_cache_tokens,
        start=start,
    )


def _default_fraction(run: Run) -> float | None:
    """The share of memory that the engine takes unless told otherwise; None: a version that nobody knows here."""
    try:
        return registry.release(run.engine, run.engine_version).default_memory_fraction
    except HomeportError:
        return None


def _speeds(run: Run, load: Load, expected_ttft_ms: float) -> dict[str, float]:
    """What was measured, and what follows from it by Little's law: requests in flight = rate x a request's time."""
    found = {name: value for name in SPEEDS if (value := getattr(run.measured, name)) is not None}
    if load.concurrency is None or load.output_tokens < 2:
        return found
    steps = load.output_tokens - 1
    if "output_tokens_per_s" not in found and {"ttft_ms", "tpot_ms"} <= found.keys():
        seconds = (found["ttft_ms"] + found["tpot_ms"] * steps) / 1000
        found["output_tokens_per_s"] = load.concurrency * load.output_tokens / seconds
    elif "tpot_ms" not in found and "output_tokens_per_s" in found:
        whole_ms = load.concurrency * load.output_tokens / found["output_tokens_per_s"] * 1000
        rest = whole_ms - found.get("ttft_ms", expected_ttft_ms)
        if rest > 0:
            found["tpot_ms"] = rest / steps
    return found


def _but_version(configuration: tuple[Any, ...]) -> tuple[Any, ...]:
    checkpoint, engine, _, *rest = configuration
    return checkpoint, engine, *rest


def _points(name: str, runs: list[_Known]) -> tuple[Point, ...]:
    return tuple(
        Point(
            load=Load(
                input_tokens=k.run.workload.input_tokens,
                output_tokens=k.run.workload.output_tokens,
                concurrency=k.run.workload.concurrency,
            ),
            in_flight=k.in_flight,
            log_ratio=k.ratios[name],
            on=k.run.measured_on,
        )
        for k in runs
        if name in k.ratios and k.run.workload is not None
    )


def _trend(name: str, same: list[_Known], versions: list[_Known], others: list[_Known]) -> Trend | None:
    points = _points(name, same)
    related = [k for k in others if name in k.ratios]
    if not points and not related:
        return None
    return Trend(
        points=points,
        versions=_points(name, versions),
        others=_by_configuration([(k, k.ratios[name]) for k in related]),
        other_runs=len(related),
        others_on=max((k.run.measured_on for k in related), default=""),
    )


def _by_configuration(ratios: list[tuple[_Known, float]]) -> tuple[float, ...]:
    """One ratio of each configuration: ten loads of one model are no ten models."""
    grouped: dict[tuple[Any, ...], list[float]] = {}
    for known, ratio in ratios:
        grouped.setdefault(known.configuration, []).append(ratio)
    return tuple(statistics.median(values) for values in grouped.values())


def _memory(same: list[_Known], settings: Settings) -> MemoryKnown | None:
    counted = [k for k in same if k.run.measured.kv_cache_tokens is not None]
    weighed = [k for k in same if k.run.measured.weights_gib_per_gpu is not None]
    if not counted and not weighed:
        return None
    exact = [k for k in counted if k.settings == settings]
    tokens = [k.run.measured.kv_cache_tokens or 0 for k in exact]
    more = [(k.run.measured.kv_cache_tokens or 0) - (k.tokens or 0) for k in counted if k.tokens]
    return MemoryKnown(
        # Several starts differ by a few blocks: the least is what every one of them had.
        tokens=min(tokens) if tokens else None,
        more_tokens=min(more) if more and not tokens else None,
        weights_gib=statistics.median(k.run.measured.weights_gib_per_gpu or 0.0 for k in weighed)
        if weighed
        else None,
        token_runs=len(exact or counted),
        weight_runs=len(weighed),
        on=max(k.run.measured_on for k in (*counted, *weighed)),
    )


def _memory_of_versions(versions: list[_Known]) -> MemoryKnown | None:
    """Another version of the engine may divide memory otherwise, which its own prediction counts with."""
    known = _memory(versions, Settings(engine=""))
    return None if known is None else msgspec.structs.replace(known, other_version=True)


def _start(same: list[_Known], others: list[_Known], storage: str) -> Found | None:
    """Starts of the same configuration from the same kind of storage; else those of others, drawn towards 1."""
    own = [k for k in same if k.start is not None and k.run.storage == storage]
    if own:
        return Found(
            log_ratio=statistics.median(k.start or 0.0 for k in own),
            basis="measured",
            runs=len(own),
            on=max(k.run.measured_on for k in own),
        )
    related = [k for k in others if k.start is not None and k.run.storage == storage]
    if not related:
        return None
    return Found(
        log_ratio=shrunk(_by_configuration([(k, k.start or 0.0) for k in related])),
        basis="others",
        runs=len(related),
        on=max(k.run.measured_on for k in related),
    )
