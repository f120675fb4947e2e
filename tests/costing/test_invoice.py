"""A bill is compared with the log per model and day, with the days that only one covers."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from costaudit.contracts.spend import Bill, BilledTokens, BillLine, CostBreakdown, DailyRow
from costaudit.costing.months.partial_days import PartialDays, partial_days
from costaudit.costing.prices.invoice import reconcile
from costaudit.costing.prices.names import family
from costaudit.errors import UsageError
from costaudit.report.language import Style, said, using
from costaudit.report.tables.invoice import notes_of

D = Decimal
NOTHING = CostBreakdown(0, 0, 0, 0, 0, 0, 0, D(0), D(0), D(0), D(0), D(0))


def counted(
    day: str,
    model: str,
    usd: str,
    tokens: tuple[int, int, int] = (0, 0, 0),
    provider: str = "openai",
) -> DailyRow:
    """Return a model's day; tokens are uncached, read and output."""
    sent, read, received = tokens
    cost = replace(
        NOTHING, requests=1, total_usd=D(usd), input_uncached_tokens=sent, cache_read_tokens=read,
        output_tokens=received,
    )  # fmt: skip
    return DailyRow(day, provider, model, cost)


def bill(*lines: BillLine, days: dict[str, tuple[str, ...]] | None = None) -> Bill:
    covered: dict[str, set[str]] = {}
    for line in lines:
        covered.setdefault(line.provider, set()).add(line.day)
    told = {provider: tuple(sorted(each)) for provider, each in covered.items()}
    return Bill(lines, told if days is None else days, ("bill.json",))


def billed(day: str, model: str, usd: str, provider: str = "openai", **rest: object) -> BillLine:
    return BillLine(day, provider, model, amount=D(usd), **rest)  # type: ignore[arg-type]


LOG = (
    counted("2026-10-05", "gpt-4o-2024-08-06", "3.00", (600, 400, 100)),
    counted("2026-10-06", "gpt-4o-2024-08-06", "2.50", (1_000, 0, 0)),
    counted("2026-10-07", "gpt-4o-mini", "0.15", (1_000, 0, 0)),
    counted("2026-10-06", "claude-sonnet-4-5", "7.00", provider="anthropic"),
)


def test_days_that_only_one_side_covers_stay_out_of_the_gap() -> None:
    """The 4th precedes the log, and the 7th follows the invoice: (3.00 + 3.50) against 5.50."""
    found = reconcile(
        bill(
            billed("2026-10-04", "gpt-4o-2024-08-06", "9.00"),
            billed("2026-10-05", "gpt-4o-2024-08-06", "2.00"),
            billed("2026-10-05", "gpt-4o-2024-08-06", "1.00"),
            billed("2026-10-06", "gpt-4o-2024-08-06", "3.50"),
        ),
        LOG,
        {},
    )
    assert (found.billed_usd, found.counted_usd) == (D("6.50"), D("5.50"))
    assert found.gap_share == pytest.approx(1 / 6.5)
    assert (found.only_invoice, found.only_log) == (("2026-10-04",), ("2026-10-07",))
    assert found.days_of_both == 2
    assert found.providers_without == ("anthropic",)
    (row,) = found.rows
    assert (row.model, row.difference_usd) == ("gpt-4o-2024-08-06", D("1.00"))
    told = {(one.day, one.model): (one.covered, one.difference_usd) for one in found.days}
    assert told == {
        ("2026-10-04", "gpt-4o-2024-08-06"): ("invoice only", None),
        ("2026-10-05", "gpt-4o-2024-08-06"): ("both", D("0.00")),
        ("2026-10-06", "gpt-4o-2024-08-06"): ("both", D("1.00")),
        ("2026-10-07", "gpt-4o-mini"): ("log only", None),
    }


def test_a_day_within_the_log_without_a_call_is_a_gap() -> None:
    lines = [
        billed(f"2026-10-0{day}", "gpt-4o", usd) for day, usd in ((5, "1"), (6, "4"), (7, "1"))
    ]
    log = counted("2026-10-05", "gpt-4o", "1"), counted("2026-10-07", "gpt-4o", "1")
    found = reconcile(bill(*lines), log, {})
    assert (found.billed_usd, found.counted_usd, found.days_of_both) == (D(6), D(2), 3)
    (lost,) = [row for row in found.days if row.counted_usd is None]
    assert (lost.day, lost.difference_usd) == ("2026-10-06", D(4))


