"""The page's template data: charts, bars, lists, links and differences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from costaudit.contracts.audit import Audit
from costaudit.contracts.ledger import LedgerStep
from costaudit.contracts.prefix import Breaker, PartShare, TemplateRow
from costaudit.contracts.replay import REASONS
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.contracts.spend import SpendRow
from costaudit.report.charts.panel import DAYS, SLIM, WIDE
from costaudit.report.charts.series import (
    SeriesChart,
    by_model,
    daily_chart,
    day_reading,
    hourly_chart,
    replay_chart,
)
from costaudit.report.charts.sweep import SLIM_SWEEP, WIDE_SWEEP, sweep_chart
from costaudit.report.first_screen import (
    actions,
    doubts,
    fall,
    headline,
    range_line,
    support,
    worth_said,
)
from costaudit.report.glossary import glossary, grades
from costaudit.report.language import day, style, tr
from costaudit.report.numbers import share, similarity, tokens, usd
from costaudit.report.products import translate
from costaudit.report.summary import Severity, ranked_findings, why_none
from costaudit.report.tables.prefix import others_line
from costaudit.report.tables.sessions import sessions_line, sessions_tables

SECTIONS = (
    ("verdict", "Summary"),
    ("spend", "Spend"),
    ("sweep", "Response cache"),
    ("prefix", "Prompt caching"),
    ("sessions", "Agent sessions"),
    ("levers", "Other measures"),
    ("route", "Cheaper models, tried on a sample"),
    ("replay", "Replay"),
    ("plan", "Plan"),
    ("quality", "Data"),
    ("method", "Method"),
)
_NAMES = frozenset(name for name, _ in SECTIONS)
_ALSO = {
    "waterfall": "verdict",
    "isolation": "sweep",
    "clusters": "sweep",
    "duplicates": "sweep",
    "semantic": "sweep",
    "prompt_caching": "prefix",
    "tools": "levers",
    "repeated_blocks": "levers",
    "serialisation": "levers",
    "padding": "levers",
    "encoded": "levers",
    "embeddings": "levers",
    "indented_answers": "levers",
    "tiers": "levers",
    "routing": "levers",
    "batch": "levers",
    "loops": "levers",
    "invalid_json": "levers",
    "waste": "levers",
    "small_model": "levers",
    "commitments": "levers",
}


def anchor(section: str) -> str:
    """Return the anchor of a section or lever; empty where there is none."""
    name = _ALSO.get(section, section)
    return name if name in _NAMES else ""


_CACHING = ("duplicates", "semantic", "prompt_caching")
_BREAKDOWNS = (
    ("endpoint", "By endpoint"),
    ("tenant", "By tenant"),
    ("user_rank", "By user, by rank of cost"),
    ("session_rank", "By session, by rank of cost"),
    ("agent", "By agent"),
    ("model", "By model"),
    ("day", "By day"),
    ("hour", "By hour of the day (UTC)"),
)
_SEVERITY_MEANING: tuple[tuple[Severity, str], ...] = (
    ("problem", "harms now"),
    ("saving", "money you can save"),
    ("caution", "makes a number or a setting less safe"),
    ("note", "good to know"),
)
_NEAR = 2  # thresholds shown on either side of the recommended one


@dataclass(frozen=True)
class Strip:
    """One part of a template as a bar; widths out of 1,000."""

    template: str
    part: PartShare
    all: float
    static: float
    reorderable: float


@dataclass(frozen=True)
class Evidence:
    """Pairs of questions of one kind, and what they differ in."""

    kind: str  # in words
    pairs: int
    flags: tuple[tuple[str, int], ...]  # what differs, in words, and in how many pairs
    low: float  # similarity
    high: float


@dataclass(frozen=True)
class Break:
    """One cause of broken prefixes, over all templates."""

    kind: str
    where: str  # of the dearest place
    places: int
    requests: int
    tokens: int
    usd: Decimal  # a month
    mend: str
    provider_side: bool


def page_context(audit: Audit, lengths: Mapping[str, int]) -> dict[str, Any]:
    """Return everything that the templates draw."""
    return {
        "audit": audit,
        "lengths": lengths,
        "language": style().language,
        "glossary": glossary(),
        "grades": grades(),
        "sections": [entry for entry in SECTIONS if entry[0] in _present(audit)],
        "severities": _SEVERITY_MEANING,
        "findings": ranked_findings(audit),
        "levers": _levers(audit),
        **_first(audit),
        **_spend(audit),
        **_semantic(audit),
        **_prefix(audit),
        **_sessions(audit),
        "replay_hours": [
            replay_chart(audit.replay.hours, frame)
            for frame in (WIDE, SLIM)
            if audit.replay and audit.replay.hours
        ],
        "replay_reasons": REASONS,
    }


def _present(audit: Audit) -> set[str]:
    """Return the sections that the page has."""
    absent = {
        "replay": audit.replay is None,
        "sessions": audit.sessions is None,
        "levers": not (_levers(audit) or audit.worth_testing),
        "route": not audit.routes,
    }
    return {name for name, _ in SECTIONS if not absent.get(name)}


def _first(audit: Audit) -> dict[str, Any]:
    return {
        "headline": headline(audit),
        "range_line": range_line(audit),
        "worth_said": worth_said(audit),
        "fall": fall(audit),
        "actions": actions(audit),
        "support": support(audit),
        "doubts": doubts(audit),
    }


def _spend(audit: Audit) -> dict[str, Any]:
    by = audit.spend.by
    days = by.get("day", ())
    charts: list[SeriesChart] = []
    if len(days) > 1:
        charts = [daily_chart(days, frame, audit.spend.daily) for frame in (DAYS, SLIM)]
    return {
        "breakdowns": _BREAKDOWNS,
        "days": charts,
        "day_models": [name for name, _ in by_model(audit.spend.daily, len(days))]
        if audit.spend.has_price
        else [],
        "day_reading": day_reading(days, audit.spend.daily) if charts else "",
        "hours": [hourly_chart(by["hour"], frame) for frame in (WIDE, SLIM)]
        if len(by.get("hour", ())) > 1 and audit.spend.has_price
        else [],
        "inflation": _inflation(days),
        "failed_line": _failed(audit),
    }


def _failed(audit: Audit) -> str:
    failed, kept = audit.quality.statuses.get("error", 0), audit.quality.kept
    if not kept or not audit.quality.statuses:
        return ""
    if not failed:
        return tr("No request failed.")
    return tr("{share} of the requests failed.").format(share=share(failed / kept))


def _semantic(audit: Audit) -> dict[str, Any]:
    semantic = audit.semantic
    if semantic is None:
        return {"why_none": why_none(audit), "evidence": ()}
    points = sorted(semantic.points, key=lambda point: point.min_similarity)
    frames = (WIDE_SWEEP, SLIM_SWEEP)
    recommended = semantic.recommended
    return {
        "why_none": "",
        "sweeps": [chart for frame in frames if (chart := sweep_chart(semantic, frame))],
        "sweep_reading": _sweep_reading(semantic.chosen),
        "points": points,
        "near": _near(points),
        "exact": [semantic.exact] if semantic.exact else [],
        "evidence": _evidence(semantic),
        "translations": translate(recommended, semantic.ttl_s) if recommended is not None else (),
    }


def _near(points: Sequence[SweepPoint]) -> list[SweepPoint]:
    """Return the recommended threshold and its neighbours; if there is none, evenly spread ones."""
    place = next((n for n, point in enumerate(points) if point.recommended), None)
    if place is None:
        return list(points[:: max(len(points) // (2 * _NEAR), 1)])[: 2 * _NEAR + 1]
    start = max(min(place - _NEAR, len(points) - 2 * _NEAR - 1), 0)
    return list(points[start : start + 2 * _NEAR + 1])


def _sweep_reading(point: SweepPoint | None) -> str:
    if point is None:
        return ""
    unsafe = point.unsafe_served_share
    wrong = tr("not known") if unsafe is None else share(unsafe.value)
    return tr(
        "At {similarity} a cache answers {hits} of the questions it may answer; wrong answers to "
        "all requests: {wrong}; net saving {usd} a month."
    ).format(
        similarity=similarity(point.min_similarity),
        hits=share(point.raw_hit_share.value),
        wrong=wrong,
        usd=usd(point.net_saved.usd),
    )


def _evidence(semantic: SemanticSection) -> list[Evidence]:
    """Count the pairs that are kept as evidence, and what they differ in."""
    rows = []
    for kind, pairs in (
        ("would have been served", semantic.worst_pairs),
        ("held back by guards or answers", semantic.refused_pairs),
    ):
        counted = Counter(flag for one in pairs for flag in one.flags)
        flags = sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))
        named = tuple((flag.replace("answer_", "answers: "), number) for flag, number in flags)
        alike = [one.similarity for one in pairs]
        if alike:
            rows.append(Evidence(kind, len(pairs), named, min(alike), max(alike)))
    return rows


def _prefix(audit: Audit) -> dict[str, Any]:
    parts = _parts(audit)
    unconfirmed = audit.prefix.unconfirmed if audit.prefix else ()
    others = audit.prefix.other_templates if audit.prefix else None
    of_rules = [
        text for row in (audit.prefix.providers if audit.prefix else ()) for text in row.unconfirmed
    ]
    return {
        "parts": parts,
        "parts_reading": _parts_reading(parts),
        "strips": _strips(audit),
        "other_templates_line": others_line(others) if others else "",
        "breakers": _breakers(audit),
        "breaks": _breaks(audit),
        "provider_bars": _provider_bars(audit),
        "unconfirmed": list(dict.fromkeys((*unconfirmed, *of_rules))),
    }


def _sessions(audit: Audit) -> dict[str, Any]:
    found = audit.sessions
    return {
        "session_tables": sessions_tables(found) if found else (),
        "sessions_line": sessions_line(found) if found else "",
    }


def _parts(audit: Audit) -> list[Strip]:
    """Draw the parts of all prompts."""
    parts = audit.prefix.parts if audit.prefix else ()
    whole = max(sum(one.tokens for one in parts), 1)
    return [
        Strip("", part, *(round(amount / whole * 1000, 1) for amount in _stacked(part)))
        for part in parts
    ]


def _stacked(part: PartShare) -> tuple[int, int, int]:
    """Return where the bars of a part end: all of it, the static part, what could be static."""
    could = min(part.static_tokens + part.reorderable_tokens, part.tokens)
    return part.tokens, part.static_tokens, could


def _parts_reading(parts: Sequence[Strip]) -> str:
    moving = [(one.part.tokens - one.part.static_tokens, one) for one in parts]
    if not moving:
        return ""
    most, one = max(moving, key=lambda entry: entry[0])
    whole = sum(strip.part.tokens for strip in parts) or 1
    return tr(
        "Most tokens that are not read again are in the {part}: {share} of all input."
    ).format(part=tr(one.part.part), share=share(most / whole))


def _inflation(days: Sequence[SpendRow]) -> str:
    """Describe how long a request's context was at both ends of the log."""
    dated = [row for row in days if row.group]
    if len(dated) < 2:
        return ""
    first, last = dated[0], dated[-1]
    return tr(
        "A request carried {before} input tokens on {first} and {after} on {last}, on average."
    ).format(
        before=tokens(first.mean_input_tokens), first=day(first.group),
        after=tokens(last.mean_input_tokens), last=day(last.group),
    )  # fmt: skip


