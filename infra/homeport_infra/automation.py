"""`preview`, `up` and `destroy` through Pulumi's Automation API, with the same program as `pulumi up` by hand."""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from pulumi import automation

from homeport.errors import EnvironmentProblem, HomeportError
from homeport.planning.types import Plan
from homeport_infra import kept, reach, state
from homeport_infra.events import Event, Recorder, Step
from homeport_infra.failures import Stopped, failure, last_line
from homeport_infra.process import Cli, needed
from homeport_infra.program import Part, deploy, told
from homeport_infra.settings import Settings, is_urn

PROJECT = "homeport"
Operation = Literal["preview", "up", "destroy"]
MUTABLE = {"PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE": "true", "PULUMI_K8S_ENABLE_SECRET_MUTABLE": "true"}
"""Changed data is an update in place: else the provider deletes what running pods have mounted and makes it anew."""
FORCE = {"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"}
ADOPT = {"PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true", **FORCE}
EARLIER = "pulumi-kubernetes-"
"""How the Kubernetes provider names itself as a field manager; a random end follows."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with which stack.

    `backend` "" is PULUMI_BACKEND_URL, else a folder of the user. `targets` are names of models or URNs (with wildcards);
    empty is everything. `refresh` looks at the cluster first, `adopt` takes over objects that exist and fields that others
    own. `delete_weights` lets a destroy remove the claims that hold weights; `dry_run` lets it only say what it would remove.
    `kubeconfig` and `context` "" are those of the environment.
    """

    operation: Operation
    stack: str = "dev"
    backend: str = ""
    targets: tuple[str, ...] = ()
    refresh: bool = False
    adopt: bool = False
    delete_weights: bool = False
    dry_run: bool = False
    kubeconfig: str = ""
    context: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation came to.

    `only` are the targets that it was held to (empty: everything). `steps` are what happens to each resource, `changes` how
    many of them there are by verb, `drifted` what was found changed by others (only with `refresh`). `before` are the
    stack's outputs before, `outputs` those after an `up`; secrets read "[secret]". `kept` are the volumes of weights that a
    destroy left, `resumed` what a run that was cut off had been doing.
    """

    stack: str
    only: tuple[str, ...]
    changes: dict[str, int]
    steps: tuple[Step, ...]
    drifted: tuple[Step, ...]
    before: dict[str, Any]
    outputs: dict[str, Any]
    kept: tuple[kept.Volume, ...]
    resumed: tuple[state.Interrupted, ...]


def run(request: Request, plan: Plan, settings: Settings, listen: Callable[[Event], None]) -> Outcome:
    """Run one operation on a stack; `listen` gets the events as they happen.

    Raises EnvironmentProblem where the CLI, a plugin, the passphrase, the lock or the cluster stands in the way, Stopped
    where the user stopped it, and what `deploy` raises.
    """
    needed(request.operation)
    recorder = Recorder(listen)
    _reachable(request, plan, settings, recorder)
    env = state.environment(request.operation, request.backend)
    backend = env["PULUMI_BACKEND_URL"]
    wrong = recorder.wrong
    before: dict[str, Any] = {}

    def program() -> None:
        with told():
            try:
                deploy(
                    plan, settings, Part(only=request.targets, outputs=before) if request.targets else None
                )
            except HomeportError as error:
                wrong.append(error)
                raise

    cli = Cli()
    with (
        _explained(request, backend, cli, recorder, wrong),
        tempfile.TemporaryDirectory(prefix="homeport-") as folder,
        cli.passing_signals(recorder.say),
    ):
        _leftovers_unsaid()
        for holder in state.break_dead_locks(backend, PROJECT, request.stack):
            recorder.say(f"{holder} held the lock of stack {request.stack} and is gone: the lock is removed")
        # A stack that nobody made has nothing to destroy: it is not made for that.
        find = (
            automation.select_stack if request.operation == "destroy" else automation.create_or_select_stack
        )
        if request.kubeconfig:
            env["KUBECONFIG"] = str(Path(request.kubeconfig).expanduser().absolute())
        options = automation.LocalWorkspaceOptions(
            work_dir=folder, env_vars={**env, **MUTABLE}, pulumi_command=cli
        )
        stack = find(stack_name=request.stack, project_name=PROJECT, program=program, opts=options)
        return _operate(request, stack, cli, recorder, before)


def _reachable(request: Request, plan: Plan, settings: Settings, recorder: Recorder) -> None:
    """Say that no cluster answers: an error where one is to be changed, a warning in a preview.

    A stack of nodes alone, or one that makes its cluster, needs none to start with; one whose cluster another stack made
    may have no kubeconfig here, and finds out as it goes.
    """
    if settings.create_cluster or settings.cluster_stack or set(settings.layers_of(plan)) == {"cluster"}:
        return
    why = reach.unreachable(request.kubeconfig, request.context)
    if why is None:
        return
    if request.operation != "preview":
        raise EnvironmentProblem(
            f"no cluster can be reached: {why}",
            help="start the cluster, or name it with --kubeconfig and --context",
        )
    recorder.say(
        f"no cluster can be reached: {why}; the preview shows what would be made, unchecked", "warning"
    )


def _operate(
    request: Request, stack: automation.Stack, cli: Cli, recorder: Recorder, before: dict[str, Any]
) -> Outcome:
    """Run the operation; `before`, empty, gets the stack's outputs as they are before it (none of what was destroyed)."""
    exported = stack.export_stack()
    deployment: Mapping[str, Any] = exported.deployment or {}
    if not kept.alone(deployment):
        before.update(state.stack_outputs(deployment))
    # With the stack's own salt the CLI sees a wrong passphrase even where the state holds no secret yet.
    salt = state.salt(deployment)
    if salt:
        stack.workspace.save_stack_settings(request.stack, automation.StackSettings(encryption_salt=salt))
    if request.context:
        stack.set_config("kubernetes:context", automation.ConfigValue(value=request.context))
    resumed = tuple(state.cut_off(deployment))
    if request.operation != "preview" and not request.dry_run:
        _prepare(request, stack, exported, resumed)
    if request.adopt:
        stack.workspace.env_vars = {**stack.workspace.env_vars, **ADOPT}
    common: dict[str, Any] = {"color": "never", "on_event": recorder}
    if request.refresh:
        common["refresh"] = True
    targets = [url for name in request.targets for url in target(name)]
    if targets:
        common |= {"target": targets, "target_dependents": request.operation == "destroy"}
    volumes: tuple[kept.Volume, ...] = ()
    outputs: dict[str, Any] = {}
    if request.operation == "destroy":
        if not request.delete_weights and not targets:
            volumes = kept.volumes(deployment)
            spared = kept.spared(deployment)
            cli.more["destroy"] = tuple(text for urn in spared for text in ("--exclude", urn))
        if request.dry_run:
            stack.preview_destroy(show_secrets=False, **common)
        else:
            stack.destroy(show_secrets=False, **common)
    elif request.operation == "up":
        made = _up(stack, recorder, common)
        outputs = {key: "[secret]" if value.secret else value.value for key, value in made.outputs.items()}
    else:
        stack.preview(**common)
    return Outcome(
        stack=request.stack,
        only=request.targets,
        changes=recorder.changes,
        steps=recorder.steps,
        drifted=tuple(recorder.drifted),
        before=before,
        outputs=outputs,
        kept=volumes,
        resumed=resumed,
    )


