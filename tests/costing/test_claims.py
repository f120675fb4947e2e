"""The guide's promises are compared with what a log shows."""

from dataclasses import replace
from decimal import Decimal

import pytest

from costaudit.contracts.audit import Claim
from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.ledger import Ledger
from costaudit.contracts.prefix import PrefixSection
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.contracts.spend import Spend
from costaudit.costing.claims import Routed, claims, routed
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.tariff import tariff
from tests.costing.ledgers import lever
from tests.costing.logs import log
from tests.costing.nouns import NOTHING, ledger, money, spent, step

UNROUTED = Routed(0.0, None)
BOOK = ledger("100", step("semantic", "40"))


def by_claim(
    spend: Spend | None = None,
    semantic: SemanticSection | None = None,
    prefix: PrefixSection | None = None,
    routing: Routed = UNROUTED,
    book: Ledger = BOOK,
) -> dict[str, Claim]:
    found = claims(book, spend or spent("100"), semantic, prefix, routing)
    return {one.claim: one for one in found}


def the(found: dict[str, Claim], start: str) -> Claim:
    (only,) = [one for claim, one in found.items() if claim.startswith(start)]
    return only


def point(similarity: float, hits: Estimate, valid: float | None) -> SweepPoint:
    right = None if valid is None else Estimate(valid, "estimated", valid - 0.02, valid + 0.02)
    return SweepPoint(similarity, 1, 1, hits, hits, None, right, None, Decimal(1), money("1"), 1)


def swept(*points: SweepPoint) -> SemanticSection:
    return SemanticSection("p", "minilm", "r", 384, 1, {}, 1, 0, 0, 0.01, points, None, "")


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [("10", "20", "holds"), ("20", "30", "unclear"), ("28", "30", "fails")],
)
def test_the_total_is_held_against_its_interval(low: str, high: str, outcome: str) -> None:
    # 73% of 100 leaves 27.
    after = Money(Decimal("25"), "simulated", Decimal(low), Decimal(high))
    book = ledger("100", step("semantic", "75"), after=after)
    assert the(by_claim(book=book), "Total cost").outcome == outcome


def test_hits_and_right_ones_are_compared_at_each_threshold() -> None:
    hits = Estimate(0.50, "simulated", 0.47, 0.53)
    found = by_claim(semantic=swept(point(0.79, hits, 0.40), point(0.9, hits, None)))
    assert the(found, "52%").outcome == "unclear"
    assert the(found, "At 0.79, at least 45%").outcome == "holds"
    right = the(found, "At 0.79, at least 92%")  # 0.40 of 0.50 is 80%, at most 84%
    assert (right.outcome, right.found) == ("fails", "80.0% (76.0% to 84.0%)")
    assert the(found, "At 0.90, at least 98%").outcome == "untested"
    assert the(found, "At 0.70, at least 60%").outcome == "untested"
    assert the(found, "Mean latency").outcome == "fails"  # 53% of calls can save 53%


def test_prompt_caching_and_its_discount_are_compared() -> None:
    best = replace(NOTHING, input_uncached_tokens=20, cache_read_tokens=80)
    section = PrefixSection(
        Estimate(0.8, "simulated"), None, NOTHING, best, money("1"), (), (), (), ()
    )
    found = by_claim(prefix=section)
    assert (the(found, "78%").found, the(found, "78%").outcome) == ("80.0%", "holds")
    assert the(found, "A cache read").outcome == "untested"


def test_a_log_without_prompts_leaves_them_untested() -> None:
    found = by_claim()
    assert the(found, "78%").outcome == the(found, "52%").outcome == "untested"
    assert the(found, "Total cost").outcome == "fails"


def test_routing_is_measured_on_the_requests_that_would_move() -> None:
    call = {"input_uncached_tokens": 1_000}
    requests = log(call, call, call, {**call, "served_by": "gateway_cache"})
    prices = tariff(requests, price_requests(requests))
    moved = {"unit": "a", "model": "gpt-4o-mini"}
    found = routed(prices, lever("routing", moved, {}, {}, moved).effect)
    # One of three calls, from 2.50 to 0.15 per million.
    assert found.share == pytest.approx(1 / 3)
    assert found.times_cheaper == pytest.approx(2.5 / 0.15)
    assert the(by_claim(routing=found), "30%").outcome == "holds"
    assert the(by_claim(routing=found), "The small model").found == "16.7 x"
    assert routed(prices, None) == Routed(0.0, None)


@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("1.2 M queries", "$24,000"),  # 1.2 x (2,800 x 5 + 400 x 15) = 1.2 x 20,000
        ("With 52% hits", "$22,030"),  # 21,750 + 280
        ("With context caching", "$1,949"),  # 580 x (2.40 + 0.96) = 1,948.8
        ("The second month", "$22,480"),
        ("The roadmap", "302 h"),
    ],
)
def test_the_articles_own_sums_do_not_add_up(start: str, found: str) -> None:
    claim = the(by_claim(), start)
    assert (claim.found, claim.outcome) == (found, "fails")
