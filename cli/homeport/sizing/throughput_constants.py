"""The fitted figures, and which of them hold for an engine, a version and a GPU.

A figure is a parent value times effects (of the engine, its version, the GPU's architecture, the precision, the link).
Effects were fitted with shrinkage to 1, and what was never measured has the effect 1: the parent's value stands.
`data/throughput_constants.json` is made by scripts/fit_throughput.py and says how.
"""

import functools
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.catalog.types import Gpu
from homeport.sizing.throughput_formulas import Efficiencies
from homeport.sizing.throughput_work import Work
from homeport.sizing.types import Settings

# Which effects multiply a figure, and whether it is a share of the roofline (then held at or below 1).
EFFECTS: dict[str, tuple[tuple[str, ...], bool]] = {
    "bandwidth": (("architecture", "precision"), True),
    "expert_bandwidth": ((), True),
    "kv_bandwidth": (("engine",), True),
    "decode_math": (("architecture", "precision", "engine"), True),
    "prefill_math": (("architecture", "precision", "engine"), True),
    "expert_math": ((), True),
    "attention_math": (("engine",), True),
    "sharpness": ((), False),
    "layer_s": (("engine",), False),
    "moe_layer_s": (("engine",), False),
    "latent_layer_s": ((), False),
    "step_s": (("engine",), False),
    "sequence_s": (("engine",), False),
    "hop_s": (("link",), False),
    "link": (("link",), True),
    "decode_link": (("link", "engine"), True),
    "pace": (("version",), False),
    "prompt_s": ((), False),
    "first_token_s": (("engine", "version"), False),
    "queue": (("engine",), True),
    "reserve": ((), True),
    "tail": ((), False),
    "stream_s": (("engine",), False),
}
# Figures that share their effects: the same kernels run them.
SHARED = {"prefill_math": "math", "decode_math": "math"}


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: logarithms of figures and effects, how they were fitted, and the left-out residuals."""

    fitted: str
    source: str
    as_of: str
    log_figures: dict[str, float]
    measured: dict[str, list[str]]
    residuals: dict[str, dict[str, dict[str, float]]]


@functools.cache
def constants() -> Constants:
    """Read `data/throughput_constants.json`, once."""
    path = Path(__file__).parent / "data" / "throughput_constants.json"
    return msgspec.json.decode(path.read_bytes(), type=Constants)


def version_family(engine: str, version: str | None) -> str:
    """The releases that behave alike: `trtllm 0.17`, `vllm 0.11`, `sglang 0.5`; `?` where the version is unknown."""
    if version is None:
        return f"{engine} ?"
    parts = version.split(".")
    return f"{engine} {'.'.join(parts[:2])}"


def labels(gpu_architecture: str, settings: Settings, w: Work) -> dict[str, str]:
    """The label of a case in every dimension that effects know."""
    return {
        "engine": settings.engine,
        "version": version_family(settings.engine, settings.engine_version),
        "architecture": gpu_architecture,
        "precision": w.precision,
        "link": "link" if w.over_link else "bus",
    }


def default_max_num_seqs(gpu: Gpu, settings: Settings) -> float:
    """Requests that an engine runs at once unless told otherwise.

    vLLM: 1,024 on GPUs of 70 GiB and more but for the A100, else 256 (EngineArgs.get_batch_defaults, 0.9 and later);
    TensorRT-LLM: 2,048 (trtllm-bench and trtllm-serve); SGLang: memory decides.
    """
    if settings.max_num_seqs is not None:
        return float(settings.max_num_seqs)
    if settings.engine == "vllm":
        large = (gpu.memory_gib_usable or gpu.memory_gb_sold or 0.0) >= 70 and not gpu.id.startswith("A100")
        return 1024.0 if large else 256.0
    return {"trtllm": 2048.0, "sglang": 1024.0, "tgi": 128.0}.get(settings.engine, 256.0)


def resolve(log_figures: Mapping[str, float], label: Mapping[str, str], max_num_seqs: float) -> Efficiencies:
    """Multiply the effects that hold for `label` into the parents' values."""
    values: dict[str, float] = {}
    for name, (dimensions, share) in EFFECTS.items():
        log = log_figures[name]
        family = SHARED.get(name, name)
        for dimension in dimensions:
            log += log_figures.get(f"{family} | {label[dimension]}", 0.0)
        value = math.exp(log)
        values[name] = min(value, 1.0) if share else value
    # A version that is faster than the others (pace below 1) isn't faster than the roofline.
    for name, (_, share) in EFFECTS.items():
        if share:
            values[name] = min(values[name], values["pace"])
    values["expert_bandwidth"] *= values["bandwidth"]
    values["sharpness"] += 0.5
    return Efficiencies(max_num_seqs=max_num_seqs, **values)
