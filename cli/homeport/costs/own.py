"""The bill of own hosting for one plan: the load-aware method's lines, or the guide's."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from homeport.costs import guide
from homeport.costs.api import tokens_per_day
from homeport.costs.hours import nodes_for
from homeport.costs.lines import billed, unknown
from homeport.costs.money import DAYS_PER_MONTH, MILLION, rounded, total
from homeport.costs.own_guide import guide_lines
from homeport.costs.own_nodes import NODE_UNIT, node_lines
from homeport.costs.own_rest import fine_tuning, is_local, rest_lines
from homeport.costs.types import Line, Options, SelfHosted

if TYPE_CHECKING:
    from homeport.planning.types import Plan, Pool


def self_hosted(plan: Plan, options: Options) -> SelfHosted:
    """Return the bill of own hosting for a plan, by the method of `options`."""
    lines = guide_lines(plan, options) if options.method == "guide" else load_lines(plan, options)
    amount = total([line.usd_per_month for line in lines])
    mtok = tokens_per_day(plan.spec) * days_per_month(options) / MILLION
    return SelfHosted(
        usd_per_month=amount,
        at_least=any(line.usd_per_month is None for line in lines),
        usd_per_million_tokens=None if amount is None else rounded(amount / mtok, "0.0001"),
        lines=tuple(lines),
        idle_gpus=sum(pool.idle_gpus for pool in plan.pools),
    )


def nodes_usd_per_month(bill: SelfHosted) -> Decimal | None:
    """Return what the nodes (with the guide's method: GPUs) of a bill cost; None where a price is unknown."""
    amounts = [line.usd_per_month for line in bill.lines if line.kind in ("nodes", "hardware")]
    return None if None in amounts else total(amounts)


def days_per_month(options: Options) -> Decimal:
    """Return the days of the method's month: 30 in the guide, 730 hours otherwise."""
    return guide.DAYS_PER_MONTH if options.method == "guide" else DAYS_PER_MONTH


def load_lines(plan: Plan, options: Options) -> list[Line]:
    """Return the lines of the load-aware method: nodes, weights, exposure, platform, people, training."""
    nodes = node_lines(plan, options)
    pooled = {name for pool in plan.pools for name in pool.models}
    unpooled = tuple(model.spec.name for model in plan.models if model.spec.name not in pooled)
    if unpooled:
        item = "your own machine" if is_local(plan) else "nodes without GPUs"
        nodes.append(unknown("nodes", item, None, NODE_UNIT, unpooled, "no price known"))
    return [*nodes, *rest_lines(plan, options), *fine_tuning(plan, options, nodes)]


def in_pools_of(plan: Plan, first: Plan) -> Plan:
    """Return a plan of the same models and GPUs with its replicas on the kinds of nodes of `first`.

    What another load would do to a fleet whose nodes are bought, reserved or paid by the hour they run: more or fewer
    of the same, so that more load never costs less.
    """
    return msgspec.structs.replace(plan, pools=tuple(_resized(pool, plan) for pool in first.pools))


def _resized(pool: Pool, plan: Plan) -> Pool:
    members = [model for model in plan.models if model.spec.name in pool.models]
    count = nodes_for(((model, billed(model).replicas_planned) for model in members), pool.gpus_per_node)
    used = sum(billed(model).gpus_per_replica * billed(model).replicas_planned for model in members)
    return msgspec.structs.replace(
        pool, node_count=count, used_gpus=used, idle_gpus=count * pool.gpus_per_node - used
    )
