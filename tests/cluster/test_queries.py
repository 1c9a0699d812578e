"""Every rendered query against a real Prometheus that scrapes 0, 1 and 3 replicas of each engine.

One element each time, the right number, never NaN: what a KEDA trigger needs, and where shipped autoscalers break.
"""

import json
import math
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.manifests.parsing import load
from homeport.manifests.prerequisites import adapter_config
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.spec.load import load as load_spec
from tests.cluster.engine_metrics import Load, endpoints, text
from tests.cluster.scraping import prometheus, target
from tests.testbed.addons import Prometheus
from tests.testbed.build import ensure
from tests.testbed.processes import until

pytestmark = pytest.mark.cluster

ENGINES = ("vllm", "sglang", "tgi", "trtllm", "cpu", "simulator")
COUNTS = (0, 1, 3)
BUSY = (
    Load(running=4, waiting=3, kv_cache=0.5, served=10),
    Load(running=2, waiting=0, kv_cache=0.25, served=20),
    Load(running=0, waiting=0, kv_cache=0.0, served=0),
)
# name of a scenario -> the replicas in it, each with its data-parallel ranks
SCENARIOS: dict[str, tuple[tuple[Load, ...], ...]] = {
    **{f"busy-{count}": tuple((load,) for load in BUSY[:count]) for count in COUNTS},
    **{f"fresh-{count}": ((),) * count for count in COUNTS[1:]},
    "ranks": ((BUSY[0], BUSY[1]), (BUSY[2], BUSY[1])),
}
SPEC = """version: 1
name: fleet
namespace: {namespace}
target: {{platform: {platform}}}
models:
  - name: assistant
    model: {model}
    engine: {engine}
    workload: {{requests_per_day: 20000, input_tokens: 500, output_tokens: 200}}
    replicas: {{min: 1, max: 4}}
    scaling: {{by: {by}}}
"""


def rendered(engine: str, namespace: str, by: str = "keda") -> Any:
    """A plan, and its documents by kind."""
    local = engine in ("cpu", "simulator")
    model = "Qwen/Qwen2.5-0.5B-Instruct" if local else "meta-llama/Llama-3.1-8B-Instruct"
    written = SPEC.format(
        namespace=namespace, platform="kind" if local else "gke", model=model, engine=engine, by=by
    )
    plan = Planner(Path()).plan(load_spec(written, "homeport.yaml").spec)
    return plan, {d.kind: load(d.text) for d in documents(plan)}


def queries(engine: str, namespace: str) -> dict[str, str]:
    _, found = rendered(engine, namespace)
    return {t["name"]: t["metadata"]["query"] for t in found["ScaledObject"]["spec"]["triggers"]}


def place(engine: str, scenario: str) -> str:
    return f"{engine}-{scenario}"


def replicas(engine: str, scenario: str) -> tuple[tuple[Load, ...], ...]:
    return SCENARIOS[scenario]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One Prometheus with every scenario of every engine in a namespace of its own, and everything else's noise."""
    texts: dict[str, str] = {}
    labels: dict[str, dict[str, str]] = {}
    for engine in ENGINES:
        for scenario in SCENARIOS:
            namespace = place(engine, scenario)
            for number, ranks in enumerate(replicas(engine, scenario)):
                path = f"/{namespace}/{number}"
                texts[path] = text(engine, "assistant", *ranks)
                labels[path] = {"namespace": namespace, "pod": f"assistant-{number}"}
                labels[path] |= {"job": f"{namespace}/assistant", "container": "server", "endpoint": "http"}
            # another model of the namespace, and the same name elsewhere: none of it may be counted
            for where, model in ((namespace, "other"), (f"not-{namespace}", "assistant")):
                path = f"/{where}/{model}"
                texts[path] = text(engine, model, Load(running=1000, waiting=1000, kv_cache=1.0, served=9))
                labels[path] = {"namespace": where, "pod": f"{model}-0", "job": f"{where}/{model}"}
    with endpoints(texts) as served:
        targets = [target(served.port, path, **labels[path]) for path in texts]
        with prometheus(tmp_path_factory.mktemp("prometheus"), targets) as running:
            wanted = len(targets)

            def settled() -> bool:
                running.at = time.time()
                counted = "count(count_over_time(up[1m]) >= 3 and up == 1) or vector(0)"
                return running.query(counted)[0][1] == wanted

            # All queries are of that moment: a busy machine may miss a scrape later.
            until(settled, 120, "all are scraped, three times each", 0.5)
            yield running


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_element_and_the_right_number(scraped: Prometheus, engine: str, scenario: str) -> None:
    found = queries(engine, place(engine, scenario))
    assert set(found) == {"load"} | ({"kv-cache"} if engine not in ("tgi", "trtllm") else set())
    pods = replicas(engine, scenario)
    for name, query in found.items():
        result = scraped.query(query)
        assert len(result) == 1, (query, result)
        labels, value = result[0]
        assert labels == {}
        assert not math.isnan(value)
        if name == "kv-cache":
            assert value == sum(max((load.kv_cache for load in ranks), default=0.0) for ranks in pods)
        elif engine == "trtllm":
            assert value == 0, "the counters stand still here; promtool has them run"
        else:
            # TGI and TensorRT-LLM have no data-parallel ranks: the stand-in says the first one's load
            counted = [ranks[:1] if engine == "tgi" else ranks for ranks in pods]
            assert value == sum(load.running + load.waiting for ranks in counted for load in ranks)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_adapters_rules_say_one_number_a_pod(scraped: Prometheus, engine: str, scenario: str) -> None:
    """The queries of prometheus-adapter's rules, with its placeholders filled in as it does for an HPA."""
    namespace = place(engine, scenario)
    plan, found = rendered(engine, namespace, by="hpa")
    pods = replicas(engine, scenario)
    names = "|".join(f"assistant-{number}" for number in range(len(pods)))
    rules = adapter_config(plan)["rules"]
    assert len(rules) == len(found["HorizontalPodAutoscaler"]["spec"]["metrics"])
    for rule in rules:
        query = (
            str(rule["metricsQuery"])
            .replace("<<.LabelMatchers>>", f'namespace="{namespace}",pod=~"{names}"')
            .replace("<<.GroupBy>>", "pod")
        )
        result = {labels["pod"]: value for labels, value in scraped.query(query)}
        assert set(result) == {f"assistant-{number}" for number in range(len(pods))}
        for number, ranks in enumerate(pods):
            counted = ranks[:1] if engine == "tgi" else ranks
            expected: float = sum(load.running + load.waiting for load in counted)
            if rule["name"] == {"as": f"{engine}_kv_cache_usage"}:
                expected = max((load.kv_cache for load in ranks), default=0.0)
            elif engine == "trtllm":
                expected = 0
            assert result[f"assistant-{number}"] == expected


