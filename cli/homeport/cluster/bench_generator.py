"""The load generator, a program of its own: found, told what to send, watched, and stopped (decision 6)."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.cluster.bench_results import Record, read_records
from homeport.cluster.bench_types import Endpoint, Prompt, Stage
from homeport.errors import EnvironmentProblem

PROGRAM, VERSION = "aiperf", "0.13.0"
INSTALL = f"uv tool install {PROGRAM}=={VERSION}"
IGNORES_END = ("vllm", "cpu", "sglang", "trtllm", "simulator")
"""Engines whose API takes `ignore_eos`, so that answers have the wanted length."""
KEY_VARIABLE = "HOMEPORT_BENCH_KEY"
RECORDS_FOLDER, RECORDS, SUMMARY = "found", "profile_export.jsonl", "profile_export_aiperf.json"
POLL_S = 0.25
STOP_S = 20.0
"""How long the generator may take to write down what it has after an interrupt."""
START_S = 180.0
"""Longest time to its first request: 7 s to load on two cores, more where its bytecode is not compiled yet."""
GRACE_S = 600.0
LOG_LINES = 5
LONGEST_PATH = 30

Progress = Callable[[str, int, float], None]
"""Called with the stage (empty: it is starting), its requests so far, and the seconds since the start."""


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run: the records, whether it was interrupted, and which version of the generator it was."""

    records: tuple[Record, ...]
    interrupted: bool
    version: str | None


def find(given: str | None) -> Path:
    """The generator's program: as given, beside this Python, or on PATH. Raises EnvironmentProblem where it is missing."""
    if given is not None:
        found = shutil.which(given)
        if found is None:
            raise EnvironmentProblem(
                f"'{given}' is no program", help=f"install the load generator: {INSTALL}"
            )
        return Path(found).absolute()
    found = shutil.which(PROGRAM, path=str(Path(sys.executable).parent)) or shutil.which(PROGRAM)
    if found is None:
        raise EnvironmentProblem(
            f"`homeport bench` needs the load generator {PROGRAM}, which is not on PATH",
            help=f"install it: {INSTALL}",
        )
    return Path(found).absolute()


