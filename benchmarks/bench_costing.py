"""Measure rows priced per second: one join of rates, compared with a genai-prices call per row.

Run with `python benchmarks/bench_costing.py [ROWS]`. The log is generated: 40 models over a year.
"""

import argparse
import random
import resource
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from costaudit.contracts.requests import REQUESTS, TOKEN_CLASSES
from costaudit.costing.cost import billed_classes, cost, per_request_usd
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend

MODELS = (
    ("openai", "gpt-4o-2024-08-06"), ("openai", "gpt-4o-mini"), ("openai", "gpt-4.1"),
    ("openai", "gpt-5"), ("openai", "gpt-5.4"), ("openai", "gpt-5.6-sol"), ("openai", "o3"),
    ("anthropic", "claude-sonnet-4-6"), ("anthropic", "claude-opus-5"),
    ("anthropic", "claude-haiku-4-5-20251001"), ("google", "gemini-2.5-pro"),
    ("google", "gemini-3.6-flash"), ("deepseek", "deepseek-v4-pro"),
    ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"), ("azure", "gpt-4o"),
    ("mistral", "mistral-large-latest"), ("x-ai", "grok-4"), ("groq", "llama-3.3-70b-versatile"),
)  # fmt: skip
FIRST = 1_764_547_200  # 2025-12-01
YEAR_S = 365 * 86_400


def generated(rows: int, seed: int = 0) -> pl.DataFrame:
    """Return a random log with all token classes, tenants and endpoints."""
    rng = np.random.default_rng(seed)
    model = rng.integers(0, len(MODELS), rows)
    seconds = np.sort(rng.integers(FIRST, FIRST + YEAR_S, rows))
    columns = {
        "ts": pl.Series(seconds * 1_000_000).cast(pl.Datetime("us", "UTC")),
        "provider": pl.Series([MODELS[i][0] for i in model]),
        "model": pl.Series([MODELS[i][1] for i in model]),
        "is_batch": pl.Series(rng.random(rows) < 0.05),
        "endpoint": pl.Series(rng.integers(0, 20, rows)).cast(pl.String),
        "tenant": pl.Series(rng.integers(0, 500, rows)).cast(pl.String),
        "latency_ms": pl.Series(rng.exponential(2_000, rows)),
    }
    for name, mean in zip(TOKEN_CLASSES, (2_000, 3_000, 200, 50, 0, 300), strict=True):
        columns[name] = pl.Series(rng.poisson(mean, rows), dtype=pl.Int64)
    return pl.DataFrame(
        {
            name: columns.get(name, pl.Series([None] * rows, dtype=dtype, strict=False))
            for name, dtype in REQUESTS.items()
        }
    )


def library_usd(row: dict[str, Any]) -> Decimal:
    """Return the price of one row by genai-prices."""
    from genai_prices import Usage, calc_price

    read, write = row["cache_read_tokens"], row["cache_write_5m_tokens"]
    write_1h = row["cache_write_1h_tokens"]
    usage = Usage(
        input_tokens=row["input_uncached_tokens"] + read + write + write_1h,
        cache_read_tokens=read,
        cache_write_tokens=write + write_1h,
        cache_write_1h_tokens=write_1h,
        output_tokens=row["output_tokens"],
    )
    price = calc_price(
        usage, row["model"], provider_id=row["provider"], genai_request_timestamp=row["ts"]
    )
    return price.total_price


def timed(label: str, rows: int, run: Any, best_of: int = 3) -> float:
    """Print and return the best rate of some runs."""
    seconds = []
    for _ in range(best_of):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    rate = rows / min(seconds)
    print(f"{label:<44}{min(seconds):>9.3f} s{rate:>14,.0f} rows/s")
    return rate


def main() -> None:
    """Check that both return the same prices on a sample, and compare their speed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    requests = generated(rows)
    sample = random.Random(0).sample(range(rows), min(5_000, rows))
    few = requests[sample].filter(~pl.col("is_batch"))
    dicts = list(few.iter_rows(named=True))
    exact = cost(billed_classes(few), price_requests(few)).total_usd
    library = sum(map(library_usd, dicts), Decimal(0))
    print(f"{len(few):,} rows: USD {exact} here, USD {library} by genai-prices")

    pricing = price_requests(requests)
    classes = billed_classes(requests)
    ours = timed("rates joined and multiplied (price + cost)", rows,
                 lambda: cost(billed_classes(requests), price_requests(requests)))  # fmt: skip
    timed("  of which price_requests", rows, lambda: price_requests(requests))
    timed("  of which cost", rows, lambda: cost(classes, pricing))
    timed("per_request_usd", rows, lambda: per_request_usd(classes, pricing))
    timed("spend: five breakdowns", rows, lambda: spend(requests, pricing), best_of=1)
    theirs = timed("genai_prices.calc_price per row", len(dicts),
                   lambda: [library_usd(row) for row in dicts])  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{ours / theirs:,.0f} x faster; peak memory {peak:,.0f} MB; "
          f"at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")  # fmt: skip


if __name__ == "__main__":
    main()
