"""The same tokens under other cache rules, and what lost cache reads cost."""

from collections.abc import Mapping
from decimal import Decimal

import polars as pl

from costaudit.contracts.rates import Pricing
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.cost import MTOK, rates_by_id
from costaudit.costing.prices import format_rate

_MULTIPLIED = {
    "cache_read_per_mtok": "read",
    "cache_write_5m_per_mtok": "5m",
    "cache_write_1h_per_mtok": "1h",
    "cache_write_other_per_mtok": "30m",
}


def under_multipliers(pricing: Pricing, multipliers: Mapping[str, str]) -> Pricing:
    """Keep each model's input and output price, and price cache classes by a provider's rules.

    `multipliers` are decimals over the input price, by read and lifetime; `any` stands for every
    lifetime, and a lifetime that is not named costs the input price.
    """
    rows = []
    for row in pricing.rates.iter_rows(named=True):
        price = Decimal(row["input_per_mtok"])
        scaled = {
            column: format_rate(price * Decimal(_multiplier(multipliers, name)))
            for column, name in _MULTIPLIED.items()
        }
        rows.append({**row, **scaled})
    return Pricing(pl.DataFrame(rows, schema=pricing.rates.schema), pricing.rate_ids)


def lost_usd(lost: pl.DataFrame, pricing: Pricing) -> Decimal:
    """Price tokens that were billed in one class and could have been billed in another.

    `lost` has rate_id, paid, instead (both token classes) and tokens; rows without a rate are
    left out.
    """
    rates = rates_by_id(pricing)
    place = {name: number for number, name in enumerate(TOKEN_CLASSES)}
    total = Decimal(0)
    for row in lost.drop_nulls("rate_id").iter_rows(named=True):
        rate = rates[row["rate_id"]]
        total += row["tokens"] * (rate[place[row["paid"]]] - rate[place[row["instead"]]]) / MTOK
    return total


def _multiplier(multipliers: Mapping[str, str], name: str) -> str:
    return multipliers.get(name, multipliers.get("any", "1"))
