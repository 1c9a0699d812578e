"""Whether pods can download their weights: gated models, and, where asked for, what the Hub says of the tokens in Secrets.

A token is read and sent in `ask_hub` only, and to the Hub only that the pods ask. It goes into no fact and no finding.
"""

import base64
import shlex
from collections.abc import Iterator
from functools import partial

from homeport.catalog import hub
from homeport.cluster.client import Cluster
from homeport.cluster.doctor_inputs import create_secret
from homeport.cluster.doctor_types import Case, Check, Finding, HubWord, Question, model_of, pod_specs
from homeport.cluster.errors import ClusterProblem
from homeport.manifests.weights import loads_weights
from homeport.planning.types import ModelPlan

REFUSALS = ("denied", "gated", "missing")
"""Kinds of `HubFailure` that are the Hub's word on the token; the others leave it open."""


def questions(case: Case) -> dict[Question, tuple[str, ...]]:
    """Which token must read what from which Hub, and the models that need it: one question, however many they are."""
    found: dict[Question, tuple[str, ...]] = {}
    for model in case.plan.models:
        token, checkpoint = model.spec.hub_token, model.source.checkpoint
        if token is None or not _downloads(model) or not hub.is_hub_id(checkpoint):
            continue
        endpoint = pods_endpoint(case, model)
        question = Question(
            secret=token.secret,
            key=token.key,
            checkpoint=checkpoint,
            endpoint=hub.endpoint() if endpoint is None else endpoint,
            pods_say=endpoint is not None,
        )
        found[question] = (*found.get(question, ()), model.spec.name)
    return found


def pods_endpoint(case: Case, model: ModelPlan) -> str | None:
    """The Hub that the pods in the cluster ask: HF_ENDPOINT as they have it, else the public one. None: there are no pods.

    What is rendered sets no HF_ENDPOINT; a Kustomize patch or `kubectl set env` does.
    """
    kinds = ("Job",) if model.spec.weights.source == "pvc" else ("Deployment", "LeaderWorkerSet")
    names = {o["metadata"]["name"] for o in case.rendered(*kinds) if model_of(o) == model.spec.name}
    there = tuple(o for k in kinds for o in case.facts.lists.get(k, ()) if o["metadata"]["name"] in names)
    for _, spec in pod_specs(there):
        for container in spec["containers"]:
            for variable in container.get("env", ()):
                if variable["name"] == "HF_ENDPOINT":
                    return str(variable.get("value", "")).rstrip("/")
    return hub.PUBLIC if there else None


def ask_hub(case: Case, cluster: Cluster) -> dict[Question, HubWord]:
    """Read the tokens that are there and ask the Hub about each; what cannot be read is no question for the Hub.

    `case` has its other facts already: Secrets that may not be read are among them.
    """
    wanted = [q for q in questions(case) if (case.facts.secrets.get(q.secret) or {}).get(q.key)]
    tokens: dict[tuple[str, str], str] = {}
    for name, key in dict.fromkeys((q.secret, q.key) for q in wanted):
        try:
            secret = cluster.get("v1", "Secret", name, case.facts.namespace)
        except ClusterProblem:
            continue  # it could be read a moment ago: the check says that nobody asked
        value = ((secret or {}).get("data") or {}).get(key) or ""
        # As huggingface_hub reads HF_TOKEN in the pods: without the line break at a file's end.
        tokens[name, key] = base64.b64decode(value).decode("utf-8", "replace").strip()
    asked = [q for q in wanted if (q.secret, q.key) in tokens]
    words = hub.may_read(
        [hub.Access(id=q.checkpoint, endpoint=q.endpoint, token=tokens[q.secret, q.key]) for q in asked]
    )
    return {
        question: HubWord() if failure is None else HubWord(kind=failure.kind, reason=failure.reason)
        for question, failure in zip(asked, words, strict=True)
    }


def hub_tokens(case: Case) -> Iterator[Finding]:
    """Gated models that pods download have a token; with `--hub`, the Hub lets it read them."""
    yield from _without_token(case)
    for question, models in questions(case).items():
        if question.secret in case.facts.secrets and not (case.facts.secrets[question.secret] or {}).get(
            question.key
        ):
            continue  # `secrets` says that it is not there, or holds nothing
        yield from _word(case, question, models)


