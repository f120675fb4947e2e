"""Measure rows priced per second, and the time of spend, month and forecast of a large log.

Run with `python benchmarks/bench_costing.py [ROWS]` (1,000,000) for prices, compared with a
genai-prices call per row, or with `--forecast [ROWS]` (10,000,000) for spend, month and forecast,
compared with adding up the tokens by day and model. The log is generated: 18 models over a year.
"""

import argparse
import random
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import polars as pl

from costaudit.contracts.forecast import Forecast
from costaudit.contracts.manifest import Manifest
from costaudit.contracts.requests import BLOCKS, REQUESTS, SKIPS, TOKEN_CLASSES
from costaudit.contracts.run_dir import RunDir
from costaudit.contracts.spend import Spend
from costaudit.costing.cost import billed_classes, cost, per_request_usd
from costaudit.costing.groups.codes import keyed
from costaudit.costing.months.month import month_of, with_trend
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.quality import data_quality
from costaudit.costing.spend import GROUPS, IF_LOGGED, Whole, spend, spend_of
from costaudit.costing.spending.tally import Priced
from costaudit.costing.tariff import tariff
from costaudit.pipeline.forecast import forecast_of
from costaudit.pipeline.loaded import Loaded

MODELS = (
    ("openai", "gpt-4o-2024-08-06"), ("openai", "gpt-4o-mini"), ("openai", "gpt-4.1"),
    ("openai", "gpt-5"), ("openai", "gpt-5.4"), ("openai", "gpt-5.6-sol"), ("openai", "o3"),
    ("anthropic", "claude-sonnet-4-6"), ("anthropic", "claude-opus-5"),
    ("anthropic", "claude-haiku-4-5-20251001"), ("google", "gemini-2.5-pro"),
    ("google", "gemini-3.6-flash"), ("deepseek", "deepseek-v4-pro"),
    ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"), ("azure", "gpt-4o"),
    ("mistral", "mistral-large-latest"), ("x-ai", "grok-4"), ("groq", "llama-3.3-70b-versatile"),
)  # fmt: skip
NO_BLOCKS = pl.DataFrame(schema=BLOCKS)
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
            name: columns[name]
            if name in columns
            else pl.Series([None], dtype=dtype).new_from_index(0, rows)
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


def forecast(requests: pl.DataFrame) -> tuple[Spend, Forecast]:
    """Return the spend with its months, and the forecast, of a log without texts."""
    days = requests.select((pl.col("ts").max() - pl.col("ts").min()).dt.total_seconds()).item()
    by_code = keyed(requests)
    pricing = price_requests(by_code)
    prices = tariff(requests, pricing)
    month = month_of(requests, days / 86_400)
    spent = spend_of(
        Whole(Priced(by_code, pricing, prices.basis)), {**GROUPS, **IF_LOGGED}, month=month,
        optional=IF_LOGGED,
    )  # fmt: skip
    quality = data_quality(requests, pl.DataFrame(schema=SKIPS), (), NO_BLOCKS, "")
    log = Loaded(
        run=RunDir(Path()), manifest=cast(Manifest, None), requests=requests, keyed=by_code,
        blocks=NO_BLOCKS, tariff=prices, quality=quality, spend=spent,
        month=with_trend(month, prices.request_usd),
    )  # fmt: skip
    return spent, forecast_of(log)


def by_day_and_model(requests: pl.DataFrame) -> pl.DataFrame:
    """Return the tokens by day and model: the least that a spend report adds up."""
    return requests.group_by(pl.col("ts").dt.date(), "provider", "model").agg(
        pl.len(), pl.col(TOKEN_CLASSES).sum()
    )