@pytest.mark.parametrize(
    ("signal", "value"),
    [
        ("nothing_of_that_name", 0),
        ('vllm:num_requests_running{namespace="vllm-busy-1",pod="assistant-0"}', 1),
        ('vllm:num_requests_running{namespace="vllm-busy-3"}', 1),
        ('vllm:num_requests_running{namespace="vllm-fresh-1",pod="assistant-0"}', 0),
        ('rate(vllm:request_success_total{namespace="vllm-busy-3"}[1m])', 0),
        ("vector(0) / vector(0)", 0),
        ("vector(-1)", 0),
    ],
)
def test_whatever_wakes_is_0_or_1(scraped: Prometheus, signal: str, value: int) -> None:
    """Any signal will do, with no, one or many series, and with NaN: these stand in for a gateway's."""
    from homeport.manifests.scaling_queries import wake

    assert scraped.query(wake(signal)) == [({}, value)]


def test_a_rate_is_that_of_all_replicas_and_survives_a_restart(tmp_path: Path) -> None:
    """promtool runs the query over five minutes of counters: 2 and 1 requests/s, one of them starts anew."""
    query = queries("trtllm", "llm")["load"]
    series = 'request_success_total{namespace="llm",job="llm/assistant",pod="%s",finished_reason="%s"}'
    other = 'request_success_total{namespace="llm",job="llm/other",pod="x",finished_reason="stop"}'
    test = {
        "evaluation_interval": "15s",
        "fuzzy_compare": True,
        "tests": [
            {
                "interval": "15s",
                "input_series": [
                    {"series": series % ("a", "stop"), "values": "0+30x12 0+30x12"},
                    {"series": series % ("b", "stop"), "values": "0+10x30"},
                    {"series": series % ("b", "length"), "values": "0+5x30"},
                    {"series": other, "values": "0+999x30"},
                ],
                "promql_expr_test": [
                    {"expr": query, "eval_time": "2m30s", "exp_samples": [{"labels": "{}", "value": 3}]},
                    # of a's last samples, 105 s apart, the counter rose by 120, started anew, and rose by 60
                    {
                        "expr": query,
                        "eval_time": "3m45s",
                        "exp_samples": [{"labels": "{}", "value": 180 / 105 + 1}],
                    },
                ],
            },
            {
                "interval": "15s",
                "input_series": [],
                "promql_expr_test": [
                    {"expr": query, "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 0}]}
                ],
            },
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps(test))
    ran = subprocess.run(
        [ensure("promtool")["promtool"], "test", "rules", tmp_path / "test.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_promtool_reads_every_query_and_finds_nothing_to_mend(engine: str, tmp_path: Path) -> None:
    plan, _ = rendered(engine, "llm", by="hpa")
    expressions = list(queries(engine, "llm").values())
    expressions += [
        str(rule["metricsQuery"])
        .replace("<<.LabelMatchers>>", 'namespace="llm",pod=~"a|b"')
        .replace("<<.GroupBy>>", "pod")
        for rule in adapter_config(plan)["rules"]
    ]
    rules = [{"record": f"homeport:query{n}", "expr": expression} for n, expression in enumerate(expressions)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    ran = subprocess.run(
        [ensure("promtool")["promtool"], "check", "rules", "--lint=all", "--lint-fatal", file],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
