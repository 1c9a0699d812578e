"""Whether the API server would take the documents: rights, quotas, limit ranges."""

import shlex
from collections.abc import Iterator
from decimal import Decimal

from homeport.cluster.doctor_nodes import quantity, requests
from homeport.cluster.doctor_types import Case, Check, Finding, Object, Unanswered, model_of, pod_specs

APPLY_VERBS = ("get", "list", "watch", "create", "patch", "delete")
VERBS = ("create", "patch")
"""Server-side apply asks for both: it creates what is not there and patches what is."""


def group_of(api_version: str) -> str:
    """`apps` of `apps/v1`, the empty group of `v1`."""
    return api_version.split("/")[0] if "/" in api_version else ""


def resource_of(case: Case, item: Object) -> str:
    """The resource's name: what the server says, else what kinds are called by convention."""
    served = case.facts.served.get(item["apiVersion"], {}).get(item["kind"])
    lower = str(item["kind"]).lower()
    return served or (
        lower[:-1] + "ies" if lower.endswith("y") else lower + ("es" if lower.endswith("s") else "s")
    )


def rights(case: Case) -> Iterator[Finding]:
    """The user may create and patch every kind that is rendered."""
    if "access" in case.facts.missing:
        lack = case.facts.missing["access"]
        raise Unanswered("your rights", lack)
    denied: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}
    for item in case.objects:
        group, resource = group_of(item["apiVersion"]), resource_of(case, item)
        for verb in VERBS:
            if case.facts.allowed.get((verb, group, resource), True):
                continue
            cluster_wide = not item["metadata"].get("namespace")
            verbs = denied[cluster_wide].setdefault(f"{resource}.{group}" if group else resource, [])
            if verb not in verbs:
                verbs.append(verb)
    for cluster_wide, lacking in denied.items():
        if not lacking:
            continue
        kind = "clusterrole" if cluster_wide else "role"
        space = "" if cluster_wide else f" --namespace {case.facts.namespace}"
        needs_space = not cluster_wide and "namespaces" in denied[True]
        yield Finding(
            check="rights",
            severity="error",
            what="you may not "
            + " or ".join(dict.fromkeys(v for verbs in lacking.values() for v in verbs))
            + f" {', '.join(lacking)}",
            where="cluster" if cluster_wide else f"Namespace {case.facts.namespace}",
            why="applying stops at the first of them",
            advice=f"an administrator must run this (or apply for you); you are {case.facts.user or 'unknown'}"
            + ("; the namespace must exist first" if needs_space else ""),
            repair=role_commands(kind, "homeport-apply", space, APPLY_VERBS, list(lacking), case.facts.user),
        )
    if case.facts.allowed and not denied[True] and not denied[False]:
        yield Finding(
            check="rights", severity="ok", what="you may create and patch every kind that is rendered"
        )


def reading(case: Case) -> Iterator[Finding]:
    """The user may read what the other checks look at; where not, one role repairs all of it."""
    rules = dict.fromkeys(m.rule for m in case.facts.missing.values() if m.rule is not None)
    if not rules:
        yield Finding(check="reading", severity="ok", what="you may read everything that is looked at")
        return
    resources = [resource for _, resource in rules]
    yield Finding(
        check="reading",
        severity="unknown",
        what=f"you may not read {', '.join(dict.fromkeys(resources))}",
        why="the checks that need them could not be made (marked ? below)",
        advice=f"an administrator must run this; you are {case.facts.user or 'unknown'}. Of Secrets only the names of keys are looked at, with --hub the Hub tokens too",
        repair=role_commands(
            "clusterrole",
            "homeport-doctor",
            "",
            ("get", "list"),
            list(dict.fromkeys(resources)),
            case.facts.user,
        ),
    )


def role_commands(
    kind: str, name: str, space: str, verbs: tuple[str, ...], resources: list[str], user: str
) -> tuple[str, ...]:
    """The two kubectl commands that give a user rights."""
    if user.startswith("system:serviceaccount:"):
        _, _, namespace, account = user.split(":", 3)
        who = f"--serviceaccount={namespace}:{account}"
    else:
        who = f"--user={shlex.quote(user) if user else 'USER'}"
    return (
        f"kubectl create {kind} {name}{space} --verb={','.join(verbs)} --resource={','.join(resources)}",
        f"kubectl create {kind}binding {name}{space} --{kind}={name} {who}",
    )


