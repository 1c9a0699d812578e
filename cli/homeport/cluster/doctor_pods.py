"""Which pods do not serve, and why: the scheduler's, the kubelet's and the engine's own words, translated."""

import re
from collections.abc import Iterator
from functools import partial

from homeport.cluster.doctor_logs import Place, last_error, translate
from homeport.cluster.doctor_types import Case, Check, Finding, Object, Severity, model_of
from homeport.cluster.status_pods import PodState, events_of, pod_state
from homeport.cluster.status_time import span
from homeport.planning.types import ModelPlan
from homeport.text import counted

# The scheduler's words (pkg/scheduler/framework/plugins) -> what to do.
SCHEDULER: tuple[tuple[str, str], ...] = (
    (
        r"Insufficient (?P<name>\S*/\S*gpu\S*|\S+/gpu)",
        "all GPUs of the right nodes are taken (or their device plugin offers none): see the check nodes",
    ),
    (
        r"Insufficient (?P<name>memory|cpu|ephemeral-storage)",
        "the nodes have GPUs, but not enough {name} left beside what else runs there",
    ),
    (
        r"untolerated taint\(?s?\)?:? ?\{(?P<name>[^}:]+)",
        "the nodes carry the taint {name}, which the pods do not tolerate: see the check nodes",
    ),
    (
        r"didn't match Pod's node affinity/selector",
        "no node has the label that the plan's instance type or GPU asks for: see the check nodes",
    ),
    (
        r"unbound immediate PersistentVolumeClaims|didn't find available persistent volumes",
        "the volume is not there yet: see the check volumes",
    ),
    (
        r'persistentvolumeclaim "(?P<name>[^"]+)" not found',
        "the claim {name} does not exist: apply the documents again",
    ),
    (r"volume node affinity conflict", "the volume lies in a zone (or on a node) that has no free GPUs"),
    (r"node\(s\) were unschedulable", "nodes are cordoned: kubectl uncordon NODE"),
    (r"Too many pods", "the nodes run as many pods as they may"),
)

# What an image's registry says (containerd, through the kubelet) -> what to do.
REGISTRY: tuple[tuple[str, str], ...] = (
    (
        r"not found|manifest unknown|does not exist",
        "the image {image} does not exist: check engine_version and image in the spec",
    ),
    (
        r"401|403|unauthorized|denied|authorization failed",
        "the registry wants credentials: an image pull secret on the ServiceAccount {account}",
    ),
    (
        r"429|toomanyrequests|rate limit",
        "the registry limits this address: log in with an image pull secret, or mirror the image",
    ),
    (
        r"no space left on device",
        "the node's disk is full: engine images are 10 to 20 GB; use nodes with a larger boot disk",
    ),
    (
        r"no such host|i/o timeout|connection refused|dial tcp|TLS|x509",
        "the node cannot reach the registry: network, proxy or certificates",
    ),
    (r"no match for platform", "the image has no build for the nodes' CPU architecture"),
)


def pods(case: Case) -> Iterator[Finding]:
    """Every pod is ready, or says why it is not, in words of its own."""
    models = {m.spec.name: m for m in case.plan.models}
    events = case.facts.lists.get("Event", [])
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    ready: dict[str, int] = {}
    for pod in case.facts.of("Pod"):
        model = models.get(model_of(pod) or "")
        if model is None:
            continue
        state = pod_state(pod, events_of(events, pod), case.facts.now)
        if state.phase == "ready":
            ready[model.spec.name] = ready.get(model.spec.name, 0) + 1
        if state.phase == "ready" and not state.restarts:
            continue
        if pod.get("status", {}).get("phase") == "Succeeded":
            continue
        for finding in _of_pod(case, model, pod, state):
            groups.setdefault((finding.check, finding.what, finding.evidence), []).append(finding)
    for found in groups.values():
        first = found[0]
        if len(found) == 1:
            yield first
            continue
        names = [f.where.removeprefix("Pod ") for f in found]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        yield Finding(
            check=first.check,
            severity=first.severity,
            what=first.what,
            where=f"{len(names)} pods: {shown}",
            why=first.why,
            advice=first.advice,
            repair=first.repair,
            evidence=first.evidence,
            source=first.source,
            model=first.model,
        )
    for name, count in ready.items():
        yield Finding(
            check="pods",
            severity="ok",
            what=f"{counted(count, 'pod')} of {name} {'is' if count == 1 else 'are'} ready",
            where=f"model {name}",
            model=name,
        )