def _levers(audit: Audit) -> list[LedgerStep]:
    return [step for step in audit.ledger.steps if step.lever not in _CACHING]


def _strips(audit: Audit) -> list[Strip]:
    strips = []
    for row in audit.prefix.templates if audit.prefix else ():
        whole = max(sum(part.tokens for part in row.parts), 1)
        for part in row.parts:
            widths = [round(amount / whole * 1000, 1) for amount in _stacked(part)]
            strips.append(Strip(row.template_id, part, *widths))
    return strips


def _breakers(audit: Audit) -> list[tuple[TemplateRow, Breaker]]:
    """List breakers of all templates, the dearest first."""
    rows = [
        (row, one)
        for row in (audit.prefix.templates if audit.prefix else ())
        for one in row.breakers
    ]
    return sorted(
        rows, key=lambda row: (-row[1].lost_usd_month.usd, row[0].template_id, row[1].where)
    )


def _breaks(audit: Audit) -> list[Break]:
    """Add up breakers by cause; causes that the application can repair come first."""
    found: dict[tuple[str, bool], list[Breaker]] = {}
    for _, one in _breakers(audit):
        found.setdefault((one.kind, one.provider_side), []).append(one)
    rows = [
        Break(
            kind,
            all_[0].where,
            len(all_),
            sum(one.requests for one in all_),
            sum(one.lost_tokens for one in all_),
            sum((one.lost_usd_month.usd for one in all_), Decimal(0)),
            all_[0].mend,
            provider_side,
        )
        for (kind, provider_side), all_ in found.items()
    ]
    return sorted(rows, key=lambda row: (row.provider_side, -row.usd, row.kind))


def _provider_bars(audit: Audit) -> list[float]:
    totals = [row.cost.total_usd for row in (audit.prefix.providers if audit.prefix else ())]
    most = max(totals, default=0) or 1
    return [round(float(total / most) * 1000, 1) for total in totals]
