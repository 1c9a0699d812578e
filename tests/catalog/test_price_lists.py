"""Public price lists, answered by a server on this machine.

The LiteLLM file is a recording: entries out of the wheel litellm 1.110.2 (MIT). Azure's answers are no recording: they
are written from the documented shape of its Retail Prices API (learn.microsoft.com, "Azure Retail Prices overview"), with
invented amounts.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from homeport.catalog import price_lists
from homeport.catalog.prices import api_price, api_prices, instances, use_prices
from homeport.catalog.types import PriceBook
from homeport.commands.main import run
from homeport.errors import EnvironmentProblem

LITELLM = Path(__file__).parents[1] / "data" / "prices" / "litellm_1.110.2_excerpt.json"
TODAY = date(2026, 11, 24)
H100 = "Standard_ND96isr_H100_v5"


def azure_item(name: str = H100, usd: float = 90.5, **changes: Any) -> dict[str, Any]:
    """One item, with the fields that the documentation lists."""
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": usd,
        "unitPrice": usd,
        "armRegionName": "eastus",
        "location": "US East",
        "effectiveStartDate": "2026-10-01T00:00:00Z",
        "meterId": "00000000-0000-0000-0000-000000000000",
        "meterName": "ND96isr H100 v5",
        "productId": "DZH318Z0BQ35",
        "skuId": "DZH318Z0BQ35/00G0",
        "productName": "Virtual Machines NDsrH100v5 Series",
        "skuName": "Standard_ND96isr_H100_v5",
        "serviceName": "Virtual Machines",
        "serviceId": "DZH313Z7MMC8",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": name,
        **changes,
    }


def azure_page(items: list[dict[str, Any]], following: str | None = None) -> dict[str, Any]:
    return {
        "BillingCurrency": "USD",
        "CustomerEntityId": "Default",
        "CustomerEntityType": "Retail",
        "Items": items,
        "NextPageLink": following,
        "Count": len(items),
    }


class Server:
    """A server that answers paths with JSON, bytes, or a status, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.wait_s = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                time.sleep(outer.wait_s)
                answer = outer.answers.get(urlsplit(self.path).path, 404)
                status = answer if isinstance(answer, int) else 200
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(BrokenPipeError):
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        class Joined(ThreadingHTTPServer):
            daemon_threads = False

        self._server = Joined(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.answers["/litellm.json"] = json.loads(LITELLM.read_text("utf-8"))
    yield made
    made.stop()
    use_prices(None)


def test_litellm_renews_what_the_catalog_knows_and_nothing_else(server: Server) -> None:
    rows = {row.id: row for row in price_lists.litellm(f"{server.url}/litellm.json", TODAY)}
    assert set(rows) == {
        "anthropic/claude-haiku-4-5",
        "anthropic/claude-sonnet-4-5",
        "deepseek/deepseek-chat",
        "google/gemini-2.5-pro",
        "mistral/mistral-large-latest",
        "openai/gpt-4.1",
        "openai/gpt-4.1-mini",
        "xai/grok-4.3",
    }
    gpt = rows["openai/gpt-4.1"]
    # As the file has them: 2e-06, 8e-06, 5e-07, 1e-06 and 4e-06 a token.
    assert (gpt.input_usd_per_mtok, gpt.output_usd_per_mtok, gpt.cached_input_usd_per_mtok) == (2, 8, 0.5)
    assert (gpt.batch_input_usd_per_mtok, gpt.batch_output_usd_per_mtok) == (1, 4)
    assert (gpt.as_of, gpt.source, gpt.unverified) == ("2026-11-24", "LiteLLM price file (MIT)", ())
    assert (gpt.retires_on, gpt.retired) == ("2027-01-14", False)
    gemini = rows["google/gemini-2.5-pro"]
    assert (gemini.input_above_200k_usd_per_mtok, gemini.output_above_200k_usd_per_mtok) == (2.5, 15)
    # The file has no batch price of this one: unknown, whatever an older row says.
    assert rows["mistral/mistral-large-latest"].batch_input_usd_per_mtok is None
    # Listed at 0.0, which is no price.
    assert "cohere/command-a-plus-05-2026" not in rows


def test_azure_follows_pages_and_takes_linux_by_the_hour(server: Server) -> None:
    base = f"{server.url}/prices"
    first = [
        azure_item(usd=1.0, productName="Virtual Machines NDsrH100v5 Series Windows"),
        azure_item(usd=2.0, skuName="Standard_ND96isr_H100_v5 Low Priority"),
        azure_item(usd=3.0, type="Reservation", unitOfMeasure="1 Hour"),
        azure_item(usd=4.0, unitOfMeasure="1/Month"),
        azure_item(usd=5.0, effectiveStartDate="2025-01-01T00:00:00Z"),
    ]
    second = [azure_item(), azure_item(usd=30.5, skuName="Standard_ND96isr_H100_v5 Spot")]
    server.answers["/prices"] = azure_page(first, f"{server.url}/more?$skip=100")
    server.answers["/more"] = azure_page(second)
    [row] = price_lists.azure(base, ["eastus"], TODAY)
    assert (row.instance_type, row.region, row.gpu_count) == (H100, "eastus", 8)
    assert (row.on_demand_usd_per_hour, row.spot_usd_per_hour) == (90.5, 30.5)
    assert row.on_demand_usd_per_gpu_hour == 11.3125
    assert (row.source, row.as_of) == ("Azure Retail Prices (in force since 2026-10-01)", "2026-11-24")
    query = parse_qs(urlsplit(server.asked[0]).query)
    assert query["currencyCode"] == ["USD"]
    assert "serviceName eq 'Virtual Machines' and armRegionName eq 'eastus'" in query["$filter"][0]
    assert f"armSkuName eq '{H100}'" in query["$filter"][0]
    assert server.asked[1:] == ["/more?$skip=100"]


def test_azure_does_not_follow_a_page_to_another_host(server: Server) -> None:
    server.answers["/prices"] = azure_page([], "http://localhost.example/prices")
    with pytest.raises(EnvironmentProblem, match="sends its reader elsewhere"):
        price_lists.azure(f"{server.url}/prices", ["eastus"], TODAY)


def test_azure_does_not_read_for_ever(server: Server) -> None:
    server.answers["/prices"] = azure_page([], f"{server.url}/prices")
    with pytest.raises(EnvironmentProblem, match="more than 20 pages"):
        price_lists.azure(f"{server.url}/prices", ["eastus"], TODAY)
    assert len(server.asked) == price_lists.MOST_PAGES


@pytest.mark.parametrize(
    ("answer", "says"), [(500, "Internal Server Error"), (b"<html>", "no JSON"), ([1], "is not the LiteLLM")]
)
def test_a_list_that_fails_is_asked_once(server: Server, answer: Any, says: str) -> None:
    server.answers["/litellm.json"] = answer
    with pytest.raises(EnvironmentProblem, match=says) as caught:
        price_lists.litellm(f"{server.url}/litellm.json", TODAY)
    assert caught.value.exit_code == 3
    assert len(server.asked) == 1


def test_a_slow_list_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert price_lists.TIMEOUT_S == 10
    monkeypatch.setattr(price_lists, "TIMEOUT_S", 0.2)
    server.wait_s = 1.0
    started = time.monotonic()
    with pytest.raises(EnvironmentProblem, match="gives no prices"):
        price_lists.litellm(f"{server.url}/litellm.json", TODAY)
    assert time.monotonic() - started < 0.9
    assert len(server.asked) == 1


def test_prices_of_a_file_count_over_the_packages_own(server: Server) -> None:
    before, older = api_price("gpt-4.1"), api_price("gpt-4.1", as_of="2025")
    rows = price_lists.litellm(f"{server.url}/litellm.json", TODAY)
    machine = instances("azure", "eastus", "H100")[0]
    dear = msgspec.structs.replace(machine, on_demand_usd_per_hour=999.0)
    new = msgspec.structs.replace(machine, region="nowhere", on_demand_usd_per_hour=1.0)
    use_prices(PriceBook(schema_version=1, api_prices=tuple(rows), instances=(dear, new)))
    assert api_price("gpt-4.1").as_of == "2026-11-24"
    assert api_price("gpt-4.1", as_of="2025") == older
    assert sum(row.newest for row in api_prices() if row.id == "openai/gpt-4.1") == 1
    assert instances("azure", "eastus", "H100")[0].on_demand_usd_per_hour == 999
    assert instances("azure", "nowhere") == (new,)
    use_prices(None)
    assert api_price("gpt-4.1") == before
    assert instances("azure", "nowhere") == ()


def refresh(server: Server, *args: str) -> int:
    urls = (f"--litellm-url={server.url}/litellm.json", f"--azure-url={server.url}/prices")
    return run(["prices", "refresh", *urls, *args])


def test_refresh_writes_a_file_that_cost_uses(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/litellm.json"]["gpt-4.1"]["input_cost_per_token"] = 3e-06
    server.answers["/prices"] = azure_page([azure_item()])
    target = tmp_path / "prices.json"
    assert refresh(server, f"--to={target}") == 0
    said = capsys.readouterr()
    row = next(line.split() for line in said.out.splitlines() if line.startswith("openai/gpt-4.1 input"))
    assert row[2:4] == ["2", "3"]
    assert "wrote" in said.err
    assert "8 API models, 1 instances" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["prices.json"]
    case = [
        "cost",
        "--model=meta-llama/Llama-3.1-8B-Instruct",
        "--requests-per-day=1000",
        "--input-tokens=1000",
    ]
    case += ["--output-tokens=100", "--compare=gpt-4.1", "-ojson"]
    assert run([*case, f"--prices={target}"]) == 0
    bill = json.loads(capsys.readouterr().out)["api"][0]
    assert bill["lines"][0]["unit_price_usd"] == 3
    assert bill["as_of"] == date.today().isoformat()
    assert run(case) == 0
    assert json.loads(capsys.readouterr().out)["api"][0]["lines"][0]["unit_price_usd"] == 2


def test_prices_of_a_file_choose_the_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [
        msgspec.structs.replace(row, on_demand_usd_per_hour=0.01)
        for row in instances("aws", "us-east-1", "A100")
        if row.instance_type == "p4d.24xlarge"
    ]
    target = tmp_path / "prices.json"
    target.write_bytes(msgspec.json.encode(PriceBook(schema_version=1, instances=tuple(free))))
    case = ["plan", "--model=meta-llama/Llama-3.1-8B-Instruct", "--requests-per-day=1000", "--target=eks"]
    case += ["--input-tokens=1000", "--output-tokens=100", "-ojson"]
    monkeypatch.setenv("HOMEPORT_PRICES", str(target))
    assert run(case) == 0
    assert json.loads(capsys.readouterr().out)["node_pools"][0]["instance_type"] == "p4d.24xlarge"
    monkeypatch.delenv("HOMEPORT_PRICES")
    assert run(case) == 0
    assert json.loads(capsys.readouterr().out)["node_pools"][0]["instance_type"] != "p4d.24xlarge"


@pytest.mark.parametrize(
    "text", ["{}", "no json", '{"schema_version": 9}', '{"schema_version": 1, "instances": [{}]}']
)
def test_a_file_of_another_form_is_refused_and_left_alone(
    server: Server, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/prices"] = azure_page([azure_item()])
    target = tmp_path / "notes.json"
    target.write_text(text, "utf-8")
    assert refresh(server, f"--to={target}") == 2
    assert target.read_text("utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]
    assert run(["plan", "--model=x", f"--prices={target}"]) == 2
    assert "notes.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"region": "mars-1"}, "no region of aws 'mars-1'"),
        ({"gpu": "H101"}, "no GPU 'H101'"),
        ({"cloud": "asw"}, "aws"),
    ],
)
def test_a_file_may_only_price_what_the_catalog_knows(
    tmp_path: Path, change: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = msgspec.structs.replace(instances("aws")[0], **change)
    target = tmp_path / "prices.json"
    target.write_bytes(msgspec.json.encode(PriceBook(schema_version=1, instances=(row,))))
    assert run(["plan", "--model=x", f"--prices={target}"]) == 2
    assert says in capsys.readouterr().err


def test_the_packages_own_data_is_never_written(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    from homeport.catalog.names import DATA

    server.answers["/prices"] = azure_page([])
    assert refresh(server, f"--to={DATA / 'new.json'}") == 2
    assert "never changed" in capsys.readouterr().err
    assert not (DATA / "new.json").exists()


def test_nothing_is_written_where_a_list_fails(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refresh(server, f"--to={tmp_path / 'prices.json'}") == 3
    assert "--source" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert refresh(server, f"--to={tmp_path / 'prices.json'}", "--source=litellm") == 0
    assert refresh(server, "--source=litellm", "--region=eastus") == 2
    assert refresh(server, "--region=eastuss") == 2
    assert "eastus" in capsys.readouterr().err


def test_list_and_show_take_a_file_of_prices_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = next(r for r in instances("gcp") if r.instance_type == "a3-highgpu-8g")
    row = msgspec.structs.replace(
        row, on_demand_usd_per_hour=12.25, on_demand_usd_per_gpu_hour=1.53125, as_of="2026-11-20"
    )
    target = tmp_path / "prices.json"
    target.write_bytes(msgspec.json.encode(PriceBook(schema_version=1, instances=(row,))))

    def priced(*args: str) -> list[Any]:
        assert run(["prices", *args, "-o", "json"]) == 0
        rows = json.loads(capsys.readouterr().out)["prices"]
        return [
            r["on_demand_usd_per_hour"]
            for r in rows
            if (r["instance_type"], r["region"]) == (row.instance_type, row.region)
        ]

    listed, shown = ("list", "--kind=instance", "--cloud=gcp"), ("show", row.instance_type)
    own = priced(*listed)
    assert own == priced(*shown) != [12.25]
    assert priced(*listed, f"--prices={target}") == priced(*shown, f"--prices={target}") == [12.25]
    assert priced(*shown) == own
    monkeypatch.setenv("HOMEPORT_PRICES", str(target))
    assert priced(*shown) == [12.25]
    assert run(["prices", "list", f"--prices={tmp_path / 'none.json'}"]) == 2
