"""The simulator: one standard-library Python file that speaks the OpenAI API and vLLM's metrics; no model, no GPU.

It shows that everything around a model works (probes, scaling, dashboards, clients) on a laptop's cluster.
"""

from functools import cache
from pathlib import Path

from homeport.engines import common
from homeport.engines.types import Launch, Probe, Release, Server, WritablePath

OWNED = {
    "--model": "model",
    "--served-model-name": "name",
    "--max-model-len": "max_model_len",
    "--max-num-seqs": "max_num_seqs",
    "--lora-modules": "adapters",
    "--host": "- the probes and the Service need it",
    "--port": "- the probes and the Service need it",
    "--shutdown-timeout": "- it follows the longest request, and the grace period follows it",
}

FILE = "/etc/homeport/simulator.py"


def server(release: Release, launch: Launch) -> Server:
    """How one replica runs: a stock Python image, the file mounted from a ConfigMap."""
    args = common.options(
        {
            "--model": launch.model,
            "--served-model-name": launch.served_name,
            "--port": release.port,
            "--max-model-len": launch.max_model_len,
            "--max-num-seqs": launch.max_num_seqs,
            "--ttft-ms": _tenths(launch.simulated_ttft_ms),
            "--tpot-ms": _tenths(launch.simulated_tpot_ms),
            "--shutdown-timeout": common.drain_seconds(launch),
            "--lora-modules": ",".join(a.name for a in launch.adapters) or None,
        }
    )
    return Server(
        image=release.image,
        command=("python3", FILE),
        args=(*args, *launch.extra_args),
        env={"PYTHONUNBUFFERED": "1"},
        port=release.port,
        startup=Probe(path="/health", timeout_s=2, period_s=2),
        readiness=Probe(path="/health", timeout_s=5, period_s=5, failure_threshold=3),
        liveness=None,
        metrics=release.metrics,
        drain=common.drain(
            launch,
            own=True,
            why=f"the simulator finishes open requests for --shutdown-timeout seconds, {common.AS_LONG}",
        ),
        writable=(WritablePath(name="tmp", path="/tmp", why="Python's temporary files"),),
        files={FILE: program()},
        api_key_variable="VLLM_API_KEY" if launch.api_key_env else None,
    )


@cache
def program() -> str:
    """The simulator's source."""
    return (Path(__file__).parent / "data" / "simulator.py").read_text(encoding="utf-8")


def _tenths(milliseconds: float | None) -> float | None:
    # More digits of an estimate would only make two renderings differ.
    return None if milliseconds is None else round(milliseconds, 1)
