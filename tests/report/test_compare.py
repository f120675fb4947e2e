"""Two audits side by side."""

from dataclasses import replace
from decimal import Decimal

import pytest

from costaudit.contracts.audit import Audit
from costaudit.contracts.spend import SpendRow
from costaudit.report.compare import compare
from tests.report.sample_audit import AUDIT, NO_PROMPTS
from tests.report.sample_cost import money


def with_days(amounts: list[str], month: str) -> Audit:
    row = AUDIT.spend.by["day"][0]
    days: tuple[SpendRow, ...] = tuple(
        replace(row, group=f"2026-06-{n:02}", cost=replace(row.cost, total_usd=Decimal(amount)))
        for n, amount in enumerate(amounts, 1)
    )
    spend = replace(AUDIT.spend, by={"day": days})
    return replace(AUDIT, spend=spend, ledger=replace(AUDIT.ledger, before=money(month)))


def test_an_audit_is_equal_to_itself() -> None:
    compared = compare(AUDIT, AUDIT)
    assert {change.verdict for change in compared.changes} == {"no change"}
    assert not any(compared.moved.values())
    assert not compared.new_findings and not compared.gone_clusters


def test_noise_of_spend_comes_from_its_days() -> None:
    # Inner days 90 and 110 in turn, eight of them: mean 100, squared deviations 8 x 100 = 800,
    # variance 800 / 7, error of the mean sqrt(800 / 7 / 8) = 3.7796, band 1.96 x = 7.4081 a day.
    # A month of 3,000 is 30 means: 222.24; one of 3,200 is 32: 237.06. Together
    # sqrt(222.24^2 + 237.06^2) = 324.94.
    days = ["1", *["90", "110"] * 4, "1"]
    base, new = with_days(days, "3000"), with_days(days, "3200")
    spend = compare(base, new).spend
    assert spend.difference == 200
    assert spend.noise == pytest.approx(Decimal("324.94"), abs=Decimal("0.01"))
    assert spend.within_noise
    assert spend.verdict == "+$200 (+6.7%), within noise (±$325)"
    assert not compare(base, with_days(days, "3400")).spend.within_noise


def test_a_quiet_sunday_is_no_noise() -> None:
    # June 1, 2026 is a Monday. Inner days June 2 to 15: weekdays 100, Saturday and Sunday 40,
    # but Monday June 8 and 15 cost 90 and 110: deviations -10 and 10, squares 200,
    # variance 200 / (14 days - 7 weekdays) = 28.571, error sqrt(28.571 / 14) = 1.42857,
    # band 2.8 a day; mean (8 x 100 + 4 x 40 + 200) / 14 = 82.857; of a month of 2,900: 98.00.
    week = ["100", "100", "100", "100", "40", "40"]
    base = with_days(["1", *week, "90", *week, "110", "1"], "2900")
    spend = compare(base, replace(base, spend=replace(base.spend, by={}))).spend
    assert spend.noise == pytest.approx(Decimal("98.00"), abs=Decimal("0.01"))


def test_too_few_days_give_no_noise_and_no_excuse() -> None:
    base, new = with_days(["100"] * 8, "3000"), with_days(["100"] * 8, "3001")
    spend = compare(base, new).spend
    assert spend.noise is None and not spend.within_noise
    assert spend.verdict == "+$1.00 (+0.03%)"


def test_intervals_are_the_noise_of_estimates() -> None:
    verdict = replace(AUDIT.verdict, saving=money("10500", "estimated", "9510", "11490"))
    saving = compare(AUDIT, replace(AUDIT, verdict=verdict)).changes[1]
    # half widths (10,840 - 8,860) / 2 = 990 and (11,490 - 9,510) / 2 = 990; x sqrt(2) = 1,400.07
    assert saving.noise == pytest.approx(Decimal("1400.07"), abs=Decimal("0.01"))
    assert saving.difference == 650 and saving.within_noise


def test_what_one_side_lacks_can_not_be_compared() -> None:
    compared = compare(AUDIT, NO_PROMPTS)
    valid = next(change for change in compared.changes if change.name == "Valid semantic hits")
    assert valid.verdict == "can't be compared"
    assert compared.gone_findings and not compared.new_findings
    assert set(compared.gone_clusters) == {
        "reset password account", "return order days", "pro plan billed yearly",
    }  # fmt: skip


def test_where_no_threshold_is_recommended_exact_matching_is_compared() -> None:
    assert AUDIT.semantic
    exact = replace(AUDIT.semantic.points[-1], min_similarity=1.01)
    semantic = replace(AUDIT.semantic, points=(), recommended=None, exact=exact)
    by_name = {one.name: one for one in compare(AUDIT, replace(AUDIT, semantic=semantic)).changes}
    assert exact.valid_hit_share
    assert by_name["Valid semantic hits"].new == Decimal(str(exact.valid_hit_share.value))


def test_moved_groups_are_ranked_by_the_size_of_the_change() -> None:
    rows = AUDIT.spend.by["model"]
    dearer = replace(rows[1], cost=replace(rows[1].cost, total_usd=Decimal("15000")))
    spend = replace(AUDIT.spend, by=AUDIT.spend.by | {"model": (rows[0], dearer)})
    moved = compare(AUDIT, replace(AUDIT, spend=spend)).moved["model"]
    assert [(change.name, change.difference) for change in moved] == [
        ("gpt-4o", Decimal(2400)),  # 15,000 - 12,600
        ("gpt-4o-mini", Decimal("-400.20")),  # gone
    ]
