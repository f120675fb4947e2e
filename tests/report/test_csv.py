"""The CSV reporter's long table of numbers."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from costaudit.contracts.spend import DailyRow
from costaudit.report.csv import COLUMNS, CsvReporter
from tests.report.hostile_audit import hostile_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS
from tests.report.sample_spend import BY_MODEL


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_golden(matches_golden: Callable[[str, bytes], None]) -> None:
    matches_golden("audit.csv", CsvReporter().render(AUDIT))


def test_every_number_has_its_unit_and_grade() -> None:
    table = rows(CsvReporter().render(AUDIT))
    assert set(table[0]) == set(COLUMNS)
    assert {row["unit"] for row in table} == {"usd", "share", "tokens", "requests"}
    assert all(row["grade"] and row["measure"] for row in table)
    (after,) = [row for row in table if (row["section"], row["group"]) == ("ledger", "after")]
    assert (after["value"], after["low"], after["high"]) == ("31350.20", "30360.20", "32340.20")


def test_the_ledger_still_adds_up() -> None:
    table = rows(CsvReporter().render(AUDIT))
    saved = [Decimal(row["value"]) for row in table if row["measure"] == "saved_month"]
    assert sum(saved) == Decimal(9850)


def test_days_and_models_are_crossed_where_the_audit_has_them() -> None:
    daily = (DailyRow("2026-06-01", "openai", "gpt-4o", BY_MODEL["gpt-4o"]),)
    audit = replace(NO_PROMPTS, spend=replace(AUDIT.spend, daily=daily))
    table = rows(CsvReporter().render(audit))
    (total,) = [r for r in table if r["section"] == "spend.day_model" and r["unit"] == "usd"]
    assert (total["group"], Decimal(total["value"])) == ("2026-06-01 openai gpt-4o", Decimal(12600))


def test_no_cell_from_a_log_runs() -> None:
    for row in rows(CsvReporter().render(hostile_audit())):
        for column in ("section", "group", "measure", "unit", "grade"):
            assert not row[column].startswith(("=", "+", "-", "@", "\t", "\r"))
