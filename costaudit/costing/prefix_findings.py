"""Findings about prompt caching: each cause once, with its place and repair."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from costaudit.contracts.audit import Finding
from costaudit.contracts.grades import Money, weakest
from costaudit.contracts.prefix import (
    Breaker,
    BreakerKind,
    ExplicitCache,
    PrefixSection,
    TemplateRow,
    breaker_name,
)

TOP_CAUSES = 5
LEAST_SHARE = Decimal("0.01")  # minimum share of the total loss for a finding of its own
_UNTRIED: BreakerKind = "below_minimum"  # no simulation lengthens prompts, so no saving is claimed
_PLACE = re.compile(r"(\w+), (block [\d,]+, character [\d,]+)( of [\d,]+)?")
_PARTS = {
    "tools": "tool definitions", "system": "system prompt", "examples": "examples",
    "documents": "documents", "history": "history", "question": "question",
}  # fmt: skip
_ID = re.compile(r"(?<=/)(\d+|[0-9a-fA-F-]{16,})(?=/|$)")  # a part of a path that is an id


@dataclass(frozen=True)
class _Cause:
    """One kind of breaker with one repair, in several templates; the most expensive place first."""

    kind: BreakerKind
    mend: str
    found: tuple[tuple[TemplateRow, Breaker], ...]

    @property
    def lost(self) -> Money:
        grade = weakest(breaker.lost_usd_month.grade for _, breaker in self.found)
        return Money(_usd(breaker for _, breaker in self.found), grade)

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_family(template) for template, _ in self.found))


def prefix_findings(
    section: PrefixSection, left: Money | None = None, span: str = "a month"
) -> Iterable[Finding]:
    """Yield findings about lost cache reads: expensive causes first, unrepairable ones last.

    `left` is the ledger's saving of prompt caching; None without a ledger. Each template's part of
    it goes to the causes in that template; prompts below the minimum get none.
    `span` says what amounts are of: "a month" or "in this log".
    """
    breakers = [(template, one) for template in section.templates for one in template.breakers]
    least = LEAST_SHARE * _usd(one for _, one in breakers)
    ours = [pair for pair in breakers if not pair[1].provider_side]
    causes = [cause for cause in _causes(ours) if cause.lost.usd >= max(least, Decimal("1E-9"))]
    kept = _kept(section, ours, left)
    yield from (_cause_finding(cause, _share(cause, kept)) for cause in causes[:TOP_CAUSES])
    yield from _provider_side([one for _, one in breakers if one.provider_side], span)
    yield from _not_claimed(section.templates)
    yield from _explicit(section, span)


def _kept(
    section: PrefixSection, ours: Sequence[tuple[TemplateRow, Breaker]], left: Money | None
) -> dict[int, Decimal] | None:
    """Return the share of its breakers' losses that each template keeps in the ledger, by id()."""
    if left is None:
        return None
    others = section.other_templates.saving_month.usd if section.other_templates else Decimal(0)
    saved = sum((max(one.saving_month.usd, Decimal(0)) for one in section.templates), others)
    scale = min(max(left.usd, Decimal(0)) / saved, Decimal(1)) if saved > 0 else Decimal(0)
    lost: dict[int, Decimal] = {}
    for template, one in ours:
        if one.kind == _UNTRIED:
            continue
        lost[id(template)] = lost.get(id(template), Decimal(0)) + one.lost_usd_month.usd
    return {
        id(template): min(max(template.saving_month.usd, Decimal(0)) * scale / whole, Decimal(1))
        for template in section.templates
        if (whole := lost.get(id(template), Decimal(0))) > 0
    }


def _share(cause: _Cause, kept: dict[int, Decimal] | None) -> Decimal:
    """Return which share of a cause's losses the ledger keeps."""
    if kept is None or not cause.lost.usd:
        return Decimal(1)
    if cause.kind == _UNTRIED:
        return Decimal(0)
    parts = (one.lost_usd_month.usd * kept.get(id(of), Decimal(0)) for of, one in cause.found)
    return min(sum(parts, Decimal(0)) / cause.lost.usd, Decimal(1))


def _causes(pairs: Sequence[tuple[TemplateRow, Breaker]]) -> list[_Cause]:
    """Group breakers by kind and repair, and by endpoint if they have a place in a prompt."""
    groups: dict[tuple[BreakerKind, str, str], list[tuple[TemplateRow, Breaker]]] = {}
    for template, one in pairs:
        family = _family(template) if _PLACE.match(one.where) else ""
        groups.setdefault((one.kind, family, one.mend), []).append((template, one))
    causes = []
    for (kind, _, mend), found in groups.items():
        found.sort(key=lambda pair: (-pair[1].lost_usd_month.usd, pair[0].template_id))
        causes.append(_Cause(kind, mend, tuple(found)))
    return sorted(causes, key=lambda cause: (-cause.lost.usd, cause.kind, cause.endpoints))


