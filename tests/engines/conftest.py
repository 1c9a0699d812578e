"""A matrix of launches: everything that a plan can ask of an engine, alone and together."""

from itertools import product

import msgspec
import pytest

from homeport.engines.types import AdapterMount, Launch

ADAPTERS = (
    AdapterMount(name="legal", path="/adapters/legal", rank=12),
    AdapterMount(name="sales", path="/adapters/sales", rank=64),
)
PLAIN = Launch(model="meta-llama/Llama-3.1-8B-Instruct", served_name="assistant", max_model_len=8192)

CHANGES: tuple[dict[str, object], ...] = (
    {},
    {"model": "/models", "offline": True},
    {"revision": "0123abc"},
    {"tensor_parallel_size": 4},
    {"tensor_parallel_size": 8, "pipeline_parallel_size": 2, "nodes": 2},
    {"weight_dtype": "float16"},
    {"quantization": "fp8"},
    {"kv_cache_dtype": "fp8"},
    {"memory_fraction": 0.85},
    {"max_num_seqs": 64, "max_num_batched_tokens": 4096},
    {"adapters": ADAPTERS},
    {"api_key_env": True},
    {"longest_request_s": 300.0},
)


@pytest.fixture(scope="session")
def launches() -> list[Launch]:
    """Each change alone, and each pair of changes."""
    merged = [first | second for first, second in product(CHANGES, CHANGES)]
    return [msgspec.structs.replace(PLAIN, **changes) for changes in merged]
