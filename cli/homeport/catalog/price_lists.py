"""Public price lists that need no key, each through one small adapter: the LiteLLM price file, Azure Retail Prices.

A list only renews prices of what the catalog knows: it brings no models and no instance types of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from msgspec import structs

from homeport.catalog.prices import api_prices, instances
from homeport.catalog.types import ApiPrice, Instance
from homeport.errors import EnvironmentProblem

TIMEOUT_S = 10
LARGEST_BYTES = 64 * 1024 * 1024
MOST_PAGES = 20
LITELLM_URL = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
AZURE_URL = "https://prices.azure.com/api/retail/prices"
"""Documented at learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices."""
AZURE_REGION = "eastus"

# our field -> the LiteLLM file's key, USD per token
LITELLM_PRICES = {
    "input_usd_per_mtok": "input_cost_per_token",
    "output_usd_per_mtok": "output_cost_per_token",
    "cached_input_usd_per_mtok": "cache_read_input_token_cost",
    "cache_write_usd_per_mtok": "cache_creation_input_token_cost",
    "batch_input_usd_per_mtok": "input_cost_per_token_batches",
    "batch_output_usd_per_mtok": "output_cost_per_token_batches",
    "input_above_200k_usd_per_mtok": "input_cost_per_token_above_200k_tokens",
    "output_above_200k_usd_per_mtok": "output_cost_per_token_above_200k_tokens",
}
LITELLM_PREFIXES = {
    "google": ("gemini/",),
    "mistral": ("mistral/",),
    "xai": ("xai/",),
    "deepseek": ("deepseek/", ""),
}

Read = Callable[[str], Any]


def read_json(url: str) -> Any:
    """Read JSON from a URL: 10 s, no retries. Raises EnvironmentProblem."""
    host = urlsplit(url).netloc or url
    try:
        # S310: the address is the list's own, or the user's.
        with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=TIMEOUT_S) as answer:
            return json.loads(_whole(answer, time.monotonic() + TIMEOUT_S))
    except HTTPError as error:
        error.close()
        raise EnvironmentProblem(
            f"{host} gives no prices: {error.code} {error.reason}", help=WITHOUT
        ) from None
    except URLError as error:
        raise EnvironmentProblem(f"{host} gives no prices: {error.reason}", help=WITHOUT) from None
    except (OSError, ValueError) as error:
        what = "no answer in 10 s" if isinstance(error, TimeoutError) else f"no JSON: {error}"
        raise EnvironmentProblem(f"{host} gives no prices: {what}", help=WITHOUT) from None


def _whole(answer: Any, until: float) -> bytes:
    """Read an answer to its end; a slow one or one of more than 64 MiB is given up."""
    text = b""
    while chunk := answer.read(1024 * 1024):
        text += chunk
        if time.monotonic() > until:
            raise TimeoutError
        if len(text) > LARGEST_BYTES:
            raise ValueError("more than 64 MiB")
    return text


WITHOUT = "`--source` reads only one of the lists; the prices of the package stay as they are"


def litellm(url: str, today: date, read: Read = read_json) -> list[ApiPrice]:
    """Return the catalog's API models with the prices of the LiteLLM file, those that the file has.

    A price that the file lacks is unknown in it, whatever the catalog's older row says. The file has no date: it is
    taken as of the day on which it is read.
    """
    table = read(url)
    if not isinstance(table, dict):
        raise EnvironmentProblem(f"{url} is not the LiteLLM price file", help=WITHOUT)
    found = []
    for row in api_prices():
        if not row.newest:
            continue
        prefixes = LITELLM_PREFIXES.get(row.provider, ("",))
        entry = next(
            (table[key] for p in prefixes if isinstance(table.get(key := p + row.model), dict)), None
        )
        if entry is None or _per_mtok(entry.get("input_cost_per_token")) is None:
            continue
        ends = entry.get("deprecation_date")
        retires_on = ends if isinstance(ends, str) and _is_date(ends) else row.retires_on
        found.append(
            structs.replace(
                row,
                **{name: _per_mtok(entry.get(key)) for name, key in LITELLM_PRICES.items()},
                retires_on=retires_on,
                retired=retires_on is not None and retires_on <= today.isoformat(),
                source="LiteLLM price file (MIT)",
                as_of=today.isoformat(),
                unverified=tuple(name for name in row.unverified if name != "as_of"),
                licence="MIT",
            )
        )
    return found


def _per_mtok(usd: Any) -> float | None:
    """USD per million tokens, without the noise of binary fractions; a list price of 0 is unknown."""
    return round(usd * 1e6, 6) if isinstance(usd, int | float) and usd > 0 else None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def azure(url: str, regions: Iterable[str], today: date, read: Read = read_json) -> list[Instance]:
    """Return the catalog's Azure instances with the retail prices of these regions, those that the list has.

    Only prices by the hour in USD of Linux machines that are not reserved count; spot prices are kept beside them.
    """
    found: list[Instance] = []
    for region in regions:
        known = {row.instance_type: row for row in instances("azure", region)}
        any_region = {row.instance_type: row for row in instances("azure")}
        items = _azure_items(url, region, sorted(any_region), read)
        for name, row in any_region.items():
            mine = [item for item in items if item.get("armSkuName") == name]
            demand = _azure_price(mine, spot=False)
            if demand is None:
                continue
            usd, since = demand
            spot = _azure_price(mine, spot=True)
            found.append(
                structs.replace(
                    known.get(name, row),
                    region=region,
                    on_demand_usd_per_hour=usd,
                    spot_usd_per_hour=spot[0] if spot else None,
                    on_demand_usd_per_gpu_hour=round(usd / row.gpu_count, 6),
                    source=f"Azure Retail Prices (in force since {since})",
                    as_of=today.isoformat(),
                    unverified=tuple(name for name in row.unverified if name in ("gpu", "gpu_count")),
                    licence=None,
                )
            )
    return found


def _azure_items(url: str, region: str, types: list[str], read: Read) -> list[dict[str, Any]]:
    wanted = " or ".join(f"armSkuName eq '{name}'" for name in types)
    query = {
        "currencyCode": "USD",
        "$filter": f"serviceName eq 'Virtual Machines' and armRegionName eq '{region}' and priceType eq 'Consumption' "
        f"and ({wanted})",
    }
    items: list[dict[str, Any]] = []
    page: str | None = f"{url}?{urlencode(query)}"
    for _ in range(MOST_PAGES):
        if not page:
            return items
        answer = read(page)
        if not isinstance(answer, dict) or not isinstance(answer.get("Items"), list):
            raise EnvironmentProblem(f"{url} does not answer as Azure Retail Prices does", help=WITHOUT)
        items += [item for item in answer["Items"] if isinstance(item, dict)]
        page = answer.get("NextPageLink")
        if page and urlsplit(page).hostname != urlsplit(url).hostname:
            raise EnvironmentProblem(f"{url} sends its reader elsewhere: {page}", help=WITHOUT)
    raise EnvironmentProblem(f"{url} has more than {MOST_PAGES} pages for {region}", help=WITHOUT)


def _azure_price(items: list[dict[str, Any]], *, spot: bool) -> tuple[float, str] | None:
    """Return the newest price of one machine and the day since when it holds."""
    fit = [
        (str(item.get("effectiveStartDate", ""))[:10], float(item["retailPrice"]))
        for item in items
        if item.get("unitOfMeasure") == "1 Hour"
        and item.get("currencyCode") == "USD"
        and item.get("type") == "Consumption"
        and isinstance(item.get("retailPrice"), int | float)
        and item["retailPrice"] > 0
        and "Windows" not in str(item.get("productName"))
        and "Low Priority" not in str(item.get("skuName"))
        and ("Spot" in str(item.get("skuName"))) == spot
    ]
    if not fit:
        return None
    since, usd = max(fit)
    return usd, since