def quotas(case: Case) -> Iterator[Finding]:
    """What the planned replicas ask for fits into the namespace's quotas."""
    for quota in case.facts.of("ResourceQuota"):
        hard = quota.get("status", {}).get("hard") or quota["spec"].get("hard") or {}
        used = quota.get("status", {}).get("used") or {}
        where = f"ResourceQuota {case.facts.namespace}/{quota['metadata']['name']}"
        if quota["spec"].get("scopes") or quota["spec"].get("scopeSelector"):
            yield Finding(
                check="quota",
                severity="unknown",
                what="this quota counts only some pods (scopes); whether ours are among them was not worked out",
                where=where,
                why="a pod over quota is not created",
                repair=(_show(case, quota),),
            )
            continue
        planned, most = _wanted(case, use_max=False), _wanted(case, use_max=True)
        own = _running(case)
        faults = 0
        for name, limit in hard.items():
            amount = planned.get(name)
            if name in ("limits.cpu", "limits.memory") and amount is None:
                unset = _without_limit(case, name.removeprefix("limits."))
                if unset:
                    faults += 1
                    yield Finding(
                        check="quota",
                        severity="error",
                        what=f"the quota counts {name}, and the pods of {', '.join(unset)} set no such limit",
                        where=where,
                        why="the API server refuses pods that do not set what a quota counts",
                        advice=f"a LimitRange with a default for {name.removeprefix('limits.')} sets it for them",
                        repair=(_show(case, quota),),
                    )
                continue
            if amount is None:
                continue
            others = max(Decimal(0), quantity(used.get(name, 0)) - own.get(name, Decimal(0)))
            free = quantity(limit) - others
            if amount > free:
                faults += 1
                yield Finding(
                    check="quota",
                    severity="error",
                    what=f"{name}: the planned replicas ask for {_text(name, amount)}, the quota has "
                    f"{_text(name, max(Decimal(0), free))} left of {_text(name, quantity(limit))}",
                    where=where,
                    why="pods over the quota are not created (the workload says FailedCreate)",
                    repair=(
                        f"kubectl --namespace {case.facts.namespace} patch resourcequota {quota['metadata']['name']} "
                        f'--type merge --patch \'{{"spec":{{"hard":{{"{name}":"{_plain(name, others + amount)}"}}}}}}\'',
                    ),
                )
            elif most.get(name, amount) > free:
                faults += 1
                yield Finding(
                    check="quota",
                    severity="warning",
                    what=f"{name}: enough for the planned replicas, not for all that the autoscaler may ask for "
                    f"({_text(name, most[name])} of {_text(name, free)} left)",
                    where=where,
                    why="scaling up stops there",
                    repair=(_show(case, quota),),
                )
        if not faults:
            yield Finding(check="quota", severity="ok", what="the replicas fit into the quota", where=where)


def limit_ranges(case: Case) -> Iterator[Finding]:
    """No LimitRange refuses the containers, or slows them down with a default."""
    for item in case.facts.of("LimitRange"):
        where = f"LimitRange {case.facts.namespace}/{item['metadata']['name']}"
        show = (f"kubectl --namespace {case.facts.namespace} describe limitrange {item['metadata']['name']}",)
        for limit in item["spec"].get("limits", ()):
            if limit.get("type") != "Container":
                continue
            yield from _limit(case, limit, where, show)


def _limit(case: Case, limit: Object, where: str, show: tuple[str, ...]) -> Iterator[Finding]:
    for workload, spec in pod_specs(case.objects):
        model = model_of(workload)
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            named = f"container {container['name']} of {workload['kind']} {workload['metadata']['name']}"
            resources = container.get("resources", {})
            limits = resources.get("limits") or {}
            asked = resources.get("requests") or {}
            for name, most in (limit.get("max") or {}).items():
                has = limits.get(name, (limit.get("default") or {}).get(name))
                if has is None or quantity(has) > quantity(most):
                    yield Finding(
                        check="limit-range",
                        severity="error",
                        what=f"{named} "
                        + (f"sets no limit for {name}" if has is None else f"asks for {has} {name}")
                        + f"; at most {most} is allowed",
                        where=where,
                        model=model,
                        why="the API server refuses the pods",
                        repair=show,
                    )
            for name, least in (limit.get("min") or {}).items():
                has = asked.get(name, limits.get(name, (limit.get("defaultRequest") or {}).get(name)))
                if has is None or quantity(has) < quantity(least):
                    yield Finding(
                        check="limit-range",
                        severity="error",
                        what=f"{named} asks for {has or 'no'} {name}; at least {least} is asked for",
                        where=where,
                        model=model,
                        why="the API server refuses the pods",
                        repair=show,
                    )
            default = (limit.get("default") or {}).get("cpu")
            if default and "cpu" not in limits and container["name"] == "server":
                short = quantity(default) < quantity(asked.get("cpu", 0))
                yield Finding(
                    check="limit-range",
                    severity="error" if short else "warning",
                    what=f"{named} would get the default CPU limit of {default}"
                    + (f", below its request of {asked['cpu']}" if short else ""),
                    where=where,
                    model=model,
                    why="the API server refuses a limit below the request"
                    if short
                    else "a CPU limit throttles the engine's scheduler, and the GPUs wait for it",
                    advice="leave cpu out of the LimitRange's default",
                    repair=show,
                )


