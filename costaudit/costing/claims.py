"""Check on this log what a published guide to semantic caching promises.

The guide is a widely used recipe: a vector index, similarity 0.79, answers that live for one hour.
Budgets are often based on its figures.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from costaudit.contracts.audit import Claim, Outcome
from costaudit.contracts.grades import Estimate
from costaudit.contracts.ledger import Ledger
from costaudit.contracts.prefix import PrefixSection
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.contracts.spend import Spend
from costaudit.costing.cost import cost
from costaudit.costing.tariff import Tariff
from costaudit.costing.traffic import Traffic

_TABLE = (  # similarity, least share of hits, least share of right hits
    (0.70, 0.60, 0.80),
    (0.79, 0.45, 0.92),
    (0.85, 0.30, 0.96),
    (0.90, 0.15, 0.98),
)


@dataclass(frozen=True)
class Routed:
    """What routing simple requests would change."""

    share: float  # of the requests sent to a provider
    times_cheaper: float | None  # dollars before / after, of the routed requests


def routed(tariff: Tariff, moved: pl.DataFrame | None) -> Routed:
    """Return the share of simple requests, and how much cheaper a smaller model is.

    `moved` is the EFFECT that sends them to the smaller model; None if no request is simple.
    """
    logged = Traffic.logged(tariff)
    if moved is None or not logged.sent.any():
        return Routed(0.0, None)
    touched = moved["unit"].is_not_null() & logged.sent
    sent = logged.under(moved)
    before = cost(logged.classes, logged.pricing, touched).total_usd
    after = cost(sent.classes, sent.pricing, touched).total_usd
    share = int(touched.sum()) / int(logged.sent.sum())
    return Routed(share, float(before / after) if after else None)


def claims(
    ledger: Ledger,
    spend: Spend,
    semantic: SemanticSection | None,
    prefix: PrefixSection | None,
    routing: Routed,
) -> tuple[Claim, ...]:
    """Return the promises with what this log shows, and the guide's own sums, recomputed."""
    return (
        _saving(ledger),
        *_thresholds(semantic),
        _latency(semantic),
        _prompt_cache(prefix),
        _read_discount(spend),
        *_routing(routing),
        *_sums(),
    )


def _saving(ledger: Ledger) -> Claim:
    before, after = ledger.before.usd, ledger.after
    low, high = (
        float(1 - end / before) if end is not None and before else None
        for end in (after.high_usd, after.low_usd)
    )
    share = float(1 - after.usd / before) if before else 0.0
    found = Estimate(share, after.grade, low, high)
    return _at_least(
        "Total cost falls by 73% ($45,000 to $12,080 a month).", 0.73, found,
        "The ledger with every lever, including those that are only assumed.",
    )  # fmt: skip


def _thresholds(semantic: SemanticSection | None) -> Iterable[Claim]:
    points = {round(p.min_similarity, 6): p for p in semantic.points} if semantic else {}
    why = f"With {semantic.embedder}, over all requests." if semantic else "No prompts in the log."
    yield _hits("52% of queries are semantic hits at 0.79.", 0.52, points.get(0.79), why)
    for similarity, hits, right in _TABLE:
        point = points.get(similarity)
        said = f"At {similarity:.2f}, at least {hits:.0%} of queries are hits."
        yield _hits(said, hits, point, why)
        yield _right(f"At {similarity:.2f}, at least {right:.0%} of hits are right.", right, point)


def _hits(claim: str, promised: float, point: SweepPoint | None, why: str) -> Claim:
    if point is None:
        return _untested(claim, f"{promised:.0%}", "This threshold was not simulated.")
    return _at_least(claim, promised, point.raw_hit_share_all, why)


def _right(claim: str, promised: float, point: SweepPoint | None) -> Claim:
    if point is None or point.valid_hit_share is None or not point.raw_hit_share.value:
        return _untested(claim, f"{promised:.0%}", "No hits whose answers the log could judge.")
    raw, valid = point.raw_hit_share.value, point.valid_hit_share
    low, high = (None if e is None else min(e / raw, 1.0) for e in (valid.low, valid.high))
    found = Estimate(min(valid.value / raw, 1.0), valid.grade, low, high)
    return _at_least(claim, promised, found, "Served answers, compared with the logged ones.")


