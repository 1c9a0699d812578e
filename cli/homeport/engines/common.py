"""What several engines share: folders that must be writable, environment, drain, and refusals."""

import math

from homeport.engines.types import Drain, Launch, WritablePath
from homeport.errors import Problem, SpecError

# One volume for everything that engines and libraries write, one for what the Hub's client downloads: the second can
# be a persistent volume.
CACHE = "/cache"
HUB_CACHE = "/hub-cache"

PRE_STOP_S = 10
"""Seconds between a pod's removal from the endpoints and SIGTERM: proxies need a moment to see it."""

AS_LONG = "at least as long as 99 of 100 requests take at the latency limits"

LEAST_DRAIN_S = 45
"""Least seconds for open requests, so that the grace period is never under 60 (10 + 45 + 5)."""

MARGIN_S = 5
"""Seconds an idle server needs to exit (vLLM 0.32.0: 2.8 s, measured)."""

WORKERS_TALK_TCP = (
    "the nodes of one replica talk over TCP unless the cluster's fast fabric (EFA, RDMA) is set up: expect less than "
    "the estimate"
)


def ranks_of_a_node(launch: Launch) -> int:
    """Processes with a GPU each that share a node's /dev/shm."""
    return launch.tensor_parallel_size * launch.pipeline_parallel_size // launch.nodes


def drain_seconds(launch: Launch) -> int:
    """Seconds for open requests after SIGTERM: as long as 99 of 100 take at the latency limits, or more."""
    return max(LEAST_DRAIN_S, math.ceil(launch.longest_request_s))


def drain(launch: Launch, *, own: bool, extra_s: int = 0, why: str) -> Drain:
    """A drain of preStop sleep + time for open requests + margin; `own`: the engine is told the middle term by a flag."""
    seconds = drain_seconds(launch)
    return Drain(
        pre_stop_s=PRE_STOP_S,
        shutdown_s=seconds if own else None,
        grace_s=PRE_STOP_S + seconds + extra_s + MARGIN_S,
        why=why,
    )


def writable(launch: Launch, caches: str) -> tuple[WritablePath, ...]:
    """The folders every GPU engine writes to; `caches` names what the engine keeps besides its home."""
    paths = [
        WritablePath(name="cache", path=CACHE, why=f"home of the process, {caches}"),
        WritablePath(name="tmp", path="/tmp", why="sockets and temporary files"),
        WritablePath(
            name="shm", path="/dev/shm", why="memory shared by the engine's processes", memory_backed=True
        ),
    ]
    if not launch.model.startswith("/"):
        paths.insert(1, WritablePath(name="hub-cache", path=HUB_CACHE, why="weights downloaded from the Hub"))
    return tuple(paths)


def environment(launch: Launch) -> dict[str, str]:
    """Variables that hold for every engine that runs Python: homes and caches, no telemetry, offline if asked for.

    A container runs under a number that no /etc/passwd knows: USER keeps `getpass.getuser()` from failing.
    """
    hub = CACHE + "/huggingface" if launch.model.startswith("/") else HUB_CACHE
    env = {
        "HOME": CACHE,
        "USER": "homeport",
        "XDG_CACHE_HOME": CACHE,
        "HF_HOME": hub,
        "TRITON_CACHE_DIR": CACHE + "/triton",
        "TORCHINDUCTOR_CACHE_DIR": CACHE + "/inductor",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
    if launch.offline:
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return env


def options(pairs: dict[str, str | int | float | None]) -> list[str]:
    """`--flag=value`, one string a flag, in order; what is None is left out."""
    return [f"{name}={value}" for name, value in pairs.items() if value is not None]


def refuse(message: str, *path: str, help: str | None = None) -> SpecError:  # noqa: A002
    """The error for a launch that an engine cannot do; `path` is the field of the model's spec."""
    return SpecError([Problem(message=message, path=path, help=help)])
