"""Report what is counted once, not read, or undecided, in dollars."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

import polars as pl

from costaudit.contracts.audit import Finding
from costaudit.contracts.manifest import IngestCounts
from costaudit.contracts.requests import SENT_TO_PROVIDER
from costaudit.contracts.run_dir import column
from costaudit.contracts.spend import Counting, Spend, Undecided
from costaudit.costing.cost import billed_classes, cost, plain
from costaudit.costing.logged import basis, foreign_costs
from costaudit.costing.prices.conventions import GROUP, is_undecided, swapped
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spending.parts import PriceTerms
from costaudit.costing.spending.tally import Groups, Log, Stretch
from costaudit.costing.verdict import once

MOST_NAMES = 6  # unread fields that are shown
_WHY = {
    "duplicate-id": "with the id of another",
    "same-start": "with the start, prompt and tokens of another",
    "replayed": "in a session that repeats another one's history",
    "parent-span": "of a span that holds calls",
    "other-instrument": "of another instrument",
}


def counting(log: Log, merged: pl.DataFrame, ingest: IngestCounts, terms: PriceTerms) -> Counting:
    """Return the cost of undecided calls, and of rows of MERGED that repeat a call of the log.

    `ingest` holds the manifest's counts.
    """
    ids = merged["merged_into"].unique()
    parts = list(log.map(partial(_counted, ids=ids, terms=terms), {}))
    if len(merged):
        kept = pl.concat(part.kept for part in parts)
        merged = merged.join(kept, on="merged_into", how="semi").filter(SENT_TO_PROVIDER)
    foreign: Counter[str] = Counter()
    undecided: dict[tuple[str, ...], Undecided] = {}
    for part in parts:
        foreign.update(part.foreign)
        for one in part.undecided:
            key = (one.source_file, one.provider, one.model, one.convention)
            undecided[key] = _sum(undecided[key], one) if key in undecided else one
    colliding, calls = ingest.colliding_ids
    reasons = merged["reason"].value_counts().sort("reason").rows()
    return Counting(
        merged_calls=len(merged),
        merged_usd=_usd(merged, terms) if len(merged) else Decimal(0),
        merged_reasons=dict(reasons),
        colliding_ids=colliding,
        colliding_calls=calls,
        unread_usage=ingest.unread_usage,
        unreadable_usage=ingest.unreadable_usage,
        estimated=sum(part.estimated for part in parts),
        foreign_costs=dict(sorted(foreign.items())),
        undecided=tuple(undecided.values()),
    )


@dataclass(frozen=True)
class _Counted:
    """What a part of a log adds."""

    kept: pl.DataFrame  # merged_into: the wanted ids that it has
    estimated: int
    foreign: dict[str, int]
    undecided: tuple[Undecided, ...]


def _counted(stretch: Stretch, _: Groups, ids: pl.Series, terms: PriceTerms) -> _Counted:
    requests = stretch.requests
    kept = requests.select(merged_into="request_id") if len(ids) else pl.DataFrame()
    if len(ids):
        kept = kept.filter(pl.col("merged_into").is_in(ids.implode()))
    estimated = int((column(requests, "usage_source") == "estimated").sum())
    undecided = tuple(_undecided(requests, terms))
    return _Counted(kept, estimated, foreign_costs(requests), undecided)


def _sum(one: Undecided, other: Undecided) -> Undecided:
    return replace(
        one,
        requests=one.requests + other.requests,
        usd=plain(one.usd + other.usd),
        other_usd=plain(one.other_usd + other.other_usd),
    )


def _usd(rows: pl.DataFrame, terms: PriceTerms) -> Decimal:
    """Return the cost of rows as `spend` computes it: by the logged cost if that counts."""
    pricing, classes = price_requests(rows, terms.prices, terms.as_of), billed_classes(rows)
    logged = basis(rows, classes, pricing, terms.mode).logged
    listed = logged.is_null()
    units = pricing.units().filter(listed).drop_nulls().sum() or Decimal(0)
    own = Decimal(logged.drop_nulls().sum() or 0)
    return plain(cost(classes, pricing, listed).total_usd + Decimal(units) + own)


def _undecided(requests: pl.DataFrame, terms: PriceTerms) -> Iterable[Undecided]:
    """Yield the cost of calls with an undecided convention, at list prices, for each convention."""
    open_ = requests.filter(is_undecided())
    if open_.is_empty():
        return
    at_list = replace(terms, mode="recomputed")
    groups = open_.group_by(GROUP, maintain_order=True)
    for (file, provider, model, convention), rows in groups:
        yield Undecided(
            source_file=str(file),
            provider=str(provider or ""),
            model=str(model or ""),
            convention=str(convention),
            requests=len(rows),
            usd=_usd(rows, at_list),
            other_usd=_usd(swapped(rows), at_list),
        )


def counting_findings(spend: Spend) -> Iterable[Finding]:
    """Yield findings about repeats, colliding ids, unread fields and undecided conventions."""
    found = spend.counting
    if said := once(spend):
        reasons = "; ".join(
            f"{_WHY.get(reason, reason)} ({n:,})" for reason, n in found.merged_reasons.items()
        )
        yield Finding(
            "calls-told-again",
            "warning",
            said,
            f"Why, and how many: {reasons}. Each is in skips.parquet with the call that it "
            "repeats.",
            "Read the log with --no-dedupe to count every record.",
            section="quality",
        )
    if found.colliding_ids:
        yield Finding(
            "colliding-ids",
            "warning",
            f"{found.colliding_calls:,} calls share an id."
            if found.colliding_ids == 1
            else f"{found.colliding_calls:,} calls share {found.colliding_ids:,} ids.",
            "Their prompts or tokens differ, so each is counted.",
            "Log the provider's own id of each response.",
            section="quality",
        )
    if found.unread_usage:
        yield _unread(found.unread_usage)
    if found.unreadable_usage:
        yield _unreadable(found.unreadable_usage)
    if found.foreign_costs:
        yield _foreign(found.foreign_costs)
    for each in found.undecided:
        yield _open(each)


def _foreign(calls: Mapping[str, int]) -> Finding:
    named = ", ".join(f"{unit.upper()} ({count:,})" for unit, count in calls.items())
    number = sum(calls.values())
    return Finding(
        "cost-currency",
        "warning",
        "The logged cost of 1 request is not in dollars."
        if number == 1
        else f"The logged costs of {number:,} requests are not in dollars.",
        f"Which unit, and how many: {named}. No rate is known, so these costs are not used: "
        "the requests are at list prices, or unpriced.",
        "Log costs in US dollars, or give your rates with --prices.",
        section="quality",
    )


def _unread(fields: Mapping[str, tuple[int, float]]) -> Finding:
    largest = sorted(fields.items(), key=lambda item: (-item[1][1], item[0]))
    shown = largest[:MOST_NAMES]
    named = ", ".join(f"{name} {total:,.6g} ({calls:,})" for name, (calls, total) in shown)
    more = ", …" if len(largest) > len(shown) else ""
    return Finding(
        "unread-usage",
        "warning",
        "A number in the usage is not read."
        if len(largest) == 1
        else f"{len(largest):,} numbers in the usage are not read.",
        f"Their sums, and in how many calls: {named}{more}. No figure includes what they cost.",
        "Check them against the bill; a column mapping can read them.",
        section="quality",
    )


def _unreadable(calls: Mapping[str, int]) -> Finding:
    named = ", ".join(f"{name} ({count:,})" for name, count in calls.items())
    at_most = " Input whose cache reads can't be read is priced as if none of it was cached."
    return Finding(
        "unreadable-usage",
        "warning",
        "A count in the usage can't be read."
        if sum(calls.values()) == 1
        else f"{sum(calls.values()):,} counts in the usage can't be read.",
        f"In how many calls: {named}. They are missing, not 0: no figure includes "
        f"what they cost.{at_most if 'cache_read' in calls else ''}",
        "Look at the usage of these calls with costaudit doctor, and repair what writes the log.",
        section="quality",
    )


def _open(each: Undecided) -> Finding:
    held = "includes" if "inclusive" in each.convention else "does not include"
    calls = "1 call" if each.requests == 1 else f"{each.requests:,} calls"
    return Finding(
        "convention-undecided",
        "warning",
        f"Nothing shows if the input of {each.model or '(no model)'} includes cached tokens.",
        f"{calls} in {each.source_file}: ${each.usd:,.4f} as read, where the input "
        f"{held} them; ${each.other_usd:,.4f} otherwise.",
        "Log the provider's own usage, or the prompts, so that their tokens can be counted.",
        section="quality",
    )