def _of_pod(case: Case, model: ModelPlan, pod: Object, state: PodState) -> Iterator[Finding]:
    where = f"Pod {case.facts.namespace}/{state.pod}"
    describe = f"kubectl --namespace {case.facts.namespace} describe pod {state.pod}"
    logs = (
        f"kubectl --namespace {case.facts.namespace} logs {state.pod} --container {state.container or 'server'} "
        "--previous --tail 100"
    )
    finding = partial(Finding, check="pods", where=where, model=model.spec.name)
    if state.phase == "unschedulable":
        yield finding(
            severity="error",
            what=f"no node takes the pod, since {span(state.since_s)}",
            why="this replica does not serve",
            evidence=state.why,
            advice=match(SCHEDULER, state.why, {}),
            repair=(describe,),
        )
    elif state.phase == "pulling":
        failed = any(
            word in state.why for word in ("ErrImage", "ImagePull", "InvalidImageName", "Failed to pull")
        )
        values = {
            "image": _image(pod, state.container),
            "account": pod["spec"].get("serviceAccountName", "default"),
        }
        yield finding(
            severity="error" if failed else "warning",
            what="the image cannot be pulled"
            if failed
            else f"the image is being pulled, for {span(state.since_s)}",
            why="the container does not start",
            evidence=state.why,
            advice=match(REGISTRY, state.why, values)
            if failed
            else "engine images are 10 to 20 GB: minutes on a new node",
            repair=(describe,),
        )
    elif state.phase == "crashing" or (state.phase in ("ready", "loading") and state.restarts):
        yield from _crashed(case, model, pod, state, (where, describe, logs))
    elif state.phase == "loading":
        yield _loading(case, model, pod, state, where)
    elif state.phase == "failed":
        evicted = "Evicted" in state.why
        yield finding(
            severity="error",
            what="the node evicted the pod" if evicted else "the pod failed",
            why="this replica does not serve",
            evidence=state.why,
            advice="its volumes grew over their limits: raise weights.size_gib"
            if "ephemeral" in state.why
            else "",
            repair=(describe,),
        )
    elif state.phase == "waiting":
        missing = re.search(r'secret "([^"]+)" not found|couldn\'t find key (\S+) in Secret', state.why)
        yield finding(
            severity="error" if missing or "Failed" in state.why or "Error" in state.why else "warning",
            what=f"the pod waits, for {span(state.since_s)}",
            why="the container does not start",
            evidence=state.why,
            advice="see the check secrets" if missing else "",
            repair=(describe,),
        )
    elif state.phase == "preparing":
        yield finding(
            severity="warning",
            what=f"the weights are being fetched, for {span(state.since_s)}",
            why="the server starts after that",
            evidence=f"init container {state.container}",
            repair=(logs.replace(" --previous", ""),),
        )
    elif state.phase == "ending" and (state.since_s or 0) > (
        pod["spec"].get("terminationGracePeriodSeconds") or 30
    ):
        yield finding(
            severity="warning",
            what=f"the pod should have ended {span(state.since_s)} ago",
            why="it keeps its GPUs; its node may be gone",
            repair=(describe, f"kubectl --namespace {case.facts.namespace} delete pod {state.pod} --force"),
        )


def _crashed(
    case: Case, model: ModelPlan, pod: Object, state: PodState, words: tuple[str, str, str]
) -> Iterator[Finding]:
    where, describe, logs = words
    past = state.phase != "crashing"
    container = state.container or "server"
    severity: Severity = "warning" if past else "error"
    times = f"{state.restarts} restarts" if state.restarts != 1 else "1 restart"
    finding = partial(Finding, check="pods", where=where, model=model.spec.name)
    if "OOMKilled" in state.why or _killed_by_memory(pod, container):
        asked = _memory_of(pod, container)
        yield finding(
            severity=severity,
            what=f"the container was killed: out of host memory, its limit is {asked} ({times})",
            why="not the GPU's memory: the processes and /dev/shm together",
            evidence=state.why,
            advice=f"the plan asks for {model.memory_request_gib} GiB for the processes; a `memory` of another size in the "
            "cluster was changed by somebody; else fewer max_num_seqs, or a node with more memory",
            repair=(f"homeport diff -f {case.file}", describe),
        )
        return
    probe = _probe_killed(case, pod)
    if probe:
        yield finding(
            severity=severity,
            what=f"the start-up probe gave up and the container was started anew ({times})",
            why="a start that takes longer than its probe allows never ends",
            evidence=probe,
            advice=_budget(model, pod),
            repair=(logs,),
        )
        return
    log = case.facts.logs.get((state.pod, container))
    place = Place(
        namespace=case.facts.namespace, pod=state.pod, container=container, node=state.node, file=case.file
    )
    said = translate(log.text if log else state.why, model, place)
    if said is None and log is not None:
        said = translate(state.why, model, place)
    if said is not None:
        yield finding(
            severity=severity,
            what=f"{said.what} ({times})",
            why=said.why if not past else f"the container '{container}' was started anew",
            advice=said.advice,
            repair=said.repair,
            evidence=said.line,
            source=said.source,
        )
        return
    lack = case.facts.missing.get(f"log {state.pod}/{container}")
    yield finding(
        severity=severity if log or past else "error",
        what=f"the container '{container}' ended ({times})",
        why="no known cause stands in its log" if log else "its log could not be read",
        evidence=(last_error(log.text) if log else "") or (lack.why if lack else "") or state.why,
        advice=state.why if log else "",
        repair=(logs,) if log or lack is None else (*lack.repair, logs),
    )