def _wanted(case: Case, *, use_max: bool) -> dict[str, Decimal]:
    """What all replicas together count in a quota's own names."""
    models = {m.spec.name: m for m in case.plan.models}
    total: dict[str, Decimal] = {}

    def add(name: str, amount: Decimal) -> None:
        total[name] = total.get(name, Decimal(0)) + amount

    for item, spec in pod_specs(case.objects):
        model = models.get(model_of(item) or "")
        if model is None or item["kind"] == "Job":
            continue
        replicas = model.replicas_max if use_max else model.replicas_planned
        leader = item["kind"] != "LeaderWorkerSet" or spec is _leader(item)
        each = 1 if leader else max(0, model.nodes_per_replica - 1)
        count = Decimal(replicas * each)
        add("pods", count)
        add("count/pods", count)
        for name, amount in requests(spec).items():
            add(f"requests.{name}", amount * count)
            if name in ("cpu", "memory", "ephemeral-storage"):
                add(name, amount * count)
        limits = [c.get("resources", {}).get("limits") or {} for c in spec["containers"]]
        for name in ("cpu", "memory", "ephemeral-storage"):
            if all(name in one for one in limits):
                add(f"limits.{name}", sum((quantity(one[name]) for one in limits), Decimal(0)) * count)
    for claim in case.rendered("PersistentVolumeClaim"):
        add("persistentvolumeclaims", Decimal(1))
        add("requests.storage", quantity(claim["spec"]["resources"]["requests"]["storage"]))
    return total


def _leader(item: Object) -> Object:
    found: Object = item["spec"]["leaderWorkerTemplate"].get("leaderTemplate", {}).get("spec", {})
    return found


def _running(case: Case) -> dict[str, Decimal]:
    """What our own pods and claims already count in the quota."""
    names = {m.spec.name for m in case.plan.models}
    total: dict[str, Decimal] = {}
    for pod in case.facts.of("Pod"):
        if model_of(pod) not in names or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        total["pods"] = total.get("pods", Decimal(0)) + 1
        total["count/pods"] = total["pods"]
        for name, amount in requests(pod["spec"]).items():
            keys = [f"requests.{name}"] + ([name] if name in ("cpu", "memory", "ephemeral-storage") else [])
            if name in ("memory",):
                keys.append("limits.memory")
            for key in keys:
                total[key] = total.get(key, Decimal(0)) + amount
    for claim in case.facts.of("PersistentVolumeClaim"):
        if model_of(claim) in names:
            total["persistentvolumeclaims"] = total.get("persistentvolumeclaims", Decimal(0)) + 1
            size = quantity(claim["spec"].get("resources", {}).get("requests", {}).get("storage", 0))
            total["requests.storage"] = total.get("requests.storage", Decimal(0)) + size
    return total


def _without_limit(case: Case, resource: str) -> list[str]:
    """Workloads with a container that neither sets the limit nor gets it from a LimitRange."""
    if any(
        resource in (limit.get("default") or {})
        for item in case.facts.of("LimitRange")
        for limit in item["spec"].get("limits", ())
    ):
        return []
    return [
        item["metadata"]["name"]
        for item, spec in pod_specs(case.objects)
        if any(resource not in (c.get("resources", {}).get("limits") or {}) for c in spec["containers"])
    ]


def _show(case: Case, quota: Object) -> str:
    return f"kubectl --namespace {case.facts.namespace} describe resourcequota {quota['metadata']['name']}"


def _in_gib(name: str) -> bool:
    return name.split(".")[-1] in ("memory", "storage", "ephemeral-storage")


def _text(name: str, amount: Decimal) -> str:
    return f"{float(amount) / 2**30:g} GiB" if _in_gib(name) else f"{float(amount):g}"


def _plain(name: str, amount: Decimal) -> str:
    if not _in_gib(name):
        return f"{float(amount):g}"
    return f"{-int(-amount // 2**30)}Gi"


CHECKS: dict[str, Check] = {
    "reading": reading,
    "rights": rights,
    "quota": quotas,
    "limit-range": limit_ranges,
}