def run(
    program: Path,
    endpoint: Endpoint,
    engine: str,
    stages: Sequence[Stage],
    prompts: Sequence[Prompt],
    *,
    key: str | None,
    progress: Progress,
) -> Ran:
    """Put the stages on the endpoint, one after the other, after a few requests that warm it up.

    An interrupt (Ctrl-C, SIGTERM) ends the load and keeps what was measured. The key goes into the generator's
    environment, and nowhere else. Raises EnvironmentProblem where the generator fails before anything was measured.
    """
    with tempfile.TemporaryDirectory(prefix="hp-", dir=_short_folder()) as folder:
        root = Path(folder)
        _write_inputs(root, endpoint, engine, stages, prompts, key)
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        }
        environment |= {
            "TMPDIR": folder,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "NO_COLOR": "1",
        }
        if key is not None:
            environment[KEY_VARIABLE] = key
        log = root / "log.txt"
        interrupted = False
        with log.open("wb") as output, _terminable():
            process = subprocess.Popen(
                [program, "profile", "--config", str(root / "config.json")],
                cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
            try:
                _watch(process, root / RECORDS_FOLDER / RECORDS, progress, _longest(stages))
            except KeyboardInterrupt:
                interrupted = True
            finally:
                _stop(process)
        records = read_records(root / RECORDS_FOLDER / RECORDS)
        if not records and not interrupted:
            raise EnvironmentProblem(
                f"{program} measured nothing (exit code {process.returncode}): {_last(log, key)}",
                help=f"it is made for version {VERSION}: {INSTALL}",
            )
        version = _version(root / RECORDS_FOLDER / SUMMARY)
        return Ran(records=tuple(records), interrupted=interrupted, version=version)


def config(
    endpoint: Endpoint, engine: str, stages: Sequence[Stage], root: Path, *, with_key: bool
) -> dict[str, Any]:
    """What the generator is told. Tokens are counted by the endpoint; the tokenizer only has to be there."""
    at: dict[str, Any] = {
        "url": endpoint.url,
        "type": "chat",
        "streaming": True,
        "timeout": GRACE_S,
        "use_server_token_count": True,
        "use_legacy_max_tokens": True,
        "extra": {"ignore_eos": True} if engine in IGNORES_END else {},
    }
    if with_key:
        at["api_key"] = "${" + KEY_VARIABLE + "}"
    first = stages[0]
    trace = first.kind == "trace"
    warm = min(first.concurrency or 2, 8)
    warmup = {
        "name": "warmup",
        "kind": "warmup",
        "type": "concurrency",
        "requests": warm,
        "concurrency": warm,
    }
    return {
        "schemaVersion": "2.0",
        "randomSeed": 1,
        "benchmark": {
            "model": endpoint.served_name,
            "endpoint": at,
            "tokenizer": {"name": str(root / "tokenizer")},
            "dataset": {
                "type": "file",
                "path": str(root / "prompts.jsonl"),
                "format": "mooncake_trace" if trace else "single_turn",
            },
            "phases": [*([] if trace else [warmup]), *(_phase(stage) for stage in stages)],
            "artifacts": {"dir": str(root / RECORDS_FOLDER), "summary": ["json"], "records": ["jsonl"]},
            "runtime": {"ui": "none"},
            "serverMetrics": {"enabled": False},
            "gpuTelemetry": {"enabled": False},
        },
    }


def _phase(stage: Stage) -> dict[str, Any]:
    made: dict[str, Any] = {"name": _phase_name(stage), "kind": "profiling"}
    if stage.kind == "trace":
        return made | {"type": "fixed_schedule"}
    bounds = {"requests": stage.requests, "duration": stage.seconds, "gracePeriod": GRACE_S}
    if stage.kind == "rate":
        return made | {"type": "poisson", "rate": stage.rate} | bounds
    return made | {"type": "concurrency", "concurrency": stage.concurrency} | bounds


def _phase_name(stage: Stage) -> str:
    """The generator's names begin with a letter and hold no dots."""
    return "s-" + stage.name.replace(".", "_").replace("+", "")


def of_stage(records: Sequence[Record], stage: Stage) -> list[Record]:
    """The records of one stage."""
    name = _phase_name(stage)
    return [record for record in records if record.stage == name]


def _short_folder() -> str:
    """Where temporary files go; /tmp instead of a long path: the generator makes sockets, whose paths hold 107 characters."""
    usual = tempfile.gettempdir()
    return "/tmp" if len(usual) > LONGEST_PATH and os.access("/tmp", os.W_OK) else usual


def _write_inputs(
    root: Path,
    endpoint: Endpoint,
    engine: str,
    stages: Sequence[Stage],
    prompts: Sequence[Prompt],
    key: str | None,
) -> None:
    encode = msgspec.json.encode
    (root / "config.json").write_bytes(
        encode(config(endpoint, engine, stages, root, with_key=key is not None))
    )
    with (root / "prompts.jsonl").open("wb") as file:
        for prompt in prompts:
            line: dict[str, Any] = {"output_length": prompt.output_tokens}
            line |= (
                {"text": prompt.text}
                if prompt.at is None
                else {"text_input": prompt.text, "timestamp": round(prompt.at * 1000, 3)}
            )
            file.write(encode(line) + b"\n")
    # A tokenizer of whole words: the generator loads one although the endpoint counts, and a model's own would have to
    # be downloaded.
    folder = root / "tokenizer"
    folder.mkdir()
    whole: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
    }  # fmt: skip
    (folder / "tokenizer.json").write_bytes(encode(whole))
    (folder / "tokenizer_config.json").write_bytes(
        encode({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"})
    )


def _longest(stages: Sequence[Stage]) -> float:
    return START_S + sum(stage.seconds + GRACE_S for stage in stages)


def _watch(process: subprocess.Popen[bytes], records: Path, progress: Progress, longest: float) -> None:
    """Wait for the generator, and say how far it is. Raises EnvironmentProblem where it takes too long."""
    begun = time.monotonic()
    counts: dict[str, int] = {}
    stage = ""
    read = 0
    while True:
        try:
            process.wait(POLL_S)
            return
        except subprocess.TimeoutExpired:
            pass
        took = time.monotonic() - begun
        if took > longest:
            raise EnvironmentProblem(
                f"the load generator did not end within {longest:,.0f} s and was stopped"
            )
        with contextlib.suppress(OSError), records.open("rb") as file:
            file.seek(read)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            read += len(whole)
            for line in whole.splitlines():
                with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError):
                    about = msgspec.json.decode(line)["metadata"]
                    if about["phase_kind"] == "profiling":
                        stage = str(about["phase_name"])
                        counts[stage] = counts.get(stage, 0) + 1
        progress(stage.removeprefix("s-"), counts.get(stage, 0), took)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the generator and everything that it started. It is asked first: it then writes what it has."""
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
    finally:
        # Its helpers share its session, and none outlives it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the load as Ctrl-C does: by itself it would leave the generator running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _version(summary: Path) -> str | None:
    try:
        found = msgspec.json.decode(summary.read_bytes())["aiperf_version"]
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _last(log: Path, key: str | None) -> str:
    """The end of what the generator said, without the key."""
    text = log.read_text("utf-8", "replace")
    lines = [line.strip("│╭╮╰╯─ \t") for line in text.splitlines()]
    said = [line for line in lines if "ERROR" in line or "Error" in line or "error" in line] or lines
    short = " / ".join(line for line in said[-LOG_LINES:] if line) or "it said nothing"
    return short.replace(key, "***") if key else short
