"""The example requests of an endpoint cost what they count as in the log's spend."""

from decimal import Decimal
from pathlib import Path

import polars as pl

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.drill import drilled
from costaudit.pipeline.loaded import load
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from tests.ingest.conftest import chat, write_lines

LIST_USD = Decimal("0.00045")  # gpt-4o: 100 x 2.50 + 20 x 10, per million


def test_a_few_calls_are_priced_by_what_all_calls_show(tmp_path: Path) -> None:
    """Most logged costs are list prices, so all count; the examples of a template are too few.

    Here three calls cost a third of the list price by the log.
    """
    lines = [
        chat(n, f"Ask {n}?", system=f"You are {name}.", endpoint=f"/{name}")
        for n, name in enumerate([*["chat"] * 60, *["rare"] * 3])
    ]
    run = RunDir(tmp_path / "run")
    log_path = write_lines(tmp_path / "log.jsonl", lines)
    ingest([str(log_path)], run, IngestOptions(), SilentProgress())
    requests = pl.read_parquet(run.requests_path)
    usd = pl.when(pl.col("endpoint") == "/rare").then(LIST_USD / 3).otherwise(LIST_USD)
    requests.with_columns(logged_cost=usd.cast(pl.String)).write_parquet(run.requests_path)
    log = load(run, AnalyzeOptions())
    assert log.spend.logged_usd == log.spend.total.total_usd == 61 * LIST_USD
    template = PromptCaches(log).facts.template
    names = tuple(f"t{n}" for n in range(int(template.max()) + 1))
    for one in drilled(log, template, names).drill:
        each = LIST_USD / 3 if one.endpoint == "/rare" else LIST_USD
        (only,) = one.templates
        assert only.usd == one.usd == one.requests * each
        assert [sample.usd for sample in only.samples] == [each] * len(only.samples)
