"""The reference of the commands, from the click command tree."""

from collections.abc import Iterator

import click

from homeport.commands.main import COMMANDS, cli
from homeport.commands.specs import FLAGS
from scripts.reference_tables import HEAD, code, table

COMMON = ("debug", "color", "verbose", "quiet")
FIELDS = tuple(flag.option for flag in FLAGS)
SPEC = ("spec_file", *("spec_" + flag.option.removeprefix("--").replace("-", "_") for flag in FLAGS))

INTRODUCTION = """# Commands

`homeport COMMAND --help` prints the same. `python -m homeport` is the same program.

## Exit codes

| code | meaning |
| --- | --- |
| 0 | fine |
| 1 | a finding: `size` was asked about one case, and it does not fit; a plan or a bill is over the spec's budget |
| 2 | a mistake in the command or in the spec, or a spec that cannot work |
| 3 | the environment: the network, a cluster, a program or an extra that is missing |
| 70 | an error of homeport itself: run it again with `--debug` and report what it prints |
| 130 | interrupted |

stdout holds the answer and nothing else; messages, warnings and errors go to stderr.

## Options from the environment

Every option can be given by the variable in its row. A flag goes before the environment, that before the file, that before
the default; `homeport config` says where each value came from. These variables have their usual meaning as well:

| variable | meaning |
| --- | --- |
| `NO_COLOR`, `TERM=dumb` | no colour, unless `--color always` |
| `HF_ENDPOINT` | the Hub, or a mirror of it, for models outside the catalog |
| `HF_TOKEN`, `HF_HOME` | the token for gated models, and where it is stored otherwise |
| `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | `1`: never ask the Hub |
| `PULUMI_BACKEND_URL`, `PULUMI_CONFIG_PASSPHRASE` | where Pulumi keeps its state, and the passphrase of its secrets |

"""


def page() -> str:
    """Return `docs/reference/commands.md`."""
    root = click.Context(cli, info_name="homeport", auto_envvar_prefix="HOMEPORT")
    plan = cli.get_command(root, "plan")
    assert plan is not None
    parts = [HEAD, INTRODUCTION]
    parts += [
        "## Options of every command\n\n",
        _options(_below(root, plan, "plan"), COMMON, variables=False),
    ]
    parts.append(
        "\nTheir variables carry the command's name: `HOMEPORT_PLAN_QUIET=1`, `HOMEPORT_RENDER_COLOR=never`.\n\n"
    )
    parts += [
        "## Options that name or make a spec\n\n",
        "Commands that take a spec read it from `-f`, and these options set fields of it. With `--model` and a "
        "workload no file is needed. `COMMAND` in a variable stands for the command's name.\n\n",
        _options(_below(root, plan, "plan"), SPEC).replace("HOMEPORT_PLAN_", "HOMEPORT_COMMAND_"),
        "\n",
    ]
    for section, commands in COMMANDS.items():
        parts.append(f"## {section}\n\n")
        for name in commands:
            command = cli.get_command(root, name)
            assert command is not None
            parts.append(_command(_below(root, command, name)))
    return "".join(parts).rstrip() + "\n"


def _below(parent: click.Context, command: click.Command, name: str) -> click.Context:
    return click.Context(command, info_name=name, parent=parent)


def _command(ctx: click.Context) -> str:
    command = ctx.command
    text, examples = _help(command)
    pieces = " ".join(command.collect_usage_pieces(ctx))
    parts = [f"### {ctx.command_path}\n\n```text\n{ctx.command_path} {pieces}\n```\n\n{text}\n\n"]
    if isinstance(command, click.Group):
        parts.append(_examples(examples))
        for name, sub in command.commands.items():
            parts.append(_command(_below(ctx, sub, name)))
        return "".join(parts)
    names = [p.name or "" for p in command.params]
    takes_spec = all(name in names for name in SPEC)
    if takes_spec:
        parts.append("Takes the [options that name or make a spec](#options-that-name-or-make-a-spec).\n\n")
    given = [
        o.name or ""
        for o in command.get_params(ctx)
        if isinstance(o, click.Option) and set(o.opts) & set(FIELDS)
    ]
    takes_fields = len(given) == len(FIELDS) and not takes_spec
    if takes_fields:
        parts.append(
            "Takes the [options that set fields of a spec](#options-that-name-or-make-a-spec), without `-f`; their "
            f"variables carry the command's name (`{ctx.auto_envvar_prefix}_MODEL`).\n\n"
        )
    left_out = (*COMMON, "help", *(SPEC if takes_spec else ()), *(given if takes_fields else ()))
    own = tuple(n for n in names if n not in left_out)
    if options := _options(ctx, own):
        parts += [options, "\n"]
    parts.append(_examples(examples))
    return "".join(parts)


def _help(command: click.Command) -> tuple[str, list[str]]:
    """Return the text of the help as paragraphs, and the examples of the epilog."""
    paragraphs = (command.help or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())
    epilog = (command.epilog or "").partition("Examples:\n")[2]
    return text, [line.strip() for line in epilog.splitlines() if line.strip()]


def _examples(lines: list[str]) -> str:
    return "```console\n" + "\n".join(f"$ {line}" for line in lines) + "\n```\n\n" if lines else ""


def _options(ctx: click.Context, names: tuple[str, ...], *, variables: bool = True) -> str:
    """Return the table of the options of these names; empty where there are none."""
    rows = [
        (
            _spelling(ctx, option),
            _default(ctx, option),
            *([code(_variable(ctx, option))] if variables else []),
            _text(option),
        )
        for option in _named(ctx, names)
    ]
    headers = ("option", "default", *(["variable"] if variables else []), "meaning")
    return table(headers, rows) if rows else ""


def _named(ctx: click.Context, names: tuple[str, ...]) -> Iterator[click.Option]:
    for param in ctx.command.get_params(ctx):
        if isinstance(param, click.Option) and param.name in names:
            yield param


def _spelling(ctx: click.Context, option: click.Option) -> str:
    names = ", ".join(option.opts)
    if option.secondary_opts:
        names += " / " + ", ".join(option.secondary_opts)
    value = "" if option.is_flag or option.count else f" {option.make_metavar(ctx)}"
    return code(names + value)


def _default(ctx: click.Context, option: click.Option) -> str:
    """Return the default: the option's own, or what its help says in brackets."""
    _, bracket, said = (option.help or "").rpartition("  [")
    if bracket:
        return said.rstrip("]").removeprefix("default: ")
    default = option.get_default(ctx, call=False)
    if isinstance(default, bool | str | int | float) and default is not False and default != "":
        return code(default)
    return ""


def _text(option: click.Option) -> str:
    text, bracket, _ = (option.help or "").rpartition("  [")
    text = text if bracket else option.help or ""
    return text + (" May be given again." if option.multiple else "")


def _variable(ctx: click.Context, option: click.Option) -> str:
    """Return the environment variable that click reads for an option."""
    if isinstance(option.envvar, str):
        return option.envvar
    if not option.allow_from_autoenv or ctx.auto_envvar_prefix is None:
        return ""
    return f"{ctx.auto_envvar_prefix}_{(option.name or '').upper()}"
