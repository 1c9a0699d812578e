"""What changed between two bills: every difference is named, and nothing else."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from homeport.costs.bill import cost
from homeport.costs.diff import SavedError, compare, saved, snapshot
from homeport.costs.diff_view import as_block, as_markdown
from homeport.costs.output import as_answer
from homeport.costs.types import Against, Bill, Options
from tests.costs.test_bill import price

Planner = Callable[..., Callable[[float], Any]]


def bill(planner: Planner, load: float = 100_000, *, usd: float = 2.0, **options: Any) -> Bill:
    return cost(planner(usd_per_hour="10"), load, [price(usd)], Options(**options))


def written(made: Bill) -> bytes:
    return msgspec.json.Encoder(decimal_format="number").encode(as_answer(made))


def difference(old: Bill, new: Bill) -> Against:
    return compare("old.yaml", snapshot(old), new)


def test_the_same_bill_has_no_changes(planner: Planner) -> None:
    made = difference(bill(planner), bill(planner))
    assert (made.lines, made.api, made.deployments, made.breakeven) == ((), (), (), ())
    assert made.total.difference_usd == 0
    assert as_block(made, str) == "Against old.yaml\n  nothing changed"


def test_more_load_changes_nodes_apis_and_replicas(planner: Planner) -> None:
    made = difference(bill(planner), bill(planner, 250_000))
    [nodes] = made.lines
    assert (nodes.before_usd, nodes.after_usd, nodes.difference_usd) == (7300, 21_900, 14_600)
    assert nodes.before == "1 × a3-highgpu-4g (4 × H100-SXM-80GB), us-central1"
    assert nodes.after == "3 × a3-highgpu-4g (4 × H100-SXM-80GB), us-central1"
    # The price of a disk is unknown before and after: that is no change, and makes both totals "at least".
    assert [(api.before_usd, api.after_usd) for api in made.api] == [(18_250, 45_625)]
    assert made.deployments == (
        "assistant: meta-llama/Llama-3.1-70B-Instruct, bf16, 1 replica of 4 × H100-SXM-80GB → "
        "meta-llama/Llama-3.1-70B-Instruct, bf16, 3 replicas of 4 × H100-SXM-80GB",
    )
    assert made.at_least


def test_a_new_line_and_one_that_is_gone(planner: Planner) -> None:
    with_egress = bill(planner, egress_usd_per_month=Decimal(40))
    new = difference(bill(planner), with_egress).lines
    gone = difference(with_egress, bill(planner)).lines
    assert [(line.before, line.after, line.difference_usd) for line in new] == [(None, "egress", 40)]
    assert [(line.before, line.after, line.difference_usd) for line in gone] == [("egress", None, -40)]


def test_what_is_unknown_on_one_side_makes_the_difference_unknown(planner: Planner) -> None:
    made = difference(bill(planner), bill(planner, platform_usd_per_month=Decimal(300)))
    [platform] = made.lines
    assert (platform.before_usd, platform.after_usd, platform.difference_usd) == (None, 300, None)
    assert as_block(made, str).splitlines()[1].split()[-3:] == ["unknown", "300.00", "unknown"]


def test_a_price_moves_the_breakeven(planner: Planner) -> None:
    old, new = bill(planner), bill(planner, usd=1.0)
    made = difference(old, new)
    assert made.lines == ()
    loads = [f"{one.breakeven[0].requests_per_day:,}" for one in (old, new)]
    assert made.breakeven == (f"openai/gpt-4.1: {loads[0]} → {loads[1]}",)


def test_a_saved_bill_says_the_same_as_its_spec(planner: Planner) -> None:
    old = bill(planner, egress_usd_per_month=Decimal("40.10"))
    read = saved(written(old), "old.json")
    assert read is not None
    new = bill(planner, 250_000)
    assert compare("f", read, new) == compare("f", snapshot(old), new)


@pytest.mark.parametrize(
    "text",
    [b'{"self_hosted": 1}', b'{"node_pools": [{}], "models": []}', b"{", b'{"self_hosted": {"lines": []}}'],
)
def test_a_saved_file_of_another_form_is_refused(text: bytes) -> None:
    with pytest.raises(SavedError, match=r"old\.json"):
        saved(text, "old.json")


def test_json_that_is_no_answer_may_be_a_spec() -> None:
    assert saved(b'{"version": 1}', "spec.json") is None


def test_markdown_is_a_comment_of_a_pull_request(planner: Planner) -> None:
    old = bill(planner)
    new = msgspec.structs.replace(bill(planner, 250_000), against=difference(old, bill(planner, 250_000)))
    lines = as_markdown(new).splitlines()
    assert (
        lines[0] == "### support: own hosting at least $7,300.00 → at least $21,900.00 a month (+14,600.00)"
    )
    assert (
        "| 1 × a3-highgpu-4g (4 × H100-SXM-80GB), us-central1 → 3 × a3-highgpu-4g (4 × H100-SXM-80GB), us-central1 "
        "| 7,300.00 | 21,900.00 | +14,600.00 |"
    ) in lines
    assert "| **total a month** | **7,300.00** | **21,900.00** | **+14,600.00** |" in lines
    assert "| openai/gpt-4.1 | 18,250.00 | 45,625.00 | +27,375.00 |" in lines
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {5}
    same = msgspec.structs.replace(old, against=difference(old, old))
    assert as_markdown(same) == "### support: own hosting still costs at least $7,300.00 a month\n"