def test_credits_and_taxes_are_named_apart() -> None:
    found = reconcile(
        bill(
            billed("2026-10-05", "gpt-4o-2024-08-06", "3.00"),
            billed("2026-10-05", "", "-5.00", charge="credit"),
            billed("2026-10-05", "", "0.63", charge="other"),
        ),
        LOG,
        {},
    )
    assert (found.credits_usd, found.other_usd) == (D("-5.00"), D("0.63"))
    assert (found.billed_usd, found.gap_share) == (D("3.00"), 0.0)


def test_another_currency_needs_a_rate() -> None:
    euros = bill(billed("2026-10-05", "gpt-4o-2024-08-06", "2.50", currency="EUR"))
    with pytest.raises(UsageError, match="in EUR") as refused:
        reconcile(euros, LOG, {})
    assert "--invoice-rate EUR=" in (refused.value.hint or "")
    found = reconcile(euros, LOG, {"EUR": D("1.2")})
    assert (found.billed_usd, found.counted_usd) == (D("3.00"), D("3.00"))
    assert (found.currency, found.rates) == ("EUR", {"EUR": D("1.2")})


def test_a_report_of_tokens_is_compared_by_tokens() -> None:
    """Billed 1,100 and 1,250 tokens, counted 1,100 and 1,000: 250 of 2,350 are missing."""
    lines = (
        BillLine(
            "2026-10-05", "openai", "gpt-4o-2024-08-06", tokens=BilledTokens(600, 400, 0, 100)
        ),
        BillLine("2026-10-06", "openai", "gpt-4o-2024-08-06", tokens=BilledTokens(1_250)),
    )
    found = reconcile(bill(*lines), LOG, {})
    assert (found.billed_usd, found.gap_of) == (None, "tokens")
    assert found.gap_share == pytest.approx(250 / 2_350)
    assert [row.difference_usd for row in found.rows] == [None]


def test_dollars_of_one_provider_and_tokens_of_another_do_not_mix() -> None:
    lines = (
        billed("2026-10-06", "gpt-4o-2024-08-06", "2.50"),
        BillLine("2026-10-06", "anthropic", "claude-sonnet-4-5", tokens=BilledTokens(5)),
    )
    found = reconcile(bill(*lines), LOG, {})
    assert (found.billed_usd, found.counted_usd, found.gap_share) == (D("2.50"), D("2.50"), 0.0)


def test_a_bill_without_models_is_compared_as_a_whole() -> None:
    log = counted("2026-10-05", "gpt-4o", "3"), counted("2026-10-05", "gpt-4o-mini", "1")
    found = reconcile(bill(billed("2026-10-05", "", "5")), log, {})
    (row,) = found.rows
    assert (row.model, row.billed_usd, row.counted_usd, row.difference_usd) == (
        "",
        D(5),
        D(4),
        D(1),
    )


def test_names_of_one_family_meet_only_where_the_exact_ones_do_not() -> None:
    log = counted("2026-10-05", "gpt-4o-2024-08-06", "3"), counted("2026-10-05", "gpt-4.1", "1")
    lines = billed("2026-10-05", "gpt-4o", "2"), billed("2026-10-05", "gpt-4.1", "1")
    found = reconcile(bill(*lines), log, {})
    told = {row.model: (row.billed_usd, row.counted_usd) for row in found.rows}
    assert told == {"gpt-4o": (D(2), D(3)), "gpt-4.1": (D(1), D(1))}
    both = billed("2026-10-05", "gpt-4o-2024-08-06", "3"), billed("2026-10-05", "gpt-4o", "2")
    found = reconcile(bill(*both), log, {})
    told = {row.model: (row.billed_usd, row.counted_usd) for row in found.rows}
    assert told["gpt-4o-2024-08-06"] == (D(3), D(3))
    assert told["gpt-4o"] == (D(2), None)


def test_a_bill_that_knows_fewer_names_is_compared_by_family() -> None:
    log = counted("2026-10-05", "gpt-4o-2024-08-06", "3"), counted("2026-10-05", "gpt-4o", "1")
    found = reconcile(bill(billed("2026-10-05", "gpt-4o", "4")), log, {})
    assert [(row.model, row.billed_usd, row.counted_usd) for row in found.rows] == [
        ("gpt-4o", D(4), D(4))
    ]


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-0806", "gpt-4o"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("models/gemini-2.5-pro", "gemini-2-5-pro"),
        ("amazon.nova-lite-v1:0", "nova-lite"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-5", "gpt-5"),
    ],
)
def test_a_family_has_neither_date_nor_version(name: str, one: str) -> None:
    assert family(name) == one


