"""What the page's templates need beside the audit: charts, bars, lists, links and differences."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import GRADES
from costaudit.contracts.ledger import LedgerStep
from costaudit.contracts.prefix import Breaker, PartShare
from costaudit.contracts.replay import REASONS
from costaudit.contracts.spend import SpendRow
from costaudit.report.charts.panel import SLIM, WIDE, Frame
from costaudit.report.charts.series import SeriesChart, daily_chart, hourly_chart, replay_chart
from costaudit.report.charts.sweep import SLIM_SWEEP, WIDE_SWEEP, sweep_chart
from costaudit.report.charts.waterfall import waterfall
from costaudit.report.numbers import tokens
from costaudit.report.products import translate
from costaudit.report.summary import ranked_findings, why_none

SECTIONS = (
    ("verdict", "Verdict"),
    ("quality", "Data and assumptions"),
    ("waterfall", "Waterfall"),
    ("sweep", "Thresholds"),
    ("isolation", "Isolation"),
    ("clusters", "Clusters"),
    ("prefix", "Prompt caching"),
    ("spend", "Spend"),
    ("levers", "Other levers"),
    ("replay", "Replay"),
    ("plan", "Plan"),
    ("method", "Method"),
)
_ALSO = {
    "duplicates": "sweep",
    "semantic": "sweep",
    "prompt_caching": "prefix",
    "routing": "levers",
    "output": "levers",
    "batch": "levers",
    "waste": "levers",
}


def anchor(section: str) -> str:
    """Give the anchor that a section or lever leads to; empty where there is none."""
    name = _ALSO.get(section, section)
    return name if name in dict(SECTIONS) else ""


_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST = 300  # words compared; longer texts are shown unmarked

Piece = tuple[str, bool]  # text, and whether the other side lacks it


def word_diff(left: str, right: str) -> tuple[list[Piece], list[Piece]]:
    """Split both texts into pieces that are shared or differ; joined, the pieces are the text."""
    a, b = _WORDS.findall(left), _WORDS.findall(right)
    if len(a) > _MOST or len(b) > _MOST:
        return [(left, False)], [(right, False)]
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        for side, words in ((0, a[a0:a1]), (1, b[b0:b1])):
            pieces[side].extend(_marked("".join(words)) if tag != "equal" else _plain(words))
    return pieces


def _plain(words: list[str]) -> list[Piece]:
    return [("".join(words), False)] if words else []


def _marked(text: str) -> list[Piece]:
    """Mark what differs, leaving the blanks around it unmarked."""
    core = text.strip()
    if not core:
        return [(text, False)] if text else []
    before, _, after = text.partition(core)
    return [piece for piece in ((before, False), (core, True), (after, False)) if piece[0]]


GRADE_MEANING = dict(
    zip(
        GRADES,
        (
            "in the log or on the bill",
            "a live cache did it",
            "an exact rule run over the log",
            "statistics or a tokenizer stood in for something missing",
            "a parameter that the reader can change",
        ),
        strict=True,
    )
)
_CACHING = ("duplicates", "semantic", "prompt_caching")
_BREAKDOWNS = (
    ("endpoint", "By endpoint"),
    ("tenant", "By tenant"),
    ("model", "By model"),
    ("day", "By day"),
    ("hour", "By hour"),
)
_BREAK = re.compile("(‹[^›]*›)")


@dataclass(frozen=True)
class Strip:
    """One part of a template as a bar; widths out of 1,000."""

    template: str
    part: PartShare
    all: float
    static: float
    reorderable: float


def page_context(audit: Audit, lengths: Mapping[str, int]) -> dict[str, Any]:
    """Gather everything that the templates draw."""
    semantic, by = audit.semantic, audit.spend.by
    recommended = semantic.recommended if semantic else None
    present = {anchor for anchor, _ in SECTIONS}
    if semantic is None or not (semantic.scopes or semantic.without_field):
        present.discard("isolation")
    if semantic is None or not (
        semantic.clusters or semantic.worst_pairs or semantic.refused_pairs
    ):
        present.discard("clusters")
    return {
        "audit": audit,
        "lengths": lengths,
        "why_none": "" if semantic else why_none(audit),
        "sections": [entry for entry in SECTIONS if entry[0] in present],
        "grade_meaning": GRADE_MEANING,
        "findings": ranked_findings(audit),
        "fall": waterfall(audit.ledger),
        "sweeps": [
            chart for frame in (WIDE_SWEEP, SLIM_SWEEP) if (chart := sweep_chart(semantic, frame))
        ]
        if semantic
        else [],
        "points": sorted(semantic.points, key=lambda point: point.min_similarity)
        if semantic
        else [],
        "translations": translate(recommended, semantic.ttl_s)
        if semantic and recommended is not None
        else (),
        "strips": _strips(audit),
        "breakers": _breakers(audit),
        "provider_bars": _provider_bars(audit),
        "days": _framed(daily_chart, by.get("day", ())),
        "hours": _framed(hourly_chart, by.get("hour", ())),
        "inflation": _inflation(by.get("day", ())),
        "breakdowns": _BREAKDOWNS,
        "levers": _levers(audit),
        "replay_hours": [
            replay_chart(audit.replay.hours, frame)
            for frame in (WIDE, SLIM)
            if audit.replay and audit.replay.hours
        ],
        "replay_reasons": REASONS,
    }


def breaking(context: str) -> list[Piece]:
    """Split a breaker's context so that the part between ‹ › can be marked."""
    return [(piece, piece.startswith("‹")) for piece in _BREAK.split(context) if piece]


def _framed(
    draw: Callable[[Sequence[SpendRow], Frame], SeriesChart], rows: Sequence[SpendRow]
) -> list[SeriesChart]:
    """Draw a chart for wide screens and for narrow ones; none of a single row."""
    return [draw(rows, frame) for frame in (WIDE, SLIM)] if len(rows) > 1 else []


def _inflation(days: Sequence[SpendRow]) -> str:
    """Say how long a request's context was at both ends of the log."""
    dated = [row for row in days if row.group]
    if len(dated) < 2:
        return ""
    first, last = dated[0], dated[-1]
    return (
        f"A request carried {tokens(first.mean_input_tokens)} input tokens on {first.group} and "
        f"{tokens(last.mean_input_tokens)} on {last.group}, on average."
    )


def _levers(audit: Audit) -> list[LedgerStep]:
    return [step for step in audit.ledger.steps if step.lever not in _CACHING]


def _strips(audit: Audit) -> list[Strip]:
    strips = []
    for row in audit.prefix.templates if audit.prefix else ():
        whole = max(sum(part.tokens for part in row.parts), 1)
        for part in row.parts:
            widths = [
                round(amount / whole * 1000, 1)
                for amount in (part.tokens, part.static_tokens, part.reorderable_tokens)
            ]
            strips.append(Strip(row.template_id, part, *widths))
    return strips


def _breakers(audit: Audit) -> list[tuple[str, Breaker]]:
    """List breakers of all templates, the dearest first."""
    rows = [
        (row.template_id, one)
        for row in (audit.prefix.templates if audit.prefix else ())
        for one in row.breakers
    ]
    return sorted(rows, key=lambda row: (-row[1].lost_usd_month.usd, row[0], row[1].where))


def _provider_bars(audit: Audit) -> list[float]:
    totals = [row.cost.total_usd for row in (audit.prefix.providers if audit.prefix else ())]
    most = max(totals, default=0) or 1
    return [round(float(total / most) * 1000, 1) for total in totals]
