"""The options that name or make a spec, shared by every command that takes one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from homeport.commands.choices import CatalogName, NearestChoice, Number, gpu_ids, model_ids

# A help text needs none of them: they are imported where a spec is read.
if TYPE_CHECKING:
    from homeport.errors import SpecError
    from homeport.spec.load import Loaded
    from homeport.spec.overrides import Overrides
    from homeport.spec.trace import Trace

DEFAULT_FILE = "homeport.yaml"
NUMBER = Number()
TRACE = "--trace"
PLATFORMS = ("kind", "minikube", "generic", "gke", "eks", "aks")
ENGINES = ("vllm", "sglang", "trtllm", "tensorrt-llm", "tgi", "cpu", "simulator")


class Flag(NamedTuple):
    """One option that sets a field of the spec; `path` starts with "models" for a field of the (only) model."""

    option: str
    path: tuple[str | int, ...]
    type: Any
    help: str
    hidden: bool = False


def _model(option: str, *path: str, kind: Any, help: str) -> Flag:  # noqa: A002
    return Flag(option, ("models", 0, *path), kind, help)


FLAGS = (
    _model(
        "--model", "model", kind=CatalogName(model_ids, "model"), help="Catalog id, Hub id, or a config.json."
    ),
    _model(
        "--requests-per-day", "workload", "requests_per_day", kind=NUMBER, help="Requests a day, on average."
    ),
    _model(
        "--input-tokens", "workload", "input_tokens", kind=NUMBER, help="Prompt tokens of a request (mean)."
    ),
    _model(
        "--output-tokens",
        "workload",
        "output_tokens",
        kind=NUMBER,
        help="Generated tokens of a request (mean).",
    ),
    _model(
        "--peak-to-mean", "workload", "peak_to_mean", kind=NUMBER, help="Peak / mean of requests a second."
    ),
    Flag("--target", ("target", "platform"), NearestChoice(PLATFORMS), "Where it shall run."),
    Flag("--region", ("target", "region"), str, "Cloud region."),
    _model("--engine", "engine", kind=NearestChoice(ENGINES), help="Inference engine."),
    _model("--gpu", "gpu", kind=CatalogName(gpu_ids, "gpu"), help="GPU id or family."),
    _model("--precision", "precision", kind=str, help="bf16, fp8, int4 …"),
    _model("--checkpoint", "checkpoint", kind=str, help="A quantised checkpoint that exists."),
    _model("--tensor-parallel-size", "tensor_parallel_size", kind=int, help="GPUs that share each layer."),
    _model("--max-model-len", "max_model_len", kind=int, help="Most tokens of a request."),
    _model("--ttft-ms", "latency", "ttft_ms", kind=NUMBER, help="Limit of the time to first token, ms."),
    _model("--tpot-ms", "latency", "tpot_ms", kind=NUMBER, help="Limit of the time per output token, ms."),
)


class SpecOptions:
    """What the command line said about the spec, read when it is asked for."""

    def __init__(
        self,
        file: str | None,
        flags: dict[str, Any],
        known: tuple[Flag, ...] = FLAGS,
        trace: str | None = None,
    ) -> None:
        """`flags` maps an option (`--gpu`) to its value; options that were not given are absent.

        `known` are the options that the command takes, `trace` is a file that the workload is read from. `notes` are
        what is to be said about what was read.
        """
        self.file = file
        self.flags = flags
        self.known = known
        self.trace = trace
        self.origins: dict[tuple[str | int, ...], str] = {}
        self.notes: list[str] = []
        self._more: dict[tuple[str | int, ...], tuple[Any, str]] = {}
        self._loaded: Loaded | None = None

    @property
    def base_dir(self) -> Path:
        """Where relative paths of the spec start: the file's folder, or the current one."""
        return Path(self.file).parent if self.file and self.file != "-" else Path()

    def load(self) -> "Loaded":
        """Read the file and put the flags over it, or make a spec of the flags alone.

        Raises SpecError with every problem, and click.UsageError where there is nothing to read.
        """
        if self._loaded is None:
            self._loaded = self._from_file() if self._uses_file() else self._from_flags()
        return self._loaded

    def put(self, path: tuple[str | int, ...], value: Any, option: str) -> None:
        """Set one more field of the spec, from an option of a single command; the spec is read anew."""
        self._more[path] = value, option
        self._loaded = None

    def words(self) -> list[str]:
        """The options that made the spec, as they were given: for another command on the same one."""
        words = ["-f", self.file] if self.file else []
        for option, (value, origin) in self.flags.items():
            if origin == option:  # what the environment sets, it sets for the next command too
                words += [option, str(value)]
        return words

    @contextmanager
    def reading(self) -> Iterator["Loaded"]:
        """Give the loaded spec, and let problems that are found later point into its source."""
        from homeport.errors import SpecError

        loaded = self.load()
        try:
            yield loaded
        except SpecError as error:
            if error.source is None:
                from homeport.spec.source import spec_error

                raise spec_error(error.problems, loaded.source) from error
            raise

    def _uses_file(self) -> bool:
        if self.file is None and "--model" not in self.flags:
            if not Path(DEFAULT_FILE).is_file():
                raise click.UsageError(
                    f"no spec: give -f FILE, or --model with a workload (there is no {DEFAULT_FILE} here); `homeport init` writes one"
                )
            self.file = DEFAULT_FILE
        return self.file is not None

    def _read(self) -> tuple[bytes, str]:
        assert self.file is not None
        if self.file == "-":
            return sys.stdin.buffer.read(), "<stdin>"
        if not self.file:
            raise click.UsageError("-f needs the name of a file, or '-' for stdin")
        path = Path(self.file)
        try:
            return path.read_bytes(), self.file
        except IsADirectoryError:
            raise click.UsageError(f"'{self.file}' is a folder, not a spec") from None
        except FileNotFoundError:
            raise click.UsageError(f"there is no file '{self.file}'") from None
        except OSError as error:
            raise click.UsageError(f"'{self.file}' cannot be read: {error.strerror}") from None

    def _from_file(self) -> "Loaded":
        from homeport.spec.overrides import load_with

        text, name = self._read()
        return load_with(text, name, self._overrides())

    def _from_flags(self) -> "Loaded":
        from homeport.errors import SpecError
        from homeport.spec.overrides import from_flags

        overrides = self._overrides()
        try:
            return from_flags(overrides)
        except SpecError as error:
            raise self._with_bad_model(error, overrides) from error

    def _with_bad_model(self, error: "SpecError", overrides: "Overrides") -> "SpecError":
        """Add what is wrong with --model itself: with a workload missing too, the planner never gets to say it."""
        from homeport.catalog.resolve import resolve
        from homeport.errors import HomeportError
        from homeport.planning.sources import at
        from homeport.spec.source import Source, spec_error

        path = ("models", 0, "model")
        name = overrides[path][0]
        try:
            resolve(name, base_dir=self.base_dir)
        except HomeportError as unknown:
            assert isinstance(error.source, Source), "errors of the spec know where they stand"
            return spec_error([*error.problems, *at(unknown, path, name).problems], error.source)
        return error

    def _overrides(self) -> dict[tuple[str | int, ...], tuple[Any, str]]:
        """Path of each field that the command line (or the environment) sets: its value, and what set it."""
        found: dict[tuple[str | int, ...], tuple[Any, str]] = {}
        if self.trace is not None:
            trace = _traced(self.trace)
            if trace.day_profile is None:
                self.notes.append(
                    f"the trace covers {trace.seconds / 60:,.0f} minutes: a whole day like them is assumed"
                )
            for name, value in trace.workload().items():
                found["models", 0, "workload", name] = value, TRACE
        for flag in self.known:
            if flag.option in self.flags:
                found[flag.path] = self.flags[flag.option]
        found |= self._more
        self.origins = {path: origin for path, (_, origin) in found.items()}
        return found


