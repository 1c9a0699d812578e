"""What `status` and `diff` say to a person, of readings that are written here: the cluster's own are tested elsewhere."""

import msgspec
import pytest

from homeport.cluster.diff_types import Comparison, ObjectDiff
from homeport.cluster.diff_view import lines
from homeport.cluster.status_types import Load, ModelStatus, Replicas, Spending, Status
from homeport.commands.output import Output
from homeport.commands.status import view

MISSING = "the namespace ward does not exist yet"


def reading(**changes: object) -> Status:
    model = ModelStatus(
        name="chat",
        workload="Deployment chat",
        ready=True,
        replicas=Replicas(wanted=1, ready=1, min=1, max=1),
        pods=(),
        load=Load(running=2, waiting=None, kv_cache_use=None, ttft_p95_ms=None, inter_token_p95_ms=None),
        unknown=dict.fromkeys(("waiting", "kv_cache_use", "ttft_p95_ms"), "a long reason " * 12)
        | {"inter_token_p95_ms": "a long reason " * 12, "usd_per_hour": "no nodes"},
        spending=Spending(
            nodes=None, usd_per_hour=None, usd_per_month=None, basis="none", price="", price_assumption=None
        ),
        last_scaled=None,
    )
    model = msgspec.structs.replace(model, **changes)
    return Status(
        at="2026-11-01T00:00:00Z",
        namespace="ward",
        context="prod",
        models=(model,),
        usd_per_hour=None,
        usd_per_month=None,
    )


@pytest.mark.parametrize(("least", "most", "said"), [(1, 1, "(1 planned)"), (0, 3, "(0 to 3 planned)")])
def test_planned_replicas_are_a_range_where_they_are_one(least: int, most: int, said: str) -> None:
    found = view(Output(), reading(replicas=Replicas(wanted=1, ready=1, min=least, max=most)))
    assert said in found


def test_a_long_reason_is_wrapped_below_its_label_and_whole() -> None:
    found = view(Output(), reading()).splitlines()
    assert max(map(len, found)) <= 110
    assert any(line.startswith("    unknown   waiting, KV cache") for line in found)
    assert " ".join(found).count("long") + " ".join(found).count("reason") == 24


def test_a_missing_namespace_is_said_once() -> None:
    objects = tuple(
        ObjectDiff(
            api_version="v1", kind="ConfigMap", namespace="ward", name=name, state="missing", message=MISSING
        )
        for name in ("one", "two")
    )
    found = [line.text for line in lines(Comparison(server="", context="prod", objects=objects))]
    assert found == [
        "+++ ConfigMap ward/one  missing in the cluster",
        f"    {MISSING}",
        "+++ ConfigMap ward/two  missing in the cluster",
    ]
