"""What a bill rests on, in words: each assumption that no line of it shows by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeport.costs import guide
from homeport.costs.hours import scales
from homeport.costs.lines import billed
from homeport.costs.money import plain
from homeport.costs.own_nodes import keeps_gpus, simulated
from homeport.costs.types import Options
from homeport.planning.workload import peak_to_mean

if TYPE_CHECKING:
    from homeport.planning.types import Plan

NOT_IN_GUIDE = (
    "reserved",
    "hardware",
    "replica_hours",
    "scaled_share",
    "headroom_nodes",
    "storage_usd_per_gib_month",
    "load_balancer_usd_per_hour",
    "egress_usd_per_month",
    "platform_usd_per_month",
    "engineering_usd_per_hour",
    "engineering_hours_per_week",
    "fine_tuning",
)
"""Inputs that the guide's formulas don't take."""


def assumptions(plan: Plan, options: Options) -> list[str]:
    """Return the assumptions of a bill, those about own hosting first."""
    texts: list[str] = []
    replaced = [model.spec.name for model in plan.models if model.stands_for is not None]
    if replaced:
        texts.append(
            f"simulated here: {', '.join(replaced)}; the bill is of the real servers that stand behind it"
        )
    texts += _guide(plan, options) if options.method == "guide" else _load(plan, options)
    if options.gpu_usd_per_hour is not None:
        texts.append("your price of a GPU hour is for the GPUs that were chosen by the price table")
    if keeps_gpus(options, plan) and plan.pools:
        texts.append(
            "breakevens keep these GPUs and their number in a replica; replicas are added as the load needs"
        )
    return texts + _apis(options)


def _guide(plan: Plan, options: Options) -> list[str]:
    texts = [
        f"the guide's formulas: {guide.UTILIZATION:.0%} utilisation of 730 hours, ${guide.STORAGE_USD_PER_GPU_MONTH} "
        f"a GPU for storage, ${guide.NETWORK_USD_PER_GPU_HOUR} a GPU and active hour for network, "
        f"${guide.ENGINEERING_USD_PER_MONTH:,} for engineering, a month of 30 days for APIs"
    ]
    ignored = [name for name in NOT_IN_GUIDE if getattr(options, name)]
    if ignored:
        texts.append(f"the guide has figures of its own for {', '.join(f'costs.{name}' for name in ignored)}")
    if options.gpu_usd_per_hour is None and any(m.gpu and m.gpu.id.startswith("H100") for m in plan.models):
        texts.append(f"an H100 hour costs ${guide.H100_USD_PER_HOUR}, the guide's price")
    return texts


def _load(plan: Plan, options: Options) -> list[str]:
    texts = ["a month is 730 hours, for nodes and for requests"]
    scaling = [model for model in plan.models if scales(model)]
    if simulated(options, plan):
        assumed = [m for m in plan.models if m.spec.workload.day_profile is None and scales(m)]
        for model in assumed:
            ratio = peak_to_mean(model.spec.workload)
            texts.append(f"{model.spec.name}: a smooth day with one peak, {ratio:g} times its mean")
        if not scaling:
            texts.append("no replica above the minimum is planned: all run around the clock")
    elif scaling and options.scaled_share is None and options.hardware is None:
        names = ", ".join(billed(model).spec.name for model in scaling)
        texts.append(
            f"all planned replicas run around the clock ({names} may scale down: workload.day_profile bills them by "
            "the hour, --scaled-share by a share of the month)"
        )
    if options.scaled_share is not None and not scaling:
        texts.append("the scaled share changes nothing: no replica above the minimum is planned")
    if options.hardware is not None:
        texts.append("bought GPUs cost the same whether replicas scale down or not")
    if options.hardware is None and any(pool.capacity == "spot" for pool in plan.pools):
        texts.append(
            "spot nodes are taken away at short notice; what replaces them meanwhile is not in the bill"
        )
    if options.engineering_usd_per_hour is not None:
        texts.append(
            "setting up is not in the month: an hour for an API, 1 to 4 weeks for own hosting, by the guide's table"
        )
    if options.egress_usd_per_month is not None:
        texts.append("egress grows with the load")
    if options.fine_tuning is not None:
        texts.append("fine-tuning is billed for own hosting only: the data has no API's price of it")
    return texts


def _apis(options: Options) -> list[str]:
    texts = []
    if options.cached_input_percent:
        texts.append(
            f"the APIs' caches serve {plain(options.cached_input_percent):f}% of input tokens; writing to a cache is not "
            "billed, and own servers are planned without such hits"
        )
    if options.batch_percent:
        texts.append(
            f"{plain(options.batch_percent):f}% of requests can wait for the APIs' batches; own servers answer them at once"
        )
    if options.growth_percent:
        texts.append(f"the load has grown by {plain(options.growth_percent):f}%")
    if options.retries_percent:
        texts.append(
            f"{plain(options.retries_percent):f}% of requests are sent again; own servers and APIs answer both"
        )
    return texts
