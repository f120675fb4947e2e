"""What it costs to run a semantic cache: embedding each lookup, and keeping the entries."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

from costaudit.contracts.audit import Assumption
from costaudit.costing.price_quote import price_of

GB = Decimal(1_000_000_000)
MONTH_DAYS = 30
STORE_USD_PER_GB_MONTH = Decimal("10.64")  # $280 a month for a node of 26.32 GiB
_HOSTED = {"openai": "openai", "bedrock": "aws", "azure": "azure", "cohere": "cohere"}


@dataclass(frozen=True)
class RunningCost:
    """Over the log's period, in US dollars."""

    embedding_usd: Decimal
    storage_usd: Decimal
    note: str

    @property
    def total_usd(self) -> Decimal:
        """Add both up."""
        return self.embedding_usd + self.storage_usd


def embedding_per_mtok(embedder: str, as_of: date, overrides: Path | None = None) -> Decimal | None:
    """Give a hosted embedder's price, such as openai:NAME; 0 for a local one, None if unknown."""
    host, _, model = embedder.partition(":")
    if host not in _HOSTED or not model:
        return Decimal(0)
    at = datetime.combine(as_of, time(12), UTC)
    rates = price_of(model, _HOSTED[host], at=at, overrides=overrides).rates
    return Decimal(rates["input_per_mtok"][0]) if len(rates) else None


def semantic_running_cost(
    *,
    embedded_tokens: int,
    per_mtok: Decimal | None,
    peak_entries: int,
    bytes_per_entry: int,
    covered_days: float,
    usd_per_gb_month: Decimal = STORE_USD_PER_GB_MONTH,
) -> RunningCost:
    """Price every lookup's embedding and the store at its fullest."""
    embedding = embedded_tokens * (per_mtok or Decimal(0)) / 1_000_000
    months = Decimal(str(covered_days)) / MONTH_DAYS
    storage = peak_entries * bytes_per_entry / GB * usd_per_gb_month * months
    if per_mtok is None:
        note = "the embedder's price is unknown and not included"
    elif per_mtok == 0:
        note = "a local embedder: its machine is not included"
    else:
        note = f"embedding at ${per_mtok} per million tokens"
    return RunningCost(embedding, storage, note)


def break_even_requests(saved_usd: Decimal, requests: int, fixed_usd_month: Decimal) -> int | None:
    """Give the requests a month from which the saving per request pays a fixed cost.

    `saved_usd` is what `requests` saved before that cost; None where they save nothing.
    """
    if saved_usd <= 0 or requests <= 0:
        return None
    return int((fixed_usd_month * requests / saved_usd).to_integral_value(ROUND_CEILING))


def store_assumption(usd_per_gb_month: Decimal = STORE_USD_PER_GB_MONTH) -> Assumption:
    """State the price of the vector store."""
    return Assumption(
        name="vector store",
        value=f"${usd_per_gb_month} per GB and month",
        why="an ElastiCache node of 26.32 GiB (cache.r6g.xlarge) at $280 a month; a store is "
        "bought in whole nodes, so a small cache costs more per GB",
        option="",
    )