def test_a_log_without_times_says_so() -> None:
    found = reconcile(bill(billed("2026-10-05", "gpt-4o", "2")), [counted("", "gpt-4o", "2")], {})
    assert (found.gap_share, found.days_of_both) == (None, 0)
    assert found.notes == ("1 requests without a time can't be compared by day.",)


def times(*spans: tuple[int, int, int], each: int = 20) -> Any:
    """Return times in seconds; a span is a day of October 2026, its first and last hour."""
    start = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
    return np.array(
        [
            start + (day - 1) * 86_400 + first * 3_600 + (last - first) * 3_600 * n / each
            for day, first, last in spans
            for n in range(each)
        ]
    )


def test_a_day_that_lacks_usual_hours_is_covered_in_part() -> None:
    """5 to 9 October are Monday to Friday; all but the first and last have 20 requests, 8 to 18."""
    whole = [(day, 8, 18) for day in (6, 7, 8)]
    assert partial_days(times(*whole)) == ((), ())
    cut = times((5, 13, 18), *whole, (9, 8, 11))
    assert partial_days(cut).partly == ("2026-10-05", "2026-10-09")
    assert partial_days(times((9, 8, 18), (10, 9, 10), (12, 8, 18))).partly == ()  # a weekend
    assert partial_days(times((6, 13, 18), (7, 8, 18), each=4)).partly == ()  # two may be chance
    hole = times((5, 0, 24), (6, 0, 24), (7, 0, 9), (7, 20, 24), (8, 0, 24), each=240)
    assert partial_days(hole).partly == ("2026-10-07",)
    assert partial_days(times((6, 9, 17))) == ((), ("2026-10-06",))
    assert partial_days(times(each=0)) == ((), ())


def test_days_covered_in_part_are_shown_and_not_compared() -> None:
    found = reconcile(
        bill(
            billed("2026-10-05", "gpt-4o-2024-08-06", "9.00"),
            billed("2026-10-06", "gpt-4o-2024-08-06", "2.50"),
        ),
        LOG,
        {},
        PartialDays(("2026-10-05", "2026-10-07")),
    )
    assert (found.billed_usd, found.counted_usd, found.gap_share) == (D("2.50"), D("2.50"), 0)
    assert (found.partly, found.days_of_both) == (("2026-10-05",), 1)
    told = {one.day: (one.covered, one.billed_usd, one.difference_usd) for one in found.days}
    assert told["2026-10-05"] == ("log in part", D("9.00"), None)


def test_each_currency_has_its_own_rate() -> None:
    """2 EUR at 1.10 and 3 GBP at 1.30 are 6.10 dollars."""
    found = reconcile(
        bill(
            billed("2026-10-05", "gpt-4o-2024-08-06", "2", currency="EUR"),
            billed("2026-10-06", "gpt-4o-2024-08-06", "3", currency="GBP"),
        ),
        LOG,
        {"EUR": D("1.10"), "GBP": D("1.30"), "CHF": D(9)},
    )
    assert found.billed_usd == D("6.10")
    assert found.rates == {"EUR": D("1.10"), "GBP": D("1.30")}
    told = " ".join(notes_of(found))
    assert "Amounts in EUR are converted at 1.10 USD." in told
    assert "Amounts in GBP are converted at 1.30 USD." in told
    with using(Style("es")):
        assert "Los importes en GBP se convierten a 1,30 USD." in notes_of(found)


def test_a_log_of_a_part_of_a_day_says_what_can_not_be_told() -> None:
    found = reconcile(
        bill(billed("2026-10-05", "gpt-4o-2024-08-06", "3")), LOG, {},
        PartialDays(untold=("2026-10-05",)),
    )  # fmt: skip
    assert found.notes == (
        "It can't be told whether the log holds all of 2026-10-05: no other day shows the hours "
        "that are missing.",
    )
    with using(Style("es")):
        assert said(found.notes[0]).startswith("No se puede saber si el registro tiene todo el 2")
