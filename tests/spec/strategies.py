"""Specs for hypothesis: good ones, and ones with something broken in them."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

WORDS = st.sampled_from(
    [
        "a",
        "support",
        "auto",
        "no",
        "on",
        "12:30",
        "0x1f",
        "1_000",
        "1e5",
        "a: b",
        "a #b",
        "-",
        "{",
        "@x",
        "70B",
        "é",
        "~",
    ]
)
NAMES = st.from_regex(r"\A[a-z]([a-z0-9-]{0,10}[a-z0-9])?\Z")
TEXTS = st.one_of(
    WORDS.filter(lambda text: text != "auto"), st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
).filter(lambda text: text.isprintable() and text != "auto")
TOKENS = st.one_of(st.integers(1, 5_000), st.floats(0.5, 5_000, allow_nan=False))
SECRETS = st.fixed_dictionaries({"secret": NAMES, "key": NAMES})

WORKLOADS = st.fixed_dictionaries(
    {"requests_per_day": st.floats(0.001, 1e9), "input_tokens": TOKENS, "output_tokens": TOKENS},
    optional={"peak_to_mean": st.floats(1, 100), "total_tokens_p99": st.integers(10_000, 1_000_000)},
)
WEIGHTS = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"revision": TEXTS, "storage_class": NAMES, "size_gib": st.integers(1, 900)}
    ),
    st.fixed_dictionaries({"source": st.just("oci"), "image": NAMES}),
    st.fixed_dictionaries(
        {"source": st.just("object_store"), "uri": st.just("s3://bucket/a b".replace(" ", "-"))}
    ),
    st.fixed_dictionaries(
        {"source": st.just("local"), "path": st.just("/m"), "nodes": st.just(["n1", "n2"])}
    ),
)
MODELS = st.fixed_dictionaries(
    {"name": NAMES, "model": TEXTS, "workload": WORKLOADS},
    optional={
        "engine": st.sampled_from(["vllm", "sglang", "trtllm", "tgi"]),
        "engine_version": TEXTS,
        "precision": st.sampled_from(["fp8", "int4", "awq"]),
        "gpu": TEXTS,
        "tensor_parallel_size": st.integers(1, 64),
        "replicas": st.one_of(st.just({}), st.just({"min": 1}), st.just({"min": 2, "max": 3})),
        "max_model_len": st.integers(20_000, 100_000),
        "gpu_memory_utilization": st.floats(0.01, 1),
        "latency": st.fixed_dictionaries(
            {}, optional={"ttft_ms": st.floats(0.1, 1e6), "percentile": st.just("p99")}
        ),
        "adapters": st.lists(
            st.fixed_dictionaries(
                {
                    "name": NAMES.map(lambda n: "l" + n[:20]),
                    "source": st.sampled_from(["org/adapter", "/adapters/tone"]),
                },
                optional={"rank": st.integers(1, 512)},
            ),
            max_size=1,
        ),
        "weights": WEIGHTS,
        "api_key": SECRETS,
        "extra_args": st.lists(TEXTS, max_size=3),
    },
).filter(lambda model: all(a["name"] != model["name"] for a in model.get("adapters", [])))
SPECS = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "name": NAMES,
        "models": st.lists(MODELS, min_size=1, max_size=3, unique_by=lambda m: m["name"]),
    },
    optional={
        "target": st.fixed_dictionaries(
            {"platform": st.sampled_from(["gke", "eks", "aks"])},
            optional={
                "region": TEXTS,
                "capacity": st.sampled_from(["on_demand", "spot"]),
                "shared_gpus": st.booleans(),
            },
        ),
        "namespace": NAMES,
        "compare": st.lists(TEXTS, unique=True, max_size=2),
        "observability": st.fixed_dictionaries({"monitor_labels": st.dictionaries(NAMES, NAMES, max_size=2)}),
    },
)

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 10**20), st.floats(), WORDS, st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(WORDS, st.text(max_size=6)), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A good spec in which up to four places hold anything, are gone, or have a neighbour that nobody knows."""
    spec = deepcopy(draw(SPECS))
    for _ in range(draw(st.integers(1, 4))):
        place: Any = spec
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and draw(st.booleans()):
                place = inner
                continue
            how = draw(st.sampled_from(["replace", "remove", "add"]))
            if how == "replace":
                place[key] = draw(ANYTHING)
            elif how == "remove":
                del place[key]
            elif isinstance(place, dict):
                place[draw(st.sampled_from(["model", "platform", "tp", "x", "replicas", "weights"]))] = draw(
                    ANYTHING
                )
            break
    return spec