def _loading(case: Case, model: ModelPlan, pod: Object, state: PodState, where: str) -> Finding:
    age = state.since_s or 0.0
    start = model.startup
    expected = start.ready_s if start else None
    worst = start.ready_s_interval[1] if start else None
    told = (
        f"expected {span(expected)}, at worst {span(worst)}"
        if expected is not None
        else "start-up time unknown"
    )
    late = worst is not None and age > worst
    return Finding(
        check="pods",
        severity="warning",
        what=f"the engine has been starting for {span(age)} ({told})",
        where=where,
        model=model.spec.name,
        why="it takes longer than the plan's worst case: a slow download or disk"
        if late
        else "it does not serve yet",
        evidence=state.why,
        advice=_budget(model, pod) if late else "wait",
        repair=(
            f"kubectl --namespace {case.facts.namespace} logs {state.pod} --container {state.container or 'server'} --tail 20",
        ),
    )


def _budget(model: ModelPlan, pod: Object) -> str:
    """The probe's budget beside the plan's start-up time."""
    server: Object = next((c for c in pod["spec"]["containers"] if c["name"] == "server"), {})
    probe = server.get("startupProbe")
    parts = []
    if probe:
        budget = probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10)
        parts.append(f"the start-up probe allows {span(budget)}")
    if model.startup is not None:
        start = model.startup
        steps = [
            f"{name} {span(value)}"
            for name, value in (
                ("download", start.download_s),
                ("load", start.weights_load_s),
                ("compile", start.compile_s),
                ("CUDA graphs", start.cuda_graph_capture_s),
            )
            if value
        ]
        parts.append(
            f"the plan expects {span(start.ready_s)}, at worst {span(start.ready_s_interval[1])}"
            + (f" ({', '.join(steps)})" if steps else "")
        )
    parts.append("weights from a volume (weights: {source: pvc}) spare the download")
    return "; ".join(parts)


def _probe_killed(case: Case, pod: Object) -> str:
    """The kubelet's word that it killed the container because of its start-up probe."""
    own = events_of(case.facts.lists.get("Event", []), pod)
    for event in own:
        message = str(event.get("message", ""))
        if event.get("reason") == "Killing" and "startup probe" in message:
            probe = next((e["message"] for e in own if e.get("reason") == "Unhealthy"), "")
            return f"{message} {probe}".strip()
    return ""


def _killed_by_memory(pod: Object, container: str) -> bool:
    for status in pod.get("status", {}).get("containerStatuses", ()):
        if status["name"] == container:
            for state in (status.get("lastState", {}), status.get("state", {})):
                if state.get("terminated", {}).get("reason") == "OOMKilled":
                    return True
    return False


def _memory_of(pod: Object, container: str) -> str:
    for one in pod["spec"]["containers"]:
        if one["name"] == container:
            return str(one.get("resources", {}).get("limits", {}).get("memory", "not set"))
    return "not set"


def _image(pod: Object, container: str) -> str:
    for one in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
        if one["name"] == container:
            return str(one["image"])
    return "of the container"


def match(table: tuple[tuple[str, str], ...], text: str, values: dict[str, str]) -> str:
    """The advice of every row whose pattern stands in `text`; `values` and the pattern's groups fill it in."""
    said = []
    for pattern, advice in table:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            said.append(advice.format_map({**values, **{k: v for k, v in found.groupdict().items() if v}}))
    return "; ".join(dict.fromkeys(said))


CHECKS: dict[str, Check] = {"pods": pods}
