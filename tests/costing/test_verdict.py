"""The first sentence says what was found, and how certain it is."""

from dataclasses import replace
from decimal import Decimal

import pytest

from costaudit.costing.verdict import draft_reason, verdict
from tests.costing.nouns import LOG, MONTH, ledger, money, quality, spent, step


def test_dollars_range_grade_and_coverage_are_in_the_sentence() -> None:
    saved = money("32920", low="30500", high="34000")
    book = ledger("45000", replace(step("semantic", "32920"), saved=saved))
    found = verdict(spent("45000"), book, quality(), MONTH)
    assert found.headline == (
        "$45,000 a month now, $12,080 after: 73% less ($30,500 to $34,000 saved), simulated, "
        "from 12,000 requests over 30.0 days, all tokens priced."
    )
    assert found.after == book.after_firm and found.saving == book.saving
    assert found.saving_share == pytest.approx(0.7316, abs=1e-4)
    assert not found.draft


def test_what_is_only_assumed_is_named_apart() -> None:
    routing = replace(step("routing", "20"), saved=money("20", "assumed"))
    found = verdict(spent("100"), ledger("100", step("semantic", "30"), routing), quality(), MONTH)
    assert (found.after.usd, found.grade) == (Decimal(70), "simulated")
    assert found.headline.endswith("all tokens priced. A further $20.00 depends on assumptions.")


def test_little_money_keeps_its_cents_and_short_logs_their_hours() -> None:
    book = ledger("0.31", step("semantic", "0.11"))
    found = verdict(
        spent("0.31", unpriced_share=0.004),
        book,
        quality(last_ts="2026-10-01T06:00:00+00:00"),
        MONTH,
    )
    assert "$0.31 a month now, $0.20 after: 35% less, simulated" in found.headline
    assert "over 6 hours, 99.6% of tokens priced" in found.headline


def test_less_than_a_cent_shows_two_digits() -> None:
    book = ledger("0.0054", step("semantic", "0.00494"))
    said = verdict(spent("0.0054"), book, quality(), MONTH).headline
    assert "$0.0054 a month now, $0.00046 after" in said


def test_without_any_price_no_dollars_are_told() -> None:
    found = verdict(spent("0", unpriced_share=1.0), ledger("0"), quality(), MONTH)
    assert found.headline == (
        "DRAFT: no dollars can be given: no token has a price, in 12,000 requests over 30.0 days."
    )


def test_nothing_spent_is_nothing_saved() -> None:
    found = verdict(spent("0"), ledger("0"), quality(first_ts="", kept=1), LOG)
    assert found.saving_share == 0 and "an unknown time" in found.headline


@pytest.mark.parametrize(
    ("gap", "draft"), [(None, False), (0.05, False), (-0.05, False), (0.051, True), (-0.3, True)]
)
def test_an_invoice_gap_beyond_five_percent_makes_a_draft(gap: float | None, draft: bool) -> None:
    spend = spent("95", invoice_usd=Decimal(100), invoice_gap_share=gap)
    assert bool(draft_reason(spend)) is draft
    headline = verdict(spend, ledger("95"), quality(), MONTH).headline
    assert headline.startswith("DRAFT: ") is draft


def test_unpriced_tokens_make_a_draft() -> None:
    assert "2.0% of the tokens" in draft_reason(spent("1", unpriced_share=0.02))


def test_estimated_usage_is_an_estimate() -> None:
    assert quality().spend_grade == "measured"
    assert quality(usage={"provider": 1, "estimated": 1}).spend_grade == "estimated"
    assert quality(usage={"provider": 1, "missing": 1}).spend_grade == "measured"  # a failure
    assert quality(uncounted=1).spend_grade == "estimated"


def test_a_short_log_has_figures_of_its_own() -> None:
    found = verdict(spent("20"), ledger("20", step("duplicates", "8")), quality(), LOG)
    assert found.headline.startswith("$20.00 in this log, $12.00 with every step: 40% less")
    assert found.headline.endswith("Too short.")


@pytest.mark.parametrize(
    ("worth", "said"),
    [
        ((True, True), ""),
        ((True, False), "1 of 2 steps pay for their effort within 12 months."),
        ((False, False), "At this traffic no step pays for its effort within 12 months."),
        ((None, None), ""),
    ],
)
def test_what_does_not_pay_is_said(worth: tuple[bool | None, ...], said: str) -> None:
    steps = [step(f"s{i}", "1", worth=one) for i, one in enumerate(worth)]
    headline = verdict(spent("20"), ledger("20", *steps), quality(), MONTH).headline
    assert headline.endswith(said or "priced.")
