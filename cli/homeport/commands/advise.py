"""`homeport advise`: own hosting, an API, or both."""

import sys
from functools import partial
from typing import Any

import click

from homeport.commands.choices import CatalogName, NearestChoice, api_ids
from homeport.commands.main import common_options, examples, output_option
from homeport.commands.output import Format, Output
from homeport.commands.pricing import old_price_warnings, prices_option
from homeport.commands.specs import SpecOptions, spec_options

Path = tuple[str | int, ...]

# option -> (field of the spec, what it may be, help)
ANSWERS: dict[str, tuple[Path, tuple[str, ...], str]] = {
    "--regime": (
        ("compliance", "regime"),
        ("healthcare_phi_hipaa", "financial_pci_gdpr", "government_ilr5", "startup_mvp"),
        "Rules that the data is under.",
    ),
    "--privacy": (
        ("advise", "privacy"),
        ("may_leave", "under_contract", "part_must_stay", "must_stay"),
        "Whether data may leave.",
    ),
    "--capability": (
        ("advise", "capability"),
        ("narrow", "comparable", "leading"),
        "How good the answers must be.",
    ),
    "--features": (
        ("advise", "features"),
        ("not_needed", "later", "at_once"),
        "Tools, search and vision out of the box.",
    ),
    "--customisation": (
        ("advise", "customisation"),
        ("none", "light", "deep"),
        "How far the model itself must be changed.",
    ),
    "--team": (("advise", "team"), ("none", "learning", "skilled"), "Skills in running GPUs and models."),
    "--predictability": (
        ("advise", "predictability"),
        ("no", "somewhat", "yes"),
        "Whether the bill must be predictable.",
    ),
    "--lock-in": (
        ("advise", "lock_in"),
        ("no", "somewhat", "yes"),
        "Whether being tied to a provider matters.",
    ),
    "--start": (("advise", "start"), ("days", "weeks", "months"), "When the first users must be served."),
}


def _answers(command: Any) -> Any:
    for option, (_, values, text) in reversed(ANSWERS.items()):
        command = click.option(option, type=NearestChoice(values), help=text)(command)
    return command


class Weighting(click.ParamType):  # type: ignore[type-arg]  # generic in some releases of click only
    """`volume=5`: a criterion and its weight."""

    name = "criterion=weight"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Return the criterion and its weight, or fail with the nearest criterion."""
        from homeport.spec.policy import CriterionWeights
        from homeport.text import nearest

        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        name = name.strip().replace("-", "_")
        known = CriterionWeights.__struct_fields__
        if name not in known:
            close = nearest(name, known, 1) or list(known)
            error = click.BadParameter(f"no criterion '{name}'", ctx=ctx, param=param)
            error.help = f"did you mean {close[0]}?" if len(close) == 1 else f"one of {', '.join(known)}"  # type: ignore[attr-defined]
            raise error
        try:
            weight = float(text)
        except ValueError:
            weight = -1.0
        if not equals or not 0 <= weight <= 100:
            self.fail(f"'{value}' is not criterion=weight, a weight from 0 to 100", param, ctx)
        return name, weight


@click.command(
    epilog=examples(
        "homeport advise -f homeport.yaml --team skilled --privacy under_contract",
        "homeport advise --model meta-llama/Llama-3.1-70B-Instruct --requests-per-day 20000 --input-tokens 1000 "
        "--output-tokens 500 --compare gpt-4.1 --regime healthcare_phi_hipaa -o json",
    )
)
@spec_options
@click.option(
    "--compare",
    multiple=True,
    type=CatalogName(api_ids, "API model"),
    help="An API model to weigh against, again for more; instead of the spec's.",
)
@_answers
@click.option(
    "--residency", multiple=True, metavar="ZONE", help="Where data may be: eu, us, de …; again for more."
)
@click.option("--air-gapped", is_flag=True, help="It must run cut off from the world.")
@click.option(
    "--weight", "weights", multiple=True, type=Weighting(), help="Another weight, such as volume=5."
)
@click.option("--ask/--no-ask", default=None, help="Ask for what was not said.  [on a terminal]")
@prices_option
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def advise(
    out: Output,
    /,
    options: SpecOptions,
    *,
    compare: tuple[str, ...],
    residency: tuple[str, ...],
    air_gapped: bool,
    weights: tuple[tuple[str, float], ...],
    ask: bool | None,
    output_format: Format,
    **answers: str | None,
) -> None:
    """Say whether to use an API, to host, or both.

    The verdict, what no weight outweighs, every criterion with its weight, and the smallest change that would turn
    it. Answers stand in the spec (`advise:`, `compliance:`) or are given here. It is no legal advice.
    """
    _put(options, compare, residency, air_gapped, weights, answers)
    if ask or (ask is None and output_format == "table" and sys.stdin.isatty() and sys.stderr.isatty()):
        _ask(out, options)
    from homeport.advice.advise import advise as advice_of

    with options.reading() as loaded:
        advice = advice_of(loaded.spec, options.base_dir, named=bool(compare))
    old = old_price_warnings(advice.priced)
    if output_format == "table":
        from homeport.advice.table import as_table

        out.data(as_table(advice, lambda text: out.style(text, bold=True)))
        for text in (*advice.warnings, *old):
            out.warn(text)
    else:
        from homeport.advice.output import as_answer

        out.structured(as_answer(advice, old), output_format)


def _put(
    options: SpecOptions,
    compare: tuple[str, ...],
    residency: tuple[str, ...],
    air_gapped: bool,
    weights: tuple[tuple[str, float], ...],
    answers: dict[str, str | None],
) -> None:
    """Put what the command line says over the spec."""
    if compare:
        options.put(("compare",), list(dict.fromkeys(compare)), "--compare")
    if residency:
        options.put(("compliance", "residency"), list(dict.fromkeys(residency)), "--residency")
    if air_gapped:
        options.put(("compliance", "air_gapped"), True, "--air-gapped")
    for name, weight in weights:
        options.put(("advise", "weights", name), weight, "--weight")
    for option, (path, _, _) in ANSWERS.items():
        value = answers[option.removeprefix("--").replace("-", "_")]
        if value is not None:
            options.put(path, value, option)


def _ask(out: Output, options: SpecOptions) -> None:
    """Ask for each answer that neither the spec nor a flag gives; an empty one leaves it unsaid."""
    spec = options.load().spec
    out.message("Empty answers are counted for neither side; Ctrl-C leaves.")
    for option, (path, values, text) in ANSWERS.items():
        if getattr(getattr(spec, str(path[0])), str(path[1])) is not None:
            continue
        question = f"{text.rstrip('.')} ({', '.join(values)})"
        answer = click.prompt(
            question,
            default="",
            show_default=False,
            err=True,
            value_proc=partial(_one_of, values=values),
        )
        if answer:
            options.put(path, answer, option)


def _one_of(given: str, values: tuple[str, ...]) -> str:
    """Return an answer as it is written in a spec. Raises click.UsageError, upon which click asks again."""
    from homeport.text import nearest

    word = given.strip().lower().replace(" ", "_").replace("-", "_")
    if not word or word in values:
        return word
    close = nearest(word, values, 1)
    raise click.UsageError(f"one of {', '.join(values)}" + (f"; did you mean {close[0]}?" if close else ""))
