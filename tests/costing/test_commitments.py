"""Bought capacity is sized for what the caches and the other levers leave."""

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.grades import Money
from costaudit.contracts.ledger import Ledger
from costaudit.costing.ledger import build_ledger
from costaudit.costing.months.month import month_of
from costaudit.costing.plans.commitments import Commitments, Offer, offers_in
from costaudit.costing.plans.worth import Terms
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from costaudit.costing.tariff import tariff
from tests.costing.ledgers import step
from tests.costing.logs import NOON, log

DAYS = 14
SLOT = Offer(name="Slots", usd_month=Decimal(100), models={"gpt-4o": (1_000, 4)}, unit="slot")


def hourly(a_minute: int, start: datetime = NOON) -> pl.DataFrame:
    """Return calls of 400 tokens in and 150 out (1,000 in all) in one minute of each hour."""
    return log(*(
        {"ts": start + timedelta(hours=hour, seconds=n), "input_uncached_tokens": 400_000,
         "output_tokens": 150_000, "user": f"u{n}"}
        for hour in range(24 * DAYS) for n in range(a_minute)
    ))  # fmt: skip


def ledger(requests: pl.DataFrame, offer: Offer, hits: np.ndarray | None = None) -> Ledger:
    prices = tariff(requests, price_requests(requests))
    total = spend(requests, prices.table).total.total_usd
    steps = [] if hits is None else [step("duplicates", hits.tolist())]
    return build_ledger(
        prices, lambda removed, best: prices.classes.with_columns(pl.all() * pl.Series(~removed)),
        [*steps, Commitments((offer,))], month_of(requests, float(DAYS)),
        Money(total, "measured"), Terms(),
    )  # fmt: skip


def test_what_the_caches_answer_needs_no_capacity() -> None:
    # A call costs 1 + 1.50 = 2.50 dollars, 730.5 times a month. Each fills 1,000 slots.
    requests = hourly(3)
    slots = 1_000 * SLOT.usd_month / 1_000
    wide = Offer(name="Slots", usd_month=slots, models={"gpt-4o": (1_000_000, 4)}, unit="slot")
    alone = ledger(requests, wide)
    assert [one.lever for one in alone.steps] == ["commitments"]
    served = Decimal("2.5") * Decimal("730.5")
    assert abs(alone.steps[0].saved.usd - 3 * (served - slots)) < 1
    assert alone.steps[0].placed is not None and "3 × slot" in alone.steps[0].placed.change
    answered = np.arange(len(requests)) % 3 == 0
    after = ledger(requests, wide, answered)
    assert [one.lever for one in after.steps] == ["duplicates", "commitments"]
    assert abs(after.steps[1].saved.usd - 2 * (served - slots)) < 1
    assert abs(after.steps[1].alone.usd - 3 * (served - slots)) < 1  # on the log as it is
    assert after.steps[1].placed is not None and "2 × slot" in after.steps[1].placed.change
    # Law of the ledger: before = after + what the steps save.
    assert after.before.usd - sum(one.saved.usd for one in after.steps) == after.after.usd
    assert after.steps[1].requests_after == after.steps[1].requests_before  # still sent


def test_what_is_not_confirmed_is_assumed_and_in_no_total() -> None:
    doubted = Offer(
        name="Slots", usd_month=Decimal(1), models={"gpt-4o": (1_000_000, 4)}, confirmed=False
    )
    found = ledger(hourly(2), doubted)
    assert found.steps[0].evidence == "assumed" and found.saving.usd == 0
    assert "not confirmed" in found.steps[0].note


def test_a_log_that_is_too_short_for_a_month_gets_none() -> None:
    assert ledger(hourly(2)[:20], SLOT).steps == ()


def test_the_published_offers_can_be_read() -> None:
    offers = offers_in(None)
    assert offers and not any(one.confirmed for one in offers)
    assert offers[0].models["gpt-4.1"] == (3000.0, 4.0)
