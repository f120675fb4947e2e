"""A quantity has the same value everywhere in an audit and its renderings."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from costaudit.contracts.audit import Audit, Limit
from costaudit.contracts.grades import Money
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.costing.gate import evaluate
from costaudit.replay.monitoring.dashboard import expectations
from costaudit.report.compare import compare
from costaudit.report.numbers import usd as written_usd
from costaudit.report.reporters import render


def amounts(value: Any, path: str = "") -> Iterator[tuple[str, Money]]:
    """Yield every amount in an audit with its path."""
    if isinstance(value, Money):
        yield path, value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from amounts(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from amounts(one, f"{path}.{name}")
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from amounts(one, f"{path}[{number}]")


def test_nothing_that_is_scaled_is_measured(audit: Audit) -> None:
    if not audit.month.is_month:
        assert audit.ledger.before.grade == "measured"
        return
    scaled = [
        (path, money)
        for path, money in amounts(audit)
        if money.usd and money.grade in ("measured", "replayed", "simulated")
    ]
    assert scaled == []


def graded(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the grade of every amount in a JSON document with its path."""
    if isinstance(value, dict):
        if "usd" in value and "grade" in value:
            yield path, value["grade"]
        for name, one in value.items():
            yield from graded(one, f"{path}.{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from graded(one, f"{path}[{number}]")


CERTAIN = ("measured", "replayed", "simulated")
BLOCK = re.compile(r"<(?:p|tr|th|li|dt|dd|div|h\d|summary|figcaption|text)\b[^>]*>")


def test_no_rendering_calls_a_scaled_month_measured(audit: Audit) -> None:
    if not audit.month.is_month:
        assert audit.ledger.before.grade == "measured"  # the figures are those of the log
        return
    document = json.loads(render(audit, "json"))
    found = list(graded(document))
    assert found and [(path, grade) for path, grade in found if grade in CERTAIN] == []
    rows = list(csv.DictReader(render(audit, "csv").decode().splitlines()))
    monthly = [row for row in rows if "month" in row["measure"] and row["unit"] == "usd"]
    assert monthly and [row for row in monthly if row["grade"] in CERTAIN] == []
    for name in ("terminal", "md"):
        lines = render(audit, name).decode().splitlines()
        assert [one for one in lines if "$" in one and "measured" in one] == []
    # FOCUS holds the charges of the log alone: their days, and not a month.
    charges = csv.DictReader(render(audit, "focus").decode().splitlines())
    days = {row["ChargePeriodStart"][:10] for row in charges}
    assert days <= {row.group for row in audit.spend.by["day"]}
    amounts_of = {written_usd(money.usd) for _, money in amounts(audit) if money.usd}
    own = {written_usd(row.cost.total_usd) for rows in audit.spend.by.values() for row in rows}
    page = render(audit, "html").decode().partition("<body")[2]
    for mark in re.finditer(r'<abbr class="grade[^"]* measured"', page):
        block = BLOCK.split(page[max(mark.start() - 2_000, 0) : mark.start()])[-1]
        text = re.sub("<[^>]*>", " ", block)
        assert " month" not in text, text
        shown = set(re.findall(r"\$[\d,.]*\d", text))
        assert not shown & (amounts_of - own), text


def test_a_monthly_interval_has_a_width_and_holds_its_value(audit: Audit) -> None:
    for path, money in amounts(audit):
        if money.low_usd is not None and money.high_usd is not None:
            assert money.low_usd <= money.usd <= money.high_usd, path
    if audit.month.is_month:
        for money in (*(one.saved for one in audit.ledger.steps), audit.ledger.before):
            assert not money.usd or money.low_usd != money.high_usd


def test_the_ledger_and_what_refers_to_it_add_up(audit: Audit) -> None:
    ledger = audit.ledger
    saved = sum((one.saved.usd for one in ledger.steps), Decimal(0))
    assert ledger.before.usd - saved == ledger.after.usd
    assert (audit.verdict.spend, audit.verdict.saving, audit.verdict.after) == (
        ledger.before, ledger.saving, ledger.after_firm,
    )  # fmt: skip
    in_plan = {one.lever: one.saved for one in audit.plan if one.lever != "monitoring"}
    assert in_plan == {one.lever: one.saved for one in (*ledger.steps, *ledger.left_out)}
    paying = [one.lever for one in audit.plan if one.worth]
    assert paying == [one.lever for one in ledger.steps if one.worth]


def test_spend_by_groups_adds_up_to_the_spend(audit: Audit) -> None:
    for name in ("endpoint", "tenant", "model"):
        rows = audit.spend.by[name]
        assert sum((one.cost.total_usd for one in rows), Decimal(0)) == audit.spend.total.total_usd
        months = [one.month.usd for one in rows if one.month is not None]
        if audit.month.is_month:
            assert abs(sum(months, Decimal(0)) - audit.ledger.before.usd) < Decimal("0.00001")
        else:
            assert not months and audit.ledger.before.usd == audit.spend.total.total_usd


def test_a_cache_alone_is_worth_the_same_on_every_page(audit: Audit) -> None:
    every = {one.lever: one for one in (*audit.ledger.steps, *audit.ledger.left_out)}
    section, prefix = audit.semantic, audit.prefix
    tiny = Decimal("0.000002")
    if section is not None and section.exact is not None and "duplicates" in every:
        assert abs(section.exact.net_saved.usd - every["duplicates"].alone.usd) <= tiny
    if section is not None and section.recommended is not None and "semantic" in every:
        assert section.chosen is not None
        assert abs(section.chosen.net_saved.usd - every["semantic"].alone.usd) <= tiny
    if prefix is not None and "prompt_caching" in every:
        assert abs(prefix.saving_month.usd - every["prompt_caching"].alone.usd) <= tiny
        templates = sum((one.saving_month.usd for one in prefix.templates), Decimal(0))
        assert templates <= prefix.saving_month.usd + Decimal("0.0001")


def test_no_finding_promises_more_than_the_ledger_leaves(audit: Audit) -> None:
    left = {one.section: Decimal(0) for one in audit.ledger.steps}
    for one in audit.ledger.steps:
        left[one.section] += one.saved.usd
    promised: dict[str, Decimal] = {}
    for finding in audit.findings:
        if finding.saved is not None:
            section = finding.section
            promised[section] = promised.get(section, Decimal(0)) + finding.saved.usd
    for section, usd in promised.items():
        assert usd <= left.get(section, Decimal(0)) + Decimal("0.000001"), section


def test_the_renderings_say_the_same(audit: Audit) -> None:
    table = render(audit, "csv").decode()
    for row in table.splitlines():
        if row.startswith("ledger,before,"):
            assert row.split(",")[4] == str(audit.ledger.before.usd)
        if row.startswith("verdict,saving,"):
            assert row.split(",")[4] == str(audit.ledger.saving.usd)
    again = msgspec.json.decode(render(audit, "json"), type=Audit)
    assert again == audit
    for name in ("terminal", "md", "html"):
        page = render(audit, name).decode()
        assert not audit.month.is_month or "in this log" not in page.split("</head>")[-1][:3_000]
        assert audit.month.is_month or "You spend" not in page
    per_hour = expectations(audit).cost_per_hour_usd
    assert per_hour == pytest.approx(float(audit.ledger.after_firm.usd) / audit.month.days / 24)


def test_an_audit_is_identical_to_itself(audit: Audit) -> None:
    found = compare(audit, audit)
    assert {one.verdict for one in found.changes} <= {"identical", "can't be compared"}
    assert not found.why_not and not found.new_findings and not found.gone_findings


def test_the_best_prompts_send_every_token_that_was_sent(audit: Audit) -> None:
    """Text moved out of a prompt's cached part is still billed, as uncached input."""
    prefix = audit.prefix
    if prefix is not None:
        sent, then = (
            sum(getattr(one, name) for name in INPUT_CLASSES) for one in (prefix.as_is, prefix.best)
        )
        assert sent == then


def test_the_export_the_gate_and_the_claims_have_the_audit_s_numbers(audit: Audit) -> None:
    rows = csv.DictReader(render(audit, "focus").decode().splitlines())
    charged = sum((Decimal(row["BilledCost"] or 0) for row in rows), Decimal(0))
    assert charged == audit.spend.total.total_usd
    (saving,) = evaluate(audit, {"min_saving_usd_month": Limit("0", Decimal(0))})
    usd = audit.ledger.saving.usd
    assert audit.month.is_month or saving.status == "insufficient"
    assert saving.status == "insufficient" or f"${usd:,.2f} a month" in saving.measured
    before, after = audit.ledger.before.usd, audit.ledger.after.usd
    total = next(one for one in audit.claims if one.claim.startswith("Total cost falls"))
    share = float(1 - after / before) if before else 0.0
    assert float(total.found.partition("%")[0] or 0) == pytest.approx(100 * share, abs=0.06)
