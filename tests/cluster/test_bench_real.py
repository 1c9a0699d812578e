"""The load generator itself against an endpoint whose latencies are known: what is measured must be what was set."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.endpoint import endpoint
from tests.cluster.generator import aiperf
from tests.cluster.test_bench_parts import SPEC
from tests.commands.shell import environment, homeport

# Installed once into a cache (10 s, 1 GB), so left out of a plain run as the testbed is.
pytestmark = pytest.mark.cluster

TTFT_MS, TPOT_MS = 200.0, 30.0
SERVED = ("--served-model-name", "assistant", "--max-num-seqs", "64", "--kv-cache-tokens", "123456")
LATENCIES = ("--ttft-ms", str(TTFT_MS), "--tpot-ms", str(TPOT_MS))
TOLERANCE = 0.5
"""A busy machine is late: a sleep of 30 ms takes some ms more. It is never early."""


@pytest.fixture(scope="session")
def generator() -> str:
    return str(aiperf())


def near(value: float, expected: float, early: float = 0.03) -> bool:
    return expected * (1 - early) <= value <= expected * (1 + TOLERANCE)


def test_what_was_set_is_measured_and_corrects_the_plan(tmp_path: Path, generator: str) -> None:
    (tmp_path / "homeport.yaml").write_bytes(SPEC)
    with endpoint(*SERVED, *LATENCIES, env={"VLLM_API_KEY": "s3cret"}) as url:
        done = homeport(
            "bench", "--url", url, "--generator", generator, "--engine-version", "0.33.0", "--save", "runs.json",
            "--concurrency", "2", "--concurrency", "8", "--rate", "2", "--seconds", "12", "-o", "json",
            cwd=tmp_path, env={"HOMEPORT_API_KEY": "s3cret"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    assert [stage["name"] for stage in answer["stages"]] == ["rate-2", "2-at-once", "8-at-once"]
    for stage in answer["stages"]:
        assert stage["failed"] == 0
        assert near(stage["measured"]["ttft_ms"]["mean"], TTFT_MS), stage
        assert near(stage["measured"]["tpot_ms"]["mean"], TPOT_MS), stage
        assert stage["input_tokens"] == pytest.approx(200, rel=0.2), "calibrated without a tokenizer"
        assert stage["output_tokens"] == pytest.approx(50, rel=0.2)
        if stage["concurrency"]:
            assert stage["in_flight"] == pytest.approx(stage["concurrency"], rel=0.15)
            # Little's law, from what was set.
            expected = stage["concurrency"] * 50 / (TTFT_MS + 49 * TPOT_MS) * 1000
            assert stage["measured"]["output_tokens_per_s"] == pytest.approx(expected, rel=TOLERANCE)
    assert answer["stages"][0]["requests_per_s"] == pytest.approx(2, rel=0.5)
    assert answer["kv_cache_tokens"]["measured"] == 123_456
    assert answer["generator"] == "aiperf 0.13.0"
    assert "s3cret" not in done.stdout.decode() + done.stderr.decode() + (tmp_path / "runs.json").read_text()

    planned = json.loads(homeport("plan", "-o", "json", cwd=tmp_path).stdout)["models"][0]
    corrected = homeport("plan", "--measurements", "runs.json", "-o", "json", cwd=tmp_path)
    model = json.loads(corrected.stdout)["models"][0]
    # The plan's load is none of the measured ones: its correction is read from between them, and is no measurement.
    assert near(model["performance"]["ttft_ms"], TTFT_MS, early=0.15)
    assert not near(planned["performance"]["ttft_ms"], TTFT_MS, early=0.15), "or this test would show nothing"
    assert model["kv_cache_tokens"] == 123_456
    table = homeport("plan", "--measurements", "runs.json", cwd=tmp_path).stdout.decode()
    assert "measured  KV cache 123,456 tokens, predicted" in table


def test_a_trace_is_replayed_as_it_came(tmp_path: Path, generator: str) -> None:
    (tmp_path / "homeport.yaml").write_bytes(SPEC)
    rows = [f"2023-11-16 18:{i // 30:02}:{2 * (i % 30):02}.0000000,{100 + i % 50},20" for i in range(180)]
    rows += [f"2023-11-16 18:06:{i / 4:010.7f},300,20" for i in range(40)]
    (tmp_path / "trace.csv").write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]) + "\n")
    with endpoint(*SERVED, "--ttft-ms", "50", "--tpot-ms", "5") as url:
        done = homeport(
            "bench", "--url", url, "--generator", generator, "--trace", "trace.csv", "--seconds", "10",
            "--concurrency", "1", "--max-requests", "60", "-o", "json", cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    trace, one = json.loads(done.stdout)["stages"]
    assert (trace["kind"], one["kind"]) == ("trace", "concurrency")
    assert trace["requests"] == 40
    assert trace["requests_per_s"] == pytest.approx(4, rel=0.1)
    assert trace["input_tokens"] == pytest.approx(300, rel=0.1)


def wait(true: Callable[[], Any], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.2)


def running(mark: bytes) -> list[str]:
    """Processes whose environment holds a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.append(entry.name)
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_measured_and_leaves_nothing(
    tmp_path: Path, generator: str, how: signal.Signals
) -> None:
    (tmp_path / "homeport.yaml").write_bytes(SPEC)
    temporary = Path(tempfile.mkdtemp(prefix="hpt"))  # a socket's path is short
    mark = f"{os.getpid()}-{how}"
    with endpoint(*SERVED, "--ttft-ms", "50", "--tpot-ms", "5") as url:
        command = [
            sys.executable, "-m", "homeport", "bench", "--url", url, "--generator", generator, "--save", "runs.json",
            "--engine-version", "0.33.0", "--concurrency", "2", "--concurrency", "4", "--seconds", "8",
            "-o", "json",
        ]  # fmt: skip
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment({"HOMEPORT_TEST_RUN": mark, "TMPDIR": str(temporary)}),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        records = "hp-*/found/profile_export.jsonl"
        second = "s-4-at-once"
        try:
            wait(lambda: any(second in file.read_text() for file in temporary.glob(records)), 120)
            process.send_signal(how)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 130, errors
    answer = json.loads(output)
    assert answer["interrupted"] is True
    whole, cut = answer["stages"]
    assert (whole["name"], whole["cut_short"]) == ("2-at-once", False)
    assert (cut["name"], cut["cut_short"]) == ("4-at-once", True)
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert [run.get("workload", {}).get("concurrency") for run in runs] == [2, None], (
        "what ran to its end is saved"
    )
    assert "interrupted" in errors
    temporary.rmdir()  # fails where something is left
    wait(lambda: not running(f"HOMEPORT_TEST_RUN={mark}".encode()), 10)
