"""The command `homeport`: its groups, its help, and how errors become messages and exit codes."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from homeport.commands.output import Output, prepare_streams
from homeport.text import nearest

# `homeport.errors` (and msgspec with it) is imported where there is an error: a help text needs neither.
if TYPE_CHECKING:
    from homeport.errors import HomeportError

INTERNAL_ERROR = 70
INTERRUPTED = 130

# section -> command -> (module, attribute, one line of help). The help stands here so that `--help` imports none of
# the modules; a test holds it to what the command itself says.
COMMANDS: dict[str, dict[str, tuple[str, str, str]]] = {
    "Decide": {
        "init": ("init", "init", "Write a commented spec to start from."),
        "plan": ("plan", "plan", "Say what to run a model on, and why."),
        "cost": ("cost", "cost", "Say what own hosting costs a month, next to the APIs."),
        "advise": ("advise", "advise", "Say whether to use an API, to host, or both."),
    },
    "Deploy": {
        "render": ("render", "render", "Write the Kubernetes manifests of a plan."),
        "diff": ("diff", "diff", "Say how a cluster differs from what a spec renders."),
        "preview": ("deploy", "preview", "Show what `up` would do, and the month's bill."),
        "up": ("deploy", "up", "Deploy with Pulumi."),
        "destroy": ("deploy", "destroy", "Remove what `up` deployed."),
        "status": ("status", "status", "Say what runs of a spec, how loaded it is, and what it costs."),
        "doctor": ("doctor", "doctor", "Say what is wrong with a cluster, and which commands repair it."),
        "bench": ("bench", "bench", "Put load on an endpoint, and compare with the plan."),
    },
    "Look up": {
        "models": ("catalog", "models", "List and show open-weight models."),
        "gpus": ("catalog", "gpus", "List and show GPUs."),
        "engines": ("catalog", "engines", "List and show inference engines."),
        "prices": ("catalog", "prices", "List, show and refresh prices of APIs and of instances."),
    },
    "Size": {
        "size": ("cases", "size", "Say what fits into a GPU's memory."),
        "throughput": ("cases", "throughput", "Say how fast a replica serves."),
        "startup": ("cases", "startup", "Say how long a replica takes to start."),
    },
    "Tools": {
        "config": ("config", "config", "Say where each value of a spec comes from."),
        "schema": ("schema", "schema", "Print the JSON Schema of the spec or of an answer."),
        "completion": ("completion", "completion", "Print the completion script of a shell."),
    },
}
BY_NAME = {name: where for section in COMMANDS.values() for name, where in section.items()}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return every command, by section."""
        return list(BY_NAME)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in BY_NAME:
            return None
        module, attribute, _ = BY_NAME[cmd_name]
        command: click.Command = getattr(import_module(f"homeport.commands.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer an unknown command with the nearest ones."""
        if args and not args[0].startswith("-") and args[0] not in BY_NAME:
            raise UnknownName("command", args[0], BY_NAME, "`homeport --help` lists the commands")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands by section."""
        for section, commands in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (_, _, text) in commands.items()])


class UnknownName(click.UsageError):
    """A name that stands in no list, answered with the nearest one."""

    def __init__(self, what: str, name: str, known: Any, otherwise: str) -> None:
        """`otherwise` is the help where nothing is near."""
        super().__init__(f"no such {what}: '{name}'")
        close = nearest(name, known)
        quoted = " or ".join(f"'{c}'" for c in close)
        self.help = f"did you mean {quoted}?" if close else otherwise


@click.group(
    cls=LazyGroup,
    no_args_is_help=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "HOMEPORT",
        "max_content_width": 100,
    },
    epilog="Every command answers --help with examples. Exit codes: 0 fine, 1 a finding, 2 a mistake in the "
    "command or the spec, 3 the environment.",
)
@click.version_option(package_name="homeport", message="homeport %(version)s", help="Print the version.")
def cli() -> None:
    """Take an open-weight language model home: decide, size, price and deploy it."""


def run(args: list[str]) -> int:
    """Run the command line; return the exit code. Every error that is expected becomes a message."""
    prepare_streams()
    out = Output()
    try:
        return _invoke(args, out)
    except BrokenPipeError:
        # `| head -1`: the reader has what it wanted. Point stdout elsewhere so that the flush at exit is silent too.
        _silence_stdout()
        return 0
    except KeyboardInterrupt:
        out.message("interrupted")
        return INTERRUPTED
    except Exception as error:
        from homeport.errors import HomeportError

        if isinstance(error, HomeportError):
            report(error, out)
            return error.exit_code
        if isinstance(error, OSError) and not out.debug:
            out.error(
                f"the system refused: {error.strerror or error}"
                + (f": {error.filename}" if error.filename else "")
            )
            return 3
        if out.debug:
            import traceback

            traceback.print_exc()
        else:
            out.error(
                f"this should not happen: {type(error).__name__}: {error}",
                help="run it again with --debug and report what it prints",
            )
        return INTERNAL_ERROR


def _invoke(args: list[str], out: Output) -> int:
    try:
        code = cli.main(args, prog_name="homeport", standalone_mode=False, obj=out)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except SystemExit:
        # click's own answer to a closed pipe: messages never get here, so it is the reader of the answer who left.
        _silence_stdout()
        return 0
    except click.Abort:
        out.message("interrupted")
        return INTERRUPTED
    except click.NoSuchOption as error:
        out.error(f"no such option: {error.option_name}", help=_usage_help(error))
        return 2
    except click.UsageError as error:
        out.error(error.format_message(), help=_usage_help(error))
        return 2
    except click.ClickException as error:
        out.error(error.format_message())
        return 2
    return code if isinstance(code, int) else 0


def _usage_help(error: click.UsageError) -> str:
    import re  # only a mistake pays for it

    if isinstance(error, click.NoSuchOption) and error.possibilities:
        best = nearest(error.option_name, error.possibilities) or sorted(error.possibilities)
        return f"did you mean {' or '.join(best)}?"
    extra = re.search(r"unexpected extra arguments? \((\S+\.ya?ml)", error.format_message())
    if extra:
        return f"a spec is named with -f: -f {extra.group(1)}"
    given = getattr(error, "help", None)
    if given:
        return str(given)
    return f"`{error.ctx.command_path} --help` says how it is used" if error.ctx else "`homeport --help`"


def report(error: "HomeportError", out: Output) -> None:
    """Write an error of the library as messages: one for each problem, and what to do next."""
    from homeport.errors import SpecError

    if out.debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, SpecError):
        from homeport.commands.specs import describe

        for text in describe(error):
            out.problem(text)
        return
    out.error(str(error), help=getattr(error, "help", None))


def _silence_stdout() -> None:
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every command takes: --quiet, --verbose, --color, --debug. They act on the run's Output."""

    def set_on_output(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        out = ctx.ensure_object(Output)
        if param.name and value is not None and value is not False:
            setattr(out, param.name, value)

    def option(*names: str, **attributes: Any) -> Callable[..., Any]:
        return click.option(*names, expose_value=False, is_eager=True, callback=set_on_output, **attributes)

    for add in (
        option("--debug", is_flag=True, help="Show the traceback of an error."),
        option("--color", type=click.Choice(["auto", "always", "never"]), help="When to use colour.  [auto]"),
        option("-v", "--verbose", is_flag=True, help="Say more on stderr."),
        option("-q", "--quiet", is_flag=True, help="Only errors on stderr."),
    ):
        command = add(command)
    return command


def output_option(*formats: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `-o table|json|yaml` (the first of `formats` is the default)."""
    from homeport.commands.choices import NearestChoice

    return click.option(
        "-o",
        "--output",
        "output_format",
        type=NearestChoice(formats or ("table", "json", "yaml")),
        default=(formats or ("table",))[0],
        show_default=True,
        help="How the answer is printed.",
    )


def examples(*lines: str) -> str:
    """Make the epilog of a command's help: its examples, each on a line of its own, run by a test."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
