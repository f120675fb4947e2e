"""What has no known price never reads as free: not in a cell, not in a total, in no format."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from costaudit.contracts.audit import Audit
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline.analyze import analyze
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.report.language import standing_for
from costaudit.report.reporters import render
from costaudit.report.tables.prefix import prefix_tables
from costaudit.report.tables.spend import spend_line, spend_tables
from costaudit.report.tables.table import render_tables
from tests.ingest.conftest import chat, write_lines
from tests.pipeline.conftest import page

ZERO = re.compile(r"\$0(?![\d.,]*[1-9])")  # an amount of nothing, not $0.02
START = datetime(2026, 10, 5, tzinfo=UTC)
UNKNOWN, KNOWN = "nobody-knows-1", "gpt-4o"


def audited(folder: Path, models: tuple[str, ...]) -> Audit:
    lines: list[dict[str, Any]] = []
    for number in range(240):
        model = models[number % len(models)]
        line = chat(
            number, f"Question {number % 40}?", tokens=(2_000, 0, 100), endpoint=f"/{model}"
        )
        line["timestamp"] = (START + timedelta(hours=2 * number)).isoformat()
        line["request"]["model"] = line["response"]["model"] = model
        lines.append(line)
    write_lines(folder / "log.jsonl", lines)
    options = AnalyzeOptions(thresholds="0.90:0.96:0.03")
    return analyze([str(folder / "log.jsonl")], RunDir(folder / "run"), options)


@pytest.fixture(scope="module")
def nothing_priced(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return audited(tmp_path_factory.mktemp("unpriced"), (UNKNOWN,))


@pytest.fixture(scope="module")
def half_priced(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return audited(tmp_path_factory.mktemp("half"), (UNKNOWN, KNOWN))


def tables(audit: Audit) -> str:
    """Return what the verbs `spend` and `prefix` print."""
    assert audit.prefix
    with standing_for(audit.month.period, priced=audit.spend.has_price):
        both = (*spend_tables(audit.spend), *prefix_tables(audit.prefix))
        return render_tables(both, "terminal", audit.spend, spend_line(audit.spend)).decode()


@pytest.mark.parametrize("form", ["terminal", "md", "html", "verbs"])
def test_a_log_without_prices_prints_no_amount_of_nothing(nothing_priced: Audit, form: str) -> None:
    assert nothing_priced.spend.unpriced_share == 1
    assert not nothing_priced.spend.has_price
    text = tables(nothing_priced) if form == "verbs" else page(nothing_priced, form)
    found = [text[max(one.start() - 60, 0) : one.end() + 20] for one in ZERO.finditer(text)]
    assert found == []
    assert "not priced" in text
    assert nothing_priced.semantic
    assert "has no known price" in nothing_priced.semantic.recommended_why


def test_a_table_of_numbers_leaves_unknown_amounts_empty(nothing_priced: Audit) -> None:
    rows = list(csv.DictReader(io.StringIO(render(nothing_priced, "csv").decode())))
    dollars = [row for row in rows if row["unit"] == "usd" and row["section"] != "cluster"]
    assert dollars
    running = [row for row in dollars if row["measure"] == "running_cost_month"]
    assert {row["value"] for row in dollars if row not in running} == {""}
    lost = {row["measure"]: row["value"] for row in rows if row["section"] == "spend.model"}
    assert lost["unpriced input_uncached_tokens"] == str(240 * 2_000)
    assert lost["unpriced output_tokens"] == str(240 * 100)


def test_what_is_priced_in_part_is_at_least_its_amount(half_priced: Audit) -> None:
    spend = half_priced.spend
    assert spend.has_price
    assert spend.total.unpriced == {"input_uncached_tokens": 240_000, "output_tokens": 12_000}
    by_model = {row.group: row.cost for row in spend.by["model"]}
    assert by_model[UNKNOWN].unpriced == spend.total.unpriced
    assert by_model[KNOWN].unpriced == {}
    assert all(row.cost.unpriced for row in spend.by["day"] if row.cost.requests > 1)
    told = tables(half_priced)
    assert spend_line(spend).startswith("At least $0.72 for 240 requests.")
    assert re.search(rf"/{UNKNOWN} .* not priced", told)
    assert re.search(rf"/{KNOWN} .* \$0\.72", told)
    assert re.search(r"2026-10-06 .* ≥ \$0\.04", told)
    drill = {one.endpoint: one for one in spend.drill}
    assert drill[f"/{UNKNOWN}"].unpriced
    assert all(row.unpriced for row in drill[f"/{UNKNOWN}"].templates)
    assert not drill[f"/{KNOWN}"].unpriced
    written = page(half_priced, "html")
    assert f"/{UNKNOWN} 120 not priced" in written


def test_a_log_of_failures_costs_nothing_and_says_that_all_failed(tmp_path: Path) -> None:
    lines = [chat(number, status=500, response=None) for number in range(30)]
    write_lines(tmp_path / "log.jsonl", lines)
    audit = analyze([str(tmp_path / "log.jsonl")], RunDir(tmp_path / "run"), AnalyzeOptions())
    assert audit.spend.has_price
    (found,) = (one for one in audit.findings if one.code == "failures")
    assert found.title == "All 30 requests failed."