def check(requests: pl.DataFrame, spent: Spend, told: Forecast) -> None:
    """Compare the spend with plain sums over the log, and the forecast with the months."""
    pricing = price_requests(requests)
    sums = billed_classes(requests).with_columns(rate_id=pricing.rate_ids).group_by("rate_id").sum()
    rates = pricing.rates_by_id
    usd = sum(
        (tokens * price / 1_000_000
         for rate, *counts in sums.iter_rows() if rate is not None
         for tokens, price in zip(counts, rates[rate], strict=True)),
        Decimal(0),
    )  # fmt: skip
    assert spent.total.total_usd == usd
    for rows in spent.by.values():
        assert sum((row.cost.total_usd for row in rows), Decimal(0)) == usd
        assert sum(row.cost.requests for row in rows) == len(requests)
    months = [row.month.usd for row in spent.by["model"] if row.month]
    assert abs(sum(months, Decimal(0)) - told.like_log.usd) < Decimal("0.0001")
    # A year of even traffic: a month is a twelfth of it.
    assert abs(told.like_log.usd * 12 / usd - 1) < Decimal("0.01")
    assert sum((one.usd for one in told.drivers), Decimal(0)) == told.change
    assert told.backtest.made > 40


def write_log(rows: int, path: Path) -> None:
    """Write a log as a run's table, part by part, each by its own process, to keep memory low."""
    parts = max(rows // 1_000_000, 1)
    context = get_context("spawn")
    with (
        TemporaryDirectory(dir=path.parent) as folder,
        ProcessPoolExecutor(1, max_tasks_per_child=1, mp_context=context) as pool,
    ):
        for part in range(parts):
            pool.submit(write_part, rows // parts, part, parts, Path(folder)).result()
        pool.submit(join_parts, Path(folder), path).result()


def join_parts(folder: Path, path: Path) -> None:
    """Join the parts of a log, which are in the order of time."""
    pl.scan_parquet(folder / "*.parquet").sink_parquet(path)


def write_part(rows: int, part: int, parts: int, folder: Path) -> None:
    """Write a part of a log, which has its share of the year."""
    requests = generated(rows, part)
    users = pl.Series(np.random.default_rng(part).integers(0, 20_000, rows)).cast(pl.String)
    same = {"status": "ok", "usage_source": "provider", "served_by": "provider", "kind": "chat",
            "source": "generated", "source_file": "log.jsonl"}  # fmt: skip
    start = datetime.fromtimestamp(FIRST, UTC)
    ids = pl.int_range(part * rows, (part + 1) * rows, eager=True)
    requests.with_columns(
        ts=start + (pl.col("ts") - start) / parts + timedelta(seconds=YEAR_S * part / parts),
        user=users,
        request_id=ids.cast(pl.String).str.zfill(16),
        source_offset=ids,
        **{name: pl.lit(value) for name, value in same.items()},
    ).cast({"ts": REQUESTS["ts"]}).write_parquet(folder / f"part-{part:04}.parquet")


def measure_forecast(rows: int) -> None:
    """Check the answers, and compare the times with plain sums by day and model."""
    with TemporaryDirectory() as folder:
        run = RunDir(Path(folder))
        write_log(rows, run.requests_path)
        reading = time.process_time()
        requests = run.requests()
    reading = time.process_time() - reading
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    labels, times, found = ("sums by day and model", "spend, month, forecast"), [], None
    for of_log in (by_day_and_model, forecast):
        wall, cpu = time.perf_counter(), time.process_time()
        found = of_log(requests)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert isinstance(found, tuple)
    check(requests, *found)
    for label, (wall, cpu) in zip(labels, times, strict=True):
        print(f"{label:<30}{wall:>8.2f} s wall{cpu:>8.2f} s CPU")
    print(f"{len(requests):,} rows; {times[1][1] / times[0][1]:.1f} x the CPU of the sums; "
          f"reading the table took {reading:.2f} s of CPU; "
          f"peak memory {peak:,.0f} MB, {before:,.0f} MB of it for reading")  # fmt: skip


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
    parser.add_argument("rows", nargs="?", type=int)
    parser.add_argument("--forecast", action="store_true")
    asked = parser.parse_args()
    if asked.forecast:
        measure_forecast(asked.rows or 10_000_000)
        return
    rows = asked.rows or 1_000_000
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
