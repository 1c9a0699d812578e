"""The two cost formulas of the guide "Open Source vs Closed Models" (April 2026), exactly as it gives them.

Where the guide's printed totals differ from its own formulas, docs/explanation/guide-figures.md says so.
"""

from decimal import Decimal

import msgspec

from homeport.costs.money import HOURS_PER_MONTH, MILLION, cents

SOURCE = "guide 'Open Source vs Closed Models'"
AS_OF = "2026-04"
DAYS_PER_MONTH = Decimal(30)
H100_USD_PER_HOUR = Decimal("2.50")
UTILIZATION = Decimal("0.7")
STORAGE_USD_PER_GPU_MONTH = Decimal(50)
NETWORK_USD_PER_GPU_HOUR = Decimal("0.10")
ENGINEERING_USD_PER_MONTH = Decimal(5000)


class SelfHostedCost(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of `self_hosted_monthly_cost`, USD a month, each to the cent; None where the GPU's rate is unknown."""

    compute: Decimal | None
    storage: Decimal
    network: Decimal
    engineering: Decimal
    active_hours: Decimal

    @property
    def total(self) -> Decimal | None:
        """The sum of all terms; None where the compute is unknown."""
        if self.compute is None:
            return None
        return self.compute + self.storage + self.network + self.engineering


def api_monthly_cost(
    daily_requests: Decimal,
    avg_input_tokens: Decimal,
    avg_output_tokens: Decimal,
    input_price_per_m: Decimal,
    output_price_per_m: Decimal,
) -> Decimal:
    """Return USD a month of 30 days: (requests x input / 10^6 x price + requests x output / 10^6 x price) x 30."""
    return cents(
        tokens_usd(daily_requests, avg_input_tokens, input_price_per_m)
        + tokens_usd(daily_requests, avg_output_tokens, output_price_per_m)
    )


def tokens_usd(
    daily_requests: Decimal, avg_tokens: Decimal, price_per_m: Decimal, days: Decimal = DAYS_PER_MONTH
) -> Decimal:
    """Return USD of one kind of tokens in so many days, not rounded: requests x tokens / 10^6 x price x days."""
    return daily_requests * avg_tokens / MILLION * price_per_m * days


def self_hosted_monthly_cost(
    num_gpus: int, gpu_hourly_rate: Decimal | None, utilization: Decimal = UTILIZATION
) -> SelfHostedCost:
    """Return the guide's bill of own hosting: compute, storage, network and engineering.

    Active hours are 730 x utilisation; compute is GPUs x rate x active hours, storage $50 a GPU, network $0.10 a GPU
    and active hour, engineering $5,000.
    """
    active_hours = HOURS_PER_MONTH * utilization
    return SelfHostedCost(
        compute=None if gpu_hourly_rate is None else cents(num_gpus * gpu_hourly_rate * active_hours),
        storage=cents(num_gpus * STORAGE_USD_PER_GPU_MONTH),
        network=cents(num_gpus * NETWORK_USD_PER_GPU_HOUR * active_hours),
        engineering=cents(ENGINEERING_USD_PER_MONTH),
        active_hours=active_hours,
    )


def breakeven_requests_per_day(
    self_hosted_usd_per_month: Decimal, api_usd_per_month_at_100k: Decimal
) -> Decimal:
    """Return the requests a day at which the API costs as much as a fleet that does not change with the load."""
    return self_hosted_usd_per_month / api_usd_per_month_at_100k * 100_000