def spec_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add -f and the flags that make a spec; the command gets them as `options: SpecOptions`."""
    return with_flags()(command)


def with_flags(*more: Flag, trace: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds -f, the flags that make a spec and `more` of the command's own; `trace` adds --trace."""
    known = (*FLAGS, *more)

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def wrapped(*args: Any, spec_file: str | None, trace_file: str | None = None, **values: Any) -> Any:
            ctx = click.get_current_context()
            flags: dict[str, Any] = {}
            for flag in known:
                value = values.pop(_dest(flag))
                if value is not None:
                    flags[flag.option] = value, _origin(ctx, flag)
            return command(*args, options=SpecOptions(spec_file, flags, known, trace_file), **values)

        if trace:
            about = "A CSV of requests to take the workload from."
            wrapped = click.option(TRACE, "trace_file", metavar="FILE", help=about)(wrapped)
        for flag in reversed(known):
            wrapped = click.option(
                flag.option,
                _dest(flag),
                type=flag.type,
                envvar=_variable(flag),
                help=flag.help,
                hidden=flag.hidden,
            )(wrapped)
        return click.option(
            "-f",
            "--file",
            "spec_file",
            metavar="FILE",
            help=f"The spec; '-' reads stdin.  [{DEFAULT_FILE}, if it is there]",
        )(wrapped)

    return add


def _traced(file: str) -> "Trace":
    """Read a trace file. Raises click.UsageError and TraceError."""
    from homeport.spec.trace import read_trace

    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as lines:
            return read_trace(lines, file)
    except OSError as error:
        raise click.UsageError(f"'{file}' cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"'{file}' is no text") from None


def _dest(flag: Flag) -> str:
    return "spec_" + flag.option.removeprefix("--").replace("-", "_")


def _origin(ctx: click.Context, flag: Flag) -> str:
    """Name what set an option: the flag itself, or the environment variable."""
    source = ctx.get_parameter_source(_dest(flag))
    if source is click.core.ParameterSource.ENVIRONMENT:
        return _variable(flag)
    return flag.option


def _variable(flag: Flag) -> str:
    """The environment variable that sets the same field: HOMEPORT_GPU for --gpu."""
    return f"HOMEPORT_{flag.option.removeprefix('--').replace('-', '_').upper()}"


def describe(error: "SpecError") -> list[str]:
    """Return the texts of all problems of an error, each with its place."""
    from homeport.spec.problems import describe_all

    return describe_all(error)