def _cause_finding(cause: _Cause, share: Decimal) -> Finding:
    """Return the finding of a cause; `share` is the part of its saving that the ledger leaves."""
    requests = sum(one.requests for _, one in cause.found)
    tokens = sum(one.lost_tokens for _, one in cause.found)
    first = cause.found[0][1].where
    place = _PLACE.match(first)
    part = f" in the {_PARTS.get(place[1], place[1])}" if place else ""
    where = cause.endpoints[0] if len(cause.endpoints) == 1 else f"{len(cause.endpoints)} endpoints"
    affected = f" ({', '.join(cause.endpoints)})" if len(cause.endpoints) > 1 else ""
    return Finding(
        f"prefix-{cause.kind}",
        "warning" if share else "info",
        f"{breaker_name(cause.kind)}{part}: {where}",
        f"{first[:1].upper()}{first[1:]}{affected}: {requests:,} requests pay {tokens:,} tokens "
        "that could have been read from the cache.",
        f"{cause.mend}{_standing(cause)}",
        _part(cause.lost, share) if share else None,
        "prefix",
        cause.lost if 0 < share < 1 else None,
    )


def _part(money: Money, share: Decimal) -> Money:
    """Return a share of an amount, rounded down to millionths so that parts never exceed it."""
    if share >= 1:
        return money
    ends = [
        None if one is None else (one * share).quantize(Decimal("0.000001"), ROUND_DOWN)
        for one in (money.usd, money.low_usd, money.high_usd)
    ]
    return Money(ends[0] or Decimal(0), money.grade, ends[1], ends[2])


def _standing(cause: _Cause) -> str:
    """Return a sentence with a moving part's most expensive place and the number of others."""
    places = [_PLACE.match(one.where) for _, one in cause.found]
    spots = list(dict.fromkeys(place[2] for place in places if place))
    if not spots:
        return ""
    others = len(spots) - 1
    more = f", and in {others} other place{'s' if others > 1 else ''}" if others else ""
    return f" It is at {spots[0]}{more}."


def _provider_side(breakers: Sequence[Breaker], span: str) -> Iterable[Finding]:
    """Yield a finding about losses through the provider's rules and evictions; it has no action."""
    kinds = sorted({one.kind for one in breakers})
    lost = {kind: _usd(one for one in breakers if one.kind == kind) for kind in kinds}
    total = sum(lost.values(), Decimal(0))
    if total <= 0:
        return
    parts = "; ".join(
        f"{breaker_name(kind).lower()}: ${lost[kind]:,.2f}"
        for kind in sorted(kinds, key=lambda kind: (-lost[kind], kind))
    )
    yield Finding(
        "prefix-provider-side",
        "info",
        "Some cache reads are lost where no change to the prompts helps.",
        f"${total:,.2f} {span}, in no saving of this audit: {parts}.",
        "",
        section="prefix",
    )


def _not_claimed(templates: Sequence[TemplateRow]) -> Iterable[Finding]:
    """Yield a finding about the share of input for which the bill contradicts the simulation."""
    apart = [one for one in templates if one.claim == "none"]
    if not apart:
        return
    tokens = sum(one.input_tokens for one in apart)
    share = tokens / max(sum(one.input_tokens for one in templates), 1)
    yield Finding(
        "prefix-not-claimed",
        "info",
        f"Prompt caching is not claimed for {share:.0%} of the input.",
        f"{len(apart)} of {len(templates)} templates were billed cache reads that differ from the "
        "simulated ones by more than 25%: what the provider does there can't be seen in the "
        "log, so that no saving is in this audit for them.",
        "",
        section="prefix",
    )


def _explicit(section: PrefixSection, span: str) -> Iterable[Finding]:
    """Yield a finding about explicit caches that save more than the plans that they replace."""
    found = section.better_caches
    if not found:
        return
    saved = sum((one.saving_month.usd for one in found), Decimal(0))
    planned = sum(map(section.planned, found), Decimal(0))
    places = list(dict.fromkeys(map(_family, found)))
    where = places[0] if len(places) == 1 else f"{len(places)} endpoints"
    requests = sum(one.requests for one in found)
    tokens = sum(one.cached_tokens for one in found)
    yield Finding(
        "prefix-explicit-cache",
        "info",
        f"Explicit caches would save ${saved:,.2f} {span}, net of storage: {where}",
        f"{requests:,} requests would read {tokens:,} tokens from caches that the application "
        "creates and keeps by the hour. This replaces the other plan of their templates, which "
        f"saves ${planned:,.2f} {span}; it is not part of the total.",
        "Create the cache of the static head, name it in the requests and renew it with each use.",
        section="prefix",
    )


def _family(place: TemplateRow | ExplicitCache) -> str:
    return _ID.sub("*", place.endpoint) or place.model


def _usd(breakers: Iterable[Breaker]) -> Decimal:
    return sum((one.lost_usd_month.usd for one in breakers), Decimal(0))
