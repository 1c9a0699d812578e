"""`homeport bench` before any load is sent: mistakes, manners, and the key."""

from pathlib import Path

import pytest

from tests.cluster.endpoint import endpoint
from tests.cluster.test_bench_parts import SPEC
from tests.commands.shell import homeport

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "homeport.yaml").write_bytes(SPEC)
    # Stands for the load generator in runs that end before it is started: it would fail if it were.
    stub = tmp_path / "never"
    stub.write_text("#!/bin/sh\nexit 77\n")
    stub.chmod(0o755)
    return tmp_path


def bench(folder: Path, *args: str, **env: str) -> tuple[int, str]:
    done = homeport("bench", *args, cwd=folder, env=env)
    assert done.stdout == b""
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((), 2, "kubectl --namespace support port-forward service/assistant 8000:80"),
        (("--url", "localhost"), 2, "write it like http://127.0.0.1:8000"),
        (("--url", NOWHERE, "--generator", "./never"), 3, "nobody answers"),
        (("--url", NOWHERE, "--generator", "./missing"), 3, "uv tool install aiperf==0.13.0"),
        (("--url", NOWHERE, "--name", "asistant"), 2, "did you mean 'assistant'?"),
        (("--url", NOWHERE, "--generator", "./never", "--save", "homeport.yaml"), 2, "homeport.yaml"),
        (("--url", "http://192.0.2.1", "--generator", "./never"), 2, "give --yes where nobody can be asked"),
        (("--url", NOWHERE, "--concurrency", "0"), 2, "0 is not in the range"),
    ],
)
def test_mistakes_end_before_load_is_sent(folder: Path, args: tuple[str, ...], code: int, said: str) -> None:
    got, text = bench(folder, *args)
    assert (got, said in text) == (code, True), text
    assert "Traceback" not in text


def test_a_missing_generator_is_one_clear_sentence(folder: Path) -> None:
    code, text = bench(folder, "--url", NOWHERE, PATH="/nowhere")
    assert code == 3
    assert text.splitlines() == [
        "error: `homeport bench` needs the load generator aiperf, which is not on PATH",
        "help: install it: uv tool install aiperf==0.13.0",
    ]


def test_the_simulator_is_not_saved_as_a_measurement(folder: Path) -> None:
    with endpoint("--served-model-name", "assistant", "--ttft-ms", "1") as url:
        code, text = bench(folder, "--url", url, "--generator", "./never", "--save", "runs.json")
    assert code == 2
    assert "simulator" in text
    assert not (folder / "runs.json").exists()


def test_a_generator_that_fails_is_said_to(folder: Path) -> None:
    with endpoint("--served-model-name", "assistant", "--ttft-ms", "1") as url:
        code, text = bench(folder, "--url", url, "--generator", "./never")
    assert code == 3
    assert "measured nothing (exit code 77)" in text


def test_the_key_comes_from_the_variable_and_stays_there(folder: Path) -> None:
    (folder / "never").write_text('#!/bin/sh\necho "$@"; cat $3; echo key $HOMEPORT_BENCH_KEY; exit 77\n')
    with endpoint(
        "--served-model-name", "assistant", "--ttft-ms", "1", env={"VLLM_API_KEY": "s3cret"}
    ) as url:
        code, text = bench(folder, "--url", url, "--generator", "./never")
        assert (code, "asks for a key" in text) == (3, True)
        code, text = bench(
            folder, "--url", url, "--generator", "./never", "--api-key-env", "MINE", MINE="s3cret"
        )
    assert code == 3
    assert "key ***" in text, "the generator got it, and what it says is shown without it"
    assert "s3cret" not in text


def test_a_cpu_run_is_not_saved(tmp_path: Path) -> None:
    spec = SPEC.replace(b"{platform: gke, region: us-central1}", b"{platform: kind}").replace(b"    gpu: L4\n", b"").replace(b"Qwen3-8B", b"Qwen3-0.6B")  # fmt: skip
    (tmp_path / "homeport.yaml").write_bytes(spec)
    with endpoint("--served-model-name", "assistant", "--ttft-ms", "1") as url:
        code, text = bench(tmp_path, "--url", url, "--generator", "true", "--save", "runs.json")
    assert code == 2
    assert "on a CPU" in text