def _up(stack: automation.Stack, recorder: Recorder, common: dict[str, Any]) -> automation.UpResult:
    """Deploy; once more where all that stood in the way were fields of an earlier Pulumi run.

    The provider names itself anew for each object that it creates, so what a lost or adopted run made belongs to a
    manager that nobody is any more.
    """
    try:
        return stack.up(show_secrets=False, **common)
    except automation.CommandError:
        managers = set(re.findall(r'conflicts? with "([^"]+)"', "\n".join(recorder.errors)))
        if not managers or not all(name.startswith(EARLIER) for name in managers):
            raise
    recorder.say("fields of an earlier run of Pulumi are taken over")
    recorder.errors.clear()
    stack.workspace.env_vars = {**stack.workspace.env_vars, **FORCE}
    return stack.up(show_secrets=False, **common)


def _prepare(
    request: Request,
    stack: automation.Stack,
    exported: automation.Deployment,
    resumed: tuple[state.Interrupted, ...],
) -> None:
    """Set right in the state what a cut-off run left, so that this one goes on.

    An object of the cluster that was being created may exist or not: this run takes it over if it does. A destroy
    deletes what makes pods: it would stand outside of every state, with the GPUs that it holds. A cloud's resource cannot be
    taken over so: the engine goes on warning of it until it is imported or gone.
    """
    deployment = dict(exported.deployment or {})
    clear = [r for r in resumed if r.operation != "creating" or r.token.startswith("kubernetes:")]
    changed = False
    if clear:
        urns = {r.urn for r in clear}
        deployment["pending_operations"] = [
            p for p in deployment["pending_operations"] if p["resource"]["urn"] not in urns
        ]
        changed = True
    if any(r.operation == "creating" for r in clear):
        stack.workspace.env_vars = {**stack.workspace.env_vars, **ADOPT}
    if request.operation == "destroy":
        begun = state.begun_pods(exported.deployment or {})
        deployment["resources"] = [*deployment.get("resources", ()), *begun]
        if request.delete_weights:
            changed = kept.release(deployment) or changed
    if changed:
        stack.import_stack(automation.Deployment(version=exported.version, deployment=deployment))


def target(name: str) -> Iterator[str]:
    """The URNs that a target names: a model's own (its component and all in it) and its namespace, or a URN as it is."""
    if is_urn(name):
        yield name
        return
    yield f"**homeport:index:ModelServer::{name}"
    yield f"**homeport:index:ModelServer$**::{name}-*"
    yield "**kubernetes:core/v1:Namespace::namespace-*"


@contextmanager
def _explained(
    request: Request, backend: str, cli: Cli, recorder: Recorder, wrong: list[HomeportError]
) -> Iterator[None]:
    """Turn what the SDK raises into a sentence."""
    try:
        yield
    except (automation.CommandError, automation.InlineSourceRuntimeError, KeyboardInterrupt) as error:
        if wrong:
            raise wrong[0] from None
        if cli.interrupted:
            raise Stopped(
                f"stopped; what was done is in the state of stack {request.stack}",
                help="the same command goes on from there",
            ) from error
        if isinstance(error, automation.InlineSourceRuntimeError):
            raise EnvironmentProblem(f"the program failed: {last_line(str(error))}") from error
        text = "\n".join((*recorder.errors, str(error)))
        raise failure(request.operation, text, stack=request.stack, backend=backend) from error


def _leftovers_unsaid() -> None:
    """Say nothing of the SDK's coroutine that is left where the engine ended a program's run before it was over.

    It is found whenever the interpreter gets to it, at the process's end at the latest: so it stays unsaid until then.
    """
    said = sys.unraisablehook
    if getattr(said, "__name__", "") == "unsaid":
        return

    def unsaid(left: Any) -> None:
        if getattr(left.object, "__name__", "") != "run_in_stack":
            said(left)

    sys.unraisablehook = unsaid
