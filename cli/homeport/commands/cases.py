"""`homeport size|throughput|startup`: one case from flags, or a file of cases answered line by line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from homeport.commands.choices import CatalogName, NearestChoice, gpu_ids, model_ids
from homeport.commands.main import common_options, examples, output_option
from homeport.commands.output import Output

if TYPE_CHECKING:
    from homeport.commands.cases_view import One

ENGINES = ("vllm", "sglang", "trtllm", "tgi", "cpu")
STORAGES = ("hub", "nvme", "ssd", "pvc", "nfs", "object_store", "page_cache", "unknown")
WEIGHT_DTYPES = ("auto", "bfloat16", "float16", "float32")
KV_DTYPES = ("auto", "fp16", "fp8", "fp8_e4m3")
BAD_LINE = 2
DOES_NOT_FIT = 1

Command = Callable[..., Any]

_POSITIVE = click.IntRange(min=1)
_SHARED = (
    click.option(
        "--cases",
        "cases_file",
        type=click.Path(allow_dash=True),
        help="A file of cases, one JSON object a line (`-` reads stdin), answered as JSON lines.",
    ),
    click.option(
        "--model", type=CatalogName(model_ids, "model"), help="Catalog id, a config.json, or Hub id."
    ),
    click.option("--gpu", type=CatalogName(gpu_ids, "gpu"), help="GPU id (engine cpu: none)."),
    click.option("--engine", type=NearestChoice(ENGINES), default="vllm", show_default=True),
    click.option("--engine-version", metavar="VERSION", help="[default: the newest that is known]"),
    click.option("--tensor-parallel-size", type=_POSITIVE, default=1, help="GPUs that share each layer."),
    click.option("--pipeline-parallel-size", type=_POSITIVE, default=1, help="Stages of layers."),
    click.option(
        "--weight-dtype", type=NearestChoice(WEIGHT_DTYPES), default="auto", help="Of what is not quantised."
    ),
    click.option("--quantization", metavar="METHOD", help="fp8, awq …  [default: as the config says]"),
    click.option("--kv-cache-dtype", type=NearestChoice(KV_DTYPES), default="auto"),
    click.option(
        "--gpu-memory-utilization",
        type=click.FloatRange(0, 1, min_open=True),
        help="The engine's share of the memory.  [default: the engine's]",
    ),
    click.option(
        "--max-model-len", type=_POSITIVE, help="Tokens of the longest request.  [default: the model's]"
    ),
    click.option(
        "--max-num-batched-tokens", type=_POSITIVE, help="Tokens of a batch.  [default: the engine's]"
    ),
    click.option("--explain", is_flag=True, help="Show the formulas, their numbers and sources."),
)


def _question(*own: Any, text: str, lines: tuple[str, ...]) -> Callable[[Callable[..., int]], click.Command]:
    """Make a command that answers one kind of question: what all of them take, and its `own` options."""

    def make(function: Callable[..., int]) -> click.Command:
        command: Command = function
        command = common_options(output_option()(command))
        for option in reversed((*_SHARED, *own)):
            command = option(command)
        return click.command(help=text, epilog=examples(*lines))(click.pass_context(command))

    return make


@_question(
    text="Say what fits into a GPU's memory: weights, activation, KV cache, and how many requests that holds.\n\n"
    "Exit code 1: one case was asked for and does not fit.",
    lines=(
        "homeport size --model Llama-3.1-8B-Instruct --gpu L40S --max-model-len 8192",
        "homeport size --model Qwen3-32B --gpu H100-SXM-80GB --tensor-parallel-size 2 --explain",
    ),
)
def size(ctx: click.Context, **given: Any) -> int:
    """Answer cases of memory."""
    if given["cases_file"] is not None:
        from homeport.sizing.cases import answer_size, case

        return _lines(ctx.obj, given, lambda line: answer_size(case(line)))
    from homeport.commands.cases_view import size_view

    fits = size_view(ctx.obj, _one(given), given["output_format"], explain=given["explain"])
    return 0 if fits else DOES_NOT_FIT


@_question(
    click.option("--input-tokens", type=click.FloatRange(min=1), help="Prompt tokens of a request (mean)."),
    click.option(
        "--output-tokens", type=click.FloatRange(min=1), help="Generated tokens of a request (mean)."
    ),
    click.option(
        "--concurrency", type=_POSITIVE, help="Requests kept in flight.  [default: all requests at once]"
    ),
    text="Say how fast a replica serves: time to first token, time per output token, output tokens a second.",
    lines=(
        "homeport throughput --model Llama-3.1-8B-Instruct --gpu L40S --input-tokens 1000 --output-tokens 500 "
        "--concurrency 16",
        "homeport throughput --model Qwen3-32B --gpu H100-SXM-80GB --input-tokens 2000 --output-tokens 200 -o json",
    ),
)
def throughput(ctx: click.Context, **given: Any) -> int:
    """Answer cases of throughput."""
    if given["cases_file"] is not None:
        from homeport.sizing.cases import case
        from homeport.sizing.throughput_cases import answer_throughput

        return _lines(ctx.obj, given, lambda line: answer_throughput(case(line)))
    for name in ("input_tokens", "output_tokens"):
        if given[name] is None:
            raise click.UsageError(f"give --{name.replace('_', '-')}, or --cases FILE")
    if given["engine"] == "cpu":
        raise click.UsageError(
            "the speed of the engine cpu is the node's own: measure it with `homeport bench`"
        )
    from homeport.commands.cases_view import throughput_view
    from homeport.sizing.types import Load

    load = Load(
        input_tokens=given["input_tokens"],
        output_tokens=given["output_tokens"],
        concurrency=given["concurrency"],
    )
    comes_up = throughput_view(ctx.obj, _one(given), load, given["output_format"], explain=given["explain"])
    return 0 if comes_up else 1


@_question(
    click.option(
        "--storage",
        type=NearestChoice(STORAGES),
        default="hub",
        show_default=True,
        help="Where the weights lie when the process starts.",
    ),
    click.option(
        "--loader",
        default="default",
        show_default=True,
        help="How they are read: runai_streamer, tensorizer …",
    ),
    click.option("--compile-cached/--compile-cold", default=None, help="Whether the compile cache is kept."),
    click.option("--eager", is_flag=True, help="Neither compile nor capture CUDA graphs."),
    click.option("--download-s", type=click.FloatRange(min=0), help="Seconds of the download, where known."),
    click.option(
        "--network-gib-s", type=click.FloatRange(min=0, min_open=True), help="The network's rate, GiB/s."
    ),
    click.option(
        "--storage-gib-s", type=click.FloatRange(min=0, min_open=True), help="The disk's rate, GiB/s."
    ),
    text="Say how long a replica takes to start: download, load, compile, capture graphs, be ready.",
    lines=(
        "homeport startup --model Llama-3.1-8B-Instruct --gpu L40S --storage nvme",
        "homeport startup --model Llama-3.1-70B-Instruct --gpu H100-SXM-80GB --tensor-parallel-size 4 --explain",
    ),
)
def startup(ctx: click.Context, **given: Any) -> int:
    """Answer cases of start-up."""
    if given["cases_file"] is not None:
        from homeport.sizing.startup_cases import answer_startup, startup_case

        return _lines(ctx.obj, given, lambda line: answer_startup(startup_case(line)))
    from homeport.commands.cases_view import startup_view
    from homeport.sizing.types import Start

    start = Start(
        storage=given["storage"],
        loader=given["loader"],
        compile_cached=given["compile_cached"],
        eager=given["eager"] or given["engine"] == "cpu" or None,  # as it is rendered
        download_s=given["download_s"],
        network_gib_s=given["network_gib_s"],
        storage_gib_s=given["storage_gib_s"],
    )
    startup_view(ctx.obj, _one(given), start, given["output_format"], explain=given["explain"])
    return 0


def _one(given: dict[str, Any]) -> "One":
    """Read the flags of one case."""
    from homeport.commands.cases_view import one
    from homeport.sizing.types import Settings

    if given["engine"] == "cpu":
        if given["gpu"] not in (None, "CPU"):
            raise click.UsageError(f"the engine cpu has no kernels for a {given['gpu']}: leave --gpu out")
        given = {**given, "gpu": "CPU"}
    missing = [f"--{name}" for name in ("model", "gpu") if given[name] is None]
    if missing:
        raise click.UsageError(f"give {' and '.join(missing)}, or --cases FILE")
    settings = {k: given[k] for k in Settings.__struct_fields__ if k in given}
    return one(given["model"], given["gpu"], settings)


def _lines(out: Output, given: dict[str, Any], answer: Callable[[bytes], Any]) -> int:
    """Answer every line of a file; a line that can't be answered is an error of its own, and the others go on."""
    name: str = given["cases_file"]
    if given["model"] is not None or given["gpu"] is not None:
        raise click.UsageError("give either --cases, or --model and --gpu")
    if given["output_format"] == "yaml":
        raise click.UsageError("cases are answered as JSON lines: leave -o out or give -o json")
    if name == "-":
        return _answer(out, "<stdin>", sys.stdin.buffer, answer)
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - only opening it may fail with a usage error
    except OSError as error:
        raise click.UsageError(f"--cases {name}: {(error.strerror or str(error)).lower()}") from None
    with file:
        return _answer(out, name, file, answer)


def _answer(out: Output, name: str, stream: IO[bytes], answer: Callable[[bytes], Any]) -> int:
    import msgspec

    from homeport.errors import HomeportError

    encode = msgspec.json.Encoder(decimal_format="number").encode
    bad = answered = 0
    for number, line in enumerate(stream, 1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            continue
        try:
            found = encode(answer(text))
        except (HomeportError, msgspec.MsgspecError) as error:
            bad += 1
            click.echo(f"{name}:{number}: {'; '.join(str(error).splitlines())}", err=True)
            continue
        except Exception as error:
            if out.debug:
                raise
            bad += 1
            click.echo(f"{name}:{number}: this should not happen: {type(error).__name__}: {error}", err=True)
            continue
        out.data(found.decode())
        answered += 1
        if stream is sys.stdin.buffer:
            # Whoever writes the lines may wait for an answer before the next one.
            sys.stdout.flush()
    if not (answered or bad):
        out.warn(f"{name} holds no cases")
    return BAD_LINE if bad else 0
