"""Number formatting, checked against handmade tables."""

from decimal import Decimal

import pytest

from costaudit.contracts.grades import Estimate, Money
from costaudit.report import numbers


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("41200.20", "$41,200"),
        ("100", "$100"),
        ("99.995", "$100.00"),  # half to even: 99.995 → 100.00
        ("61.4", "$61.40"),
        ("0", "$0"),
        ("0.01", "$0.01"),
        ("0.00123456", "$0.0012"),
        ("0.0000123", "$0.000012"),
        ("-340", "−$340"),
        ("-0.5", "−$0.50"),
        ("1E+7", "$10,000,000"),
    ],
)
def test_usd(amount: str, written: str) -> None:
    assert numbers.usd(Decimal(amount)) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0%"),
        (1, "100.0%"),
        (0.1556, "15.6%"),
        (0.0043, "0.43%"),
        (0.00001, "<0.01%"),
        (-0.13, "−13.0%"),
    ],
)
def test_share(value: float, written: str) -> None:
    assert numbers.share(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(812, "812"), (9_400, "9,400"), (12_345, "12.3k"), (4_560_000, "4.6M"), (8.9e9, "8.9B")],
)
def test_tokens(value: float, written: str) -> None:
    assert numbers.tokens(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "$0"),
        (0.005, "$0.005"),  # as $0.0050, its zeros were taken for cents: $050
        (0.015, "$0.015"),
        (0.15000000000000002, "$0.15"),
        (0.5, "$0.50"),
        (2.5, "$2.50"),
        (20.0, "$20"),
        (-40.0, "−$40"),
        (1_000.0, "$1,000"),
        (0.0004, "$0.0004"),
    ],
)
def test_dollars_of_an_axis_keep_the_digits_of_round_numbers(value: float, written: str) -> None:
    assert numbers.whole_usd(value) == written


def test_one_of_a_kind_is_not_many() -> None:
    written = [numbers.counted(n, "call") for n in (0, 1, 1_204)]
    assert written == ["0 calls", "1 call", "1,204 calls"]


def test_ranges_are_empty_where_a_number_is_exact() -> None:
    assert numbers.usd_range(Money(Decimal(5), "measured")) == ""
    assert numbers.share_range(Estimate(0.5, "measured", 0.5, 0.5)) == ""
    money = Money(Decimal(100), "estimated", Decimal(-50), Decimal(250))
    assert numbers.usd_range(money) == "−$50.00 to $250"
    assert numbers.share_range(Estimate(0.1, "estimated", 0.05, 0.2)) == "5.0%–20.0%"


@pytest.mark.parametrize(
    ("rate", "written"), [("3", "$3.00"), ("0.075", "$0.075"), ("0", "$0.00"), ("15.0", "$15.00")]
)
def test_rates_keep_every_digit_that_counts(rate: str, written: str) -> None:
    assert numbers.per_mtok(Decimal(rate)) == written


def test_times_and_sizes() -> None:
    assert numbers.milliseconds(880.4) == "880 ms"
    assert numbers.milliseconds(3100) == "3.1 s"
    assert numbers.milliseconds(4.12) == "4.1 ms"
    assert numbers.milliseconds(0.0213) == "0.021 ms"
    assert numbers.milliseconds(0) == "0 ms"
    assert numbers.seconds(42) == "42 s"
    assert numbers.seconds(5400) == "1.5 h"
    assert numbers.seconds(172_800) == "2 d"
    assert numbers.byte_size(2_410_337_221) == "2.4 GB"
    assert numbers.byte_size(512) == "512 B"
    assert numbers.similarity(0.9) == "0.90"
    assert numbers.similarity(0.9125) == "0.9125"
