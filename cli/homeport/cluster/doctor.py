"""`doctor`: looks at a cluster with a plan in hand, and says what is wrong with what commands repair."""

from collections.abc import Iterator

import msgspec

from homeport.cluster import (
    doctor_hub,
    doctor_inputs,
    doctor_nodes,
    doctor_pods,
    doctor_preflight,
    doctor_queries,
    doctor_rights,
    doctor_scaling,
    doctor_workloads,
)
from homeport.cluster.client import Cluster
from homeport.cluster.doctor_gather import gather
from homeport.cluster.doctor_types import SEVERITIES, Case, Check, Facts, Finding, Report, examine
from homeport.cluster.prometheus import Prometheus
from homeport.manifests.parsing import load
from homeport.manifests.render import documents, namespace_of
from homeport.planning.types import Plan


def _prometheus(case: Case) -> Iterator[Finding]:
    """Prometheus answers at the spec's address."""
    url = case.plan.spec.observability.prometheus_url.rstrip("/")
    key = f"prometheus {url}"
    way = Prometheus(url, bool).way
    if key in case.facts.missing:
        lack = case.facts.missing[key]
        if lack.rule is not None:
            yield Finding(
                check="prometheus",
                severity="unknown",
                what="Prometheus could not be asked",
                where=way,
                why="queries and targets were not looked at",
                evidence=lack.why,
                advice="see the check reading",
            )
            return
        scales = bool(next(case.rendered("ScaledObject", "HorizontalPodAutoscaler"), None))
        yield Finding(
            check="prometheus",
            severity="error" if scales else "warning",
            what="Prometheus does not answer",
            where=way,
            why="the autoscaler falls back to a fixed number of replicas, and status shows no load"
            if scales
            else "the models serve without it, but status shows neither their load nor their latencies",
            evidence=lack.why,
            advice=lack.advice,
            repair=lack.repair,
        )
        return
    yield Finding(check="prometheus", severity="ok", what=f"Prometheus answers at {way}")


PREFLIGHT: dict[str, Check] = {
    **doctor_rights.CHECKS,
    **doctor_preflight.CHECKS,
    **doctor_inputs.CHECKS,
    **doctor_hub.CHECKS,
    **doctor_nodes.CHECKS,
}
LIVE: dict[str, Check] = {
    **doctor_workloads.CHECKS,
    **doctor_pods.CHECKS,
    "prometheus": _prometheus,
    **doctor_queries.CHECKS,
    **doctor_scaling.CHECKS,
}


def diagnose(
    plan: Plan,
    cluster: Cluster,
    file: str = "homeport.yaml",
    *,
    preflight_only: bool = False,
    ask_hub: bool = False,
) -> Report:
    """Look at everything. `file` is what the commands of the findings name as the spec.

    `ask_hub` sends the tokens of the models' Secrets to the Hub, to ask whether it takes them.

    Raises the environment's errors where the API server does not answer at all.
    """
    made = documents(plan)
    case = Case(
        plan=plan,
        documents=tuple(made),
        objects=tuple(load(d.text) for d in made),
        facts=Facts(namespace=namespace_of(plan)),
        file=file,
    )
    facts = gather(case, cluster, live=not preflight_only)
    if ask_hub:
        words = doctor_hub.ask_hub(msgspec.structs.replace(case, facts=facts), cluster)
        facts = msgspec.structs.replace(facts, hub=words)
    return judge(msgspec.structs.replace(case, facts=facts), preflight_only=preflight_only)


def judge(case: Case, *, preflight_only: bool = False) -> Report:
    """The findings of facts that have been gathered."""
    deployed = is_deployed(case)
    return Report(
        namespace=case.facts.namespace,
        context=case.facts.context,
        server_version=case.facts.server_version,
        deployed=deployed,
        findings=(
            *_sorted(examine(case, PREFLIGHT, "preflight")),
            *(() if preflight_only or not deployed else _sorted(examine(case, LIVE, "live"))),
        ),
    )


def is_deployed(case: Case) -> bool:
    """Say whether a workload of the plan is in the cluster; unknown counts as yes, so that its checks say so."""
    for item in case.rendered("Deployment", "LeaderWorkerSet"):
        if not case.facts.known(item["kind"]) or case.facts.one(item["kind"], item["metadata"]["name"]):
            return True
    return False


def _sorted(found: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda f: SEVERITIES.index(f.severity)))
