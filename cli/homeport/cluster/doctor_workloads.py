"""What makes pods and what they mount: workloads, Jobs, volume claims."""

from collections.abc import Iterator

from homeport.cluster.doctor_pods import match
from homeport.cluster.doctor_types import Case, Check, Finding, Object, model_of
from homeport.cluster.status_pods import events_of

# Why a workload's controller could not make pods (admission) -> what to do.
ADMISSION: tuple[tuple[str, str], ...] = (
    (r"exceeded quota", "see the check quota"),
    (
        r"violates PodSecurity",
        "the namespace enforces a profile that the pods do not fit: somebody changed the pods, or a webhook does",
    ),
    (r"must specify (?:limits|requests)\.", "a quota counts what the pods do not set: see the check quota"),
    (
        r"serviceaccount \S+ not found|service account .* not found",
        "apply the documents again: the ServiceAccount is gone",
    ),
    (r"(?:maximum|minimum) \S+ usage per", "see the check limit-range"),
    (r"webhook", "an admission webhook refuses the pods, or does not answer"),
)


def workloads(case: Case) -> Iterator[Finding]:
    """The workloads are there, and their controllers can make the pods."""
    for item in case.rendered("Deployment", "LeaderWorkerSet"):
        kind, name = item["kind"], item["metadata"]["name"]
        if kind == "LeaderWorkerSet" and not any(kind in k for k in case.facts.served.values()):
            continue
        where = f"{kind} {case.facts.namespace}/{name}"
        live = case.facts.one(kind, name)
        if live is None:
            yield Finding(
                check="workload",
                severity="error",
                what=f"{where} does not exist",
                where=where,
                model=model_of(item),
                why="the model is not served",
                repair=(f"homeport render -f {case.file} -o - | kubectl apply --server-side -f -",),
            )
            continue
        sources = [live]
        if kind == "Deployment":
            own = [
                s
                for s in case.facts.lists.get("ReplicaSet", ())
                if any(o.get("name") == name for o in s["metadata"].get("ownerReferences", ()))
            ]
            sources += own
        refused = _refused(case, sources)
        if refused:
            yield Finding(
                check="workload",
                severity="error",
                what="the API server refuses to make its pods",
                where=where,
                model=model_of(item),
                why="fewer replicas run than are wanted",
                evidence=refused,
                advice=match(ADMISSION, refused, {}),
                repair=(
                    f"kubectl --namespace {case.facts.namespace} get events --field-selector reason=FailedCreate",
                ),
            )
        late = next(
            (
                c
                for c in live.get("status", {}).get("conditions", ())
                if c["type"] == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded"
            ),
            None,
        )
        if late is not None:
            yield Finding(
                check="workload",
                severity="error",
                what="the rollout has made no progress for longer than a start may take",
                where=where,
                model=model_of(item),
                why=f"the deadline of {live['spec'].get('progressDeadlineSeconds')} s follows the plan's start-up time",
                evidence=late.get("message", ""),
                advice="the pods below say what holds it",
                repair=(f"kubectl --namespace {case.facts.namespace} rollout undo {kind.lower()}/{name}",),
            )


def _refused(case: Case, sources: list[Object]) -> str:
    for item in sources:
        for condition in item.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                return str(condition.get("message", ""))
    for item in sources:
        found = [
            e for e in events_of(case.facts.lists.get("Event", []), item) if e.get("reason") == "FailedCreate"
        ]
        running = item.get("status", {}).get("readyReplicas", 0)
        if found and not running:
            return str(found[-1].get("message", ""))
    return ""


def volumes(case: Case) -> Iterator[Finding]:
    """Claims of the models are bound."""
    names = {m.spec.name for m in case.plan.models}
    events = case.facts.lists.get("Event", [])
    waits = {
        c["metadata"]["name"]
        for c in case.facts.lists.get("StorageClass", ())
        if c.get("volumeBindingMode") == "WaitForFirstConsumer"
    }
    for claim in case.facts.of("PersistentVolumeClaim"):
        if model_of(claim) not in names:
            continue
        phase = claim.get("status", {}).get("phase")
        where = f"PersistentVolumeClaim {case.facts.namespace}/{claim['metadata']['name']}"
        if phase == "Bound":
            yield Finding(
                check="volumes", severity="ok", what="the volume is bound", where=where, model=model_of(claim)
            )
            continue
        own = events_of(events, claim)
        said = " ".join(str(own[-1].get("message", "")).split()) if own else ""
        lazy = claim["spec"].get("storageClassName") in waits and "Failed" not in said
        yield Finding(
            check="volumes",
            severity="warning" if lazy else "error",
            what="the volume waits for its first pod" if lazy else f"the claim is {phase}, not bound",
            where=where,
            model=model_of(claim),
            why="pods that mount it stay Pending",
            evidence=said,
            advice="" if lazy else "the StorageClass' driver says why: see the check storage",
            repair=(
                f"kubectl --namespace {case.facts.namespace} describe persistentvolumeclaim {claim['metadata']['name']}",
            ),
        )


def jobs(case: Case) -> Iterator[Finding]:
    """The Jobs that fill volumes have not failed."""
    rendered = {o["metadata"]["name"] for o in case.rendered("Job")}
    for job in case.facts.of("Job"):
        if job["metadata"]["name"] not in rendered:
            continue
        where = f"Job {case.facts.namespace}/{job['metadata']['name']}"
        conditions = {
            c["type"]: c for c in job.get("status", {}).get("conditions", ()) if c["status"] == "True"
        }
        failed = conditions.get("Failed")
        if failed is not None:
            yield Finding(
                check="jobs",
                severity="error",
                what="the download of the weights failed for good",
                where=where,
                model=model_of(job),
                why="the servers wait for its volume",
                evidence=f"{failed.get('reason', '')}: {failed.get('message', '')}",
                advice="once the cause is gone, delete the Job and apply again",
                repair=(
                    f"kubectl --namespace {case.facts.namespace} logs job/{job['metadata']['name']} --tail 50",
                    f"kubectl --namespace {case.facts.namespace} delete job {job['metadata']['name']}",
                    f"homeport render -f {case.file} -o - | kubectl apply --server-side -f -",
                ),
            )
        elif "Complete" in conditions:
            yield Finding(
                check="jobs",
                severity="ok",
                what="the weights are downloaded",
                where=where,
                model=model_of(job),
            )


CHECKS: dict[str, Check] = {"workload": workloads, "jobs": jobs, "volumes": volumes}
