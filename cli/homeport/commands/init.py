"""`homeport init`: a commented spec to start from."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.commands.choices import CatalogName, api_ids
from homeport.commands.main import common_options, examples
from homeport.commands.output import Output
from homeport.commands.specs import DEFAULT_FILE, FLAGS

if TYPE_CHECKING:
    from homeport.errors import Problem

FieldPath = tuple[str | int, ...]
Given = dict[FieldPath, tuple[Any, str]]

MODEL: FieldPath = ("models", 0, "model")
NAME: FieldPath = ("name",)
TARGET: FieldPath = ("target", "platform")
# field -> the question, and what stands there when the answer is empty (None: an answer is needed)
QUESTIONS: dict[FieldPath, tuple[str, str | None]] = {
    MODEL: ("Model (a catalog id, a Hub id or a path; for example Qwen/Qwen3-8B)", None),
    ("models", 0, "workload", "requests_per_day"): ("Requests a day, on average (for example 100000)", None),
    ("models", 0, "workload", "input_tokens"): ("Prompt tokens of an average request", "1000"),
    ("models", 0, "workload", "output_tokens"): ("Generated tokens of an average request", "500"),
    TARGET: ("Where it shall run (kind, minikube, gke, eks, aks, generic)", "generic"),
    NAME: ("Name of the whole", ""),
}


def _flag_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that set a field of a spec."""
    for flag in reversed(FLAGS):
        command = click.option(flag.option, type=flag.type, help=flag.help)(command)
    return command


@click.command(
    epilog=examples(
        "homeport init --model Qwen/Qwen3-8B --requests-per-day 20000 --input-tokens 800 --output-tokens 300 -o -",
        "homeport init --force --target kind --model Qwen/Qwen2.5-0.5B-Instruct --requests-per-day 100 "
        "--input-tokens 200 --output-tokens 100 -o local.yaml",
    )
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default=DEFAULT_FILE,
    show_default=True,
    help="Where to write it; '-' prints it.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option("--name", help="Name of the whole.  [made from the model's]")
@_flag_options
@click.option(
    "--compare", multiple=True, type=CatalogName(api_ids, "API model"), help="An API model to compare with."
)
@common_options
@click.pass_obj
def init(
    out: Output, /, *, output: str, force: bool, name: str | None, compare: tuple[str, ...], **flags: Any
) -> None:
    """Write a commented spec to start from.

    Every field stands in it: those that are set, and as comments those that have a default. What no flag sets is
    asked for on a terminal; elsewhere the flags that are missing are an error.
    """
    target = None if output == "-" else _writable(output, force)
    given = _given(name, compare, flags)
    if sys.stdin.isatty():
        _ask(given, out)
    text = _starter(given)
    if target is None:
        out.data(text)
        return
    write_new(target, text, force)
    out.message(f"wrote {output}; next: homeport plan -f {output}")


def _given(name: str | None, compare: tuple[str, ...], flags: dict[str, Any]) -> Given:
    """Return the fields that the command line sets, each with its value and its flag."""
    given: Given = {}
    for flag in FLAGS:
        value = flags[flag.option.removeprefix("--").replace("-", "_")]
        if value is not None:
            given[flag.path] = value, flag.option
    if name is not None:
        given[NAME] = name, "--name"
    if compare:
        given[("compare",)] = list(compare), "--compare"
    return given


def _starter(given: Given) -> str:
    """Return the text of the spec. Raises SpecError with every problem of the flags."""
    from homeport.errors import SpecError
    from homeport.spec.overrides import and_also, from_flags, values_of
    from homeport.spec.starter import starter

    problems = []
    if MODEL in given:
        problem = _unknown_model(str(given[MODEL][0]))
        problems = [problem] if problem else []
    try:
        loaded = from_flags(given)
    except SpecError as error:
        raise and_also(error, problems) from None
    if problems:
        from homeport.spec.source import spec_error

        raise spec_error(problems, loaded.source)
    return starter(values_of(given))


def _unknown_model(name: str) -> "Problem | None":
    """Return what is wrong with a model's name: it is none of the catalog's, no Hub id and no path."""
    from homeport.catalog.models import model
    from homeport.errors import NotFoundError, Problem

    if "/" in name.strip("/") or Path(name).exists():
        return None  # a Hub id or a path: planning looks it up
    try:
        model(name)
    except NotFoundError as error:
        close = " or ".join(error.nearest)
        advice = f"did you mean {close}?" if close else "`homeport models list` shows the catalog's"
        return Problem(message=str(error).partition(";")[0], path=MODEL, value=name, help=advice)
    return None


def _ask(given: Given, out: Output) -> None:
    """Ask on the terminal for what is needed and not given; a bad answer is explained and asked for again."""
    from homeport.spec.overrides import NEEDED, name_of

    if all(path in given for path in NEEDED):
        return
    out.message("Empty answers take the value in brackets; Ctrl-C leaves without writing.")
    for path, (question, default) in QUESTIONS.items():
        if path in given:
            continue
        if path == NAME:
            default = name_of(str(given[MODEL][0]))
        answer = click.prompt(
            question, default=default, err=True, value_proc=lambda text, p=path: _answer(p, text)
        )
        given[path] = answer, ""


def _answer(path: FieldPath, text: str) -> Any:
    """Turn an answer into the field's value. Raises click.UsageError, upon which click asks again."""
    from homeport.errors import SpecError
    from homeport.spec.compose import compose
    from homeport.spec.overrides import from_flags

    text = text.strip()
    value: Any = (
        compose(text).value if path[-1] in ("requests_per_day", "input_tokens", "output_tokens") else text
    )
    problem = _unknown_model(text) if path == MODEL else None
    if problem is None:
        try:
            from_flags({path: (value, "")})
        except SpecError as error:
            own = (p for p in error.problems if p.path == path and p.message != "missing")
            problem = next(own, None)
    if problem:
        raise click.UsageError("; ".join(filter(None, (problem.message, problem.help))))
    return value


def _writable(output: str, force: bool) -> Path:
    """Return where to write. Raises click.UsageError where something is in the way: before any question is asked."""
    path = Path(output)
    if path.is_dir():
        raise click.UsageError(f"'{output}' is a folder; -o names a file")
    if not path.parent.is_dir():
        raise click.UsageError(f"there is no folder '{path.parent}'")
    if path.exists() and not force:
        raise _exists(output)
    return path


def _exists(output: str) -> click.UsageError:
    error = click.UsageError(f"'{output}' exists")
    error.help = "choose another name with -o, or replace it with --force"  # type: ignore[attr-defined]
    return error


def write_new(path: Path, text: str, force: bool) -> None:
    """Write a file so that it is whole or absent whenever the process dies.

    Without `force`, a file that has appeared meanwhile is left as it is (click.UsageError). Raises EnvironmentProblem
    where the folder cannot be written to.
    """
    from homeport.files import write_whole

    try:
        write_whole(path, text, replace=force)
    except FileExistsError:
        raise _exists(str(path)) from None