def _word(case: Case, question: Question, models: tuple[str, ...]) -> Iterator[Finding]:
    where = f"Secret {case.facts.namespace}/{question.secret}"
    token = f"the token of Secret '{question.secret}'"
    finding = partial(Finding, check="hub-token", where=where, model=", ".join(models))
    lack = case.facts.missing.get(f"Secret {question.secret}")
    if case.facts.hub is None:
        if lack is None:
            yield finding(
                severity="ok",
                what=f"{token} is there; whether the Hub lets it read {question.checkpoint} was not asked: "
                "homeport doctor --hub",
            )
        return  # `secrets` says that it may not be read
    place = hub.shown(question.endpoint)
    name = place.partition("://")[2] or place
    word = case.facts.hub.get(question)
    crash = f"the download of {question.checkpoint} is refused, and the pods crash"
    again = f"homeport doctor -f {shlex.quote(case.file)} --hub"
    if word is None or word.kind not in ("", *REFUSALS):
        reason = word.reason if word is not None else (lack.why if lack else "the Secret could not be read")
        yield finding(
            severity="unknown",
            what=f"whether the Hub ({name}) lets {token} read {question.checkpoint} is not known",
            why=f"if it does not, {crash}",
            evidence=reason,
            advice="see the check reading"
            if lack is not None
            else "ask again from where the Hub can be reached",
            repair=() if lack is not None else (again,),
        )
        return
    refused = partial(finding, severity="error", why=crash, evidence=word.reason)
    if word.kind == "gated":
        yield refused(
            what=f"{question.checkpoint} is gated, and the account of {token} has not been granted access",
            advice=f"accept its licence at {place}/{question.checkpoint} with the account that the command names; some "
            "licences are granted by a person, which takes days",
            repair=(_whoami(case, question), again),
        )
    elif word.kind == "missing":
        yield refused(
            what=f"the Hub ({name}) has no {question.checkpoint} that {token} may see",
            advice="check the name; let the account that the command names into a private repository",
            repair=(_whoami(case, question), again),
        )
    elif word.kind == "denied":
        yield refused(
            what=f"the Hub ({name}) refuses {token}",
            advice=f"make a new one that may read at {place}/settings/tokens (a fine-grained one needs the right to read "
            "public gated repositories), and write it to FILE",
            repair=(_replace(case, question), again),
        )
    elif not question.pods_say and question.endpoint != hub.PUBLIC:
        yield finding(
            severity="warning",
            what=f"the Hub of your HF_ENDPOINT ({name}) lets {token} read {question.checkpoint}, but the pods will ask "
            f"{hub.PUBLIC}",
            why="what is rendered sets no HF_ENDPOINT, and the other Hub was not asked",
            advice=f"give the pods HF_ENDPOINT={place} by a Kustomize patch, or unset it here and ask again",
            repair=(f"env --unset=HF_ENDPOINT {again}",),
        )
    else:
        yield finding(severity="ok", what=f"the Hub ({name}) lets {token} read {question.checkpoint}")


def _without_token(case: Case) -> Iterator[Finding]:
    for model in case.plan.models:
        if not _downloads(model) or model.spec.hub_token is not None or model.source.local_path is not None:
            continue
        finding = partial(Finding, check="hub-token", where=f"model {model.spec.name}", model=model.spec.name)
        if model.source.gated:
            yield finding(
                severity="error",
                what=f"{model.source.checkpoint} is gated, and the spec names no Hub token",
                why="the Hub answers the download with 401, and the pods crash",
                advice=f"accept the licence at {hub.PUBLIC}/{model.source.checkpoint}, then add to the model: "
                "hub_token: {secret: hub-token, key: token}",
                repair=(create_secret(case.facts.namespace, "hub-token", ("token",)),),
            )
        elif model.source.gated is None:
            yield finding(
                severity="unknown",
                what=f"nobody knows here whether {model.source.checkpoint} is gated, and the spec names no Hub token",
                why="a gated model's download ends with 401",
                advice=f"look at {hub.PUBLIC}/{model.source.checkpoint}",
            )


def _downloads(model: ModelPlan) -> bool:
    return model.spec.weights.source in ("hub", "pvc") and loads_weights(model)


def _whoami(case: Case, question: Question) -> str:
    """Shows the account of the token, and not the token."""
    key = question.key.replace(".", "\\.")
    read = f"kubectl --namespace {case.facts.namespace} get secret {question.secret} --output jsonpath='{{.data.{key}}}'"
    endpoint = (
        "" if question.endpoint == hub.PUBLIC else f"HF_ENDPOINT={shlex.quote(hub.shown(question.endpoint))} "
    )
    return f'{endpoint}HF_TOKEN="$({read} | base64 --decode)" hf auth whoami'


def _replace(case: Case, question: Question) -> str:
    """Writes one key anew and leaves the Secret's others; the token is on no command line."""
    made = create_secret(case.facts.namespace, question.secret, (question.key,))
    return (
        f"{made} --dry-run=client --output yaml | kubectl apply --server-side --force-conflicts --filename -"
    )


CHECKS: dict[str, Check] = {"hub-token": hub_tokens}