def _latency(semantic: SemanticSection | None) -> Claim:
    claim, promised = "Mean latency falls by 71% to 81%.", "71%"
    points = [p for p in semantic.points if p.min_similarity >= 0.79] if semantic else []
    if not points:
        return _untested(claim, promised, "No semantic cache was simulated.")
    most = max(points, key=lambda p: p.raw_hit_share_all.value).raw_hit_share_all
    return _at_least(
        claim, 0.71, most,
        "The mean would fall by at most this, if hits at 0.79 or above took no time; "
        "`costaudit replay` measures it.",
    )  # fmt: skip


def _prompt_cache(prefix: PrefixSection | None) -> Claim:
    claim = "78% of the rest hits the provider's prompt cache."
    total = sum(getattr(prefix.best, name) for name in INPUT_CLASSES) if prefix else 0
    if prefix is None or not total:
        return _untested(claim, "78%", "No prompts in the log.")
    found = Estimate(prefix.best.cache_read_tokens / total, "simulated")
    return _at_least(claim, 0.78, found, "Share of input tokens read, with the best markers.")


def _read_discount(spend: Spend) -> Claim:
    claim, promised = "A cache read costs 90% less than input.", "90%"
    priced = [p for p in spend.prices if p.input_per_mtok]
    requests = sum(p.requests for p in priced)
    if not requests:
        return _untested(claim, promised, "No request has a price.")
    off = sum((1 - p.cache_read_per_mtok / p.input_per_mtok) * p.requests for p in priced)
    found = Estimate(float(off / requests), "measured")
    return _at_least(claim, 0.9, found, "List prices of this log's models, by requests.")


def _routing(routing: Routed) -> Iterable[Claim]:
    why = "By a rule over the log; whether the smaller model answers well enough is not tested."
    share = Estimate(routing.share, "assumed")
    yield _at_least("30% of queries are simple enough for a small model.", 0.3, share, why)
    claim, promised = "The small model is 15 times cheaper.", "15 x"
    if routing.times_cheaper is None:
        yield _untested(claim, promised, "No request was routed.")
        return
    times = routing.times_cheaper
    outcome: Outcome = "holds" if times >= 15 else "fails"
    why = "The same requests in dollars: now, and with the smaller model of the same family."
    yield Claim(claim, promised, f"{times:.1f} x", outcome, why, "simulated")


def _sums() -> Iterable[Claim]:
    """Yield the guide's sums, recomputed from the figures that it prints."""
    spent = 1_200_000 * (2_800 * 5 + 400 * 15) / 1e6  # at $5 and $15 per million tokens
    yield _sum("1.2 M queries of 2,800 + 400 tokens cost $45,000 a month.", 45_000, spent,
               "At its own $5 and $15 per million tokens.")  # fmt: skip
    month_1 = 580_000 * 45_000 / 1_200_000 + 280
    yield _sum("With 52% hits, the first month costs $27,280.", 27_280, month_1,
               "580,000 calls at its own $0.0375, and the cache's $280.")  # fmt: skip
    cached = 580_000 * (800 * 3 + 3_200 * 0.3) / 1e6  # at $3 and $0.30 per million tokens
    yield _sum("With context caching, input costs $18,720.", 18_720, cached,
               "800 tokens at $3 and 3,200 at $0.30 per million.")  # fmt: skip
    yield _sum("The second month's parts add up to $21,600.", 21_600, 18_720 + 3_480 + 280,
               "18,720 + 3,480 + 280.")  # fmt: skip
    hours = 12 + 120 + 60 + 80 + 30
    yield _sum("The roadmap takes at most 282 hours.", 282, hours, "Its own rows added up.", "h")


def _sum(claim: str, promised: float, found: float, why: str, unit: str = "$") -> Claim:
    outcome: Outcome = "holds" if abs(found - promised) <= 0.01 * promised else "fails"
    said, redone = (f"{n:,.0f} h" if unit == "h" else f"${n:,.0f}" for n in (promised, found))
    return Claim(claim, said, redone, outcome, why, "measured")


def _at_least(claim: str, promised: float, found: Estimate, why: str) -> Claim:
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    outcome: Outcome = "holds" if low >= promised else "fails" if high < promised else "unclear"
    ranged = "" if found.low is None else f" ({low:.1%} to {high:.1%})"
    return Claim(claim, f"{promised:.0%}", f"{found.value:.1%}{ranged}", outcome, why, found.grade)


def _untested(claim: str, promised: str, why: str) -> Claim:
    return Claim(claim, promised, "", "untested", why, "assumed")
