"""`preview`, `up` and `destroy` through Pulumi's Automation API, with the same program as `pulumi up` by hand."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from pulumi import automation

from homeport.errors import EnvironmentProblem
from homeport.planning.types import Plan
from homeport_infra.program import deploy
from homeport_infra.settings import Settings

PROJECT = "homeport"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation came to: how many resources it changed, by kind of change, and the stack's outputs."""

    stack: str
    changes: dict[str, int]
    outputs: dict[str, Any]


def pulumi_cli() -> str | None:
    """The path of the pulumi program, if it is installed."""
    return shutil.which("pulumi")


def state_folder() -> Path:
    """Where state is kept unless PULUMI_BACKEND_URL says otherwise: a folder of the user."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "homeport" / "pulumi"


def run(
    operation: str,
    plan: Plan,
    settings: Settings,
    stack_name: str,
    on_output: Callable[[str], None],
) -> Operation:
    """Run "preview", "up" or "destroy" on a stack. Lines of progress go to `on_output`.

    Raises EnvironmentProblem where the CLI, a plugin, the passphrase or the cluster is missing.
    """
    if pulumi_cli() is None:
        raise EnvironmentProblem(
            f"`homeport {operation}` needs the pulumi program, which is not on PATH",
            help="install it: https://www.pulumi.com/docs/install/",
        )
    try:
        stack = automation.create_or_select_stack(
            stack_name=stack_name,
            project_name=PROJECT,
            program=lambda: _program(plan, settings),
            opts=automation.LocalWorkspaceOptions(env_vars=environment(operation)),
        )
        result = getattr(stack, operation)(on_output=on_output, color="never")
    except automation.InlineSourceRuntimeError as error:
        raise EnvironmentProblem(f"the program failed: {_last_line(str(error))}") from error
    except automation.CommandError as error:
        raise failure(operation, str(error)) from error
    changes = result.change_summary if operation == "preview" else result.summary.resource_changes
    outputs = (
        {}
        if operation != "up"
        else {k: "[secret]" if v.secret else v.value for k, v in result.outputs.items()}
    )
    return Operation(
        stack=stack_name,
        changes={str(getattr(k, "value", k)): v for k, v in (changes or {}).items()},
        outputs=outputs,
    )


def _program(plan: Plan, settings: Settings) -> None:
    deploy(plan, settings)


def environment(operation: str) -> dict[str, str]:
    """What the CLI needs that the user has not set: a local backend, and no question about updates.

    Raises EnvironmentProblem without a passphrase: the state's secrets are always encrypted.
    """
    found = {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    if "PULUMI_BACKEND_URL" in os.environ:
        return found
    if not ({"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(os.environ)):
        raise EnvironmentProblem(
            f"`homeport {operation}` needs a passphrase that encrypts the secrets in its state",
            help="set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE, or PULUMI_BACKEND_URL to use another backend",
        )
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {**found, "PULUMI_BACKEND_URL": folder.as_uri()}


def failure(operation: str, output: str) -> EnvironmentProblem:
    """Say in a sentence what the CLI's output means: a missing plugin is named with the command that installs it."""
    plugin = re.search(r"resource plugin '(?:pulumi-resource-)?([\w-]+)' at version (v[\w.-]+)", output)
    if plugin:
        name, version = plugin.groups()
        return EnvironmentProblem(
            f"`homeport {operation}` needs Pulumi's plugin '{name}' {version}, which could not be downloaded",
            help=f"pulumi plugin install resource {name} {version}",
        )
    return EnvironmentProblem(
        f"pulumi {operation} failed: {_last_line(output)}",
        help="its messages are above; the state is kept, so that the same command goes on from there",
    )


def _last_line(text: str) -> str:
    """The last line of the CLI's output that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith("error:")]
    return (wrong or lines or ["no message"])[-1]
