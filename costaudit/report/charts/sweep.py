"""The threshold sweep as a chart: hit shares, unsafe answers and money over similarity."""

from dataclasses import dataclass
from itertools import pairwise

from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.semantic import ScopeRow, SemanticSection, SweepPoint, VariantRow
from costaudit.report.charts.panel import (
    LABEL_ROOM,
    Axis,
    Frame,
    Panel,
    Reading,
    Scale,
    Tick,
    line_panel,
)
from costaudit.report.language import tr
from costaudit.report.numbers import share, similarity, usd, whole_usd
from costaudit.report.products import PRODUCTS

WIDE_SWEEP = Frame("wide", 860, 64, 728)  # the axis is named behind its end
SLIM_SWEEP = Frame("slim", 356, 56, 304)
_TOP, _SLIM_TOP = 30, 48  # the topmost strip holds the recommended point's label
_HEIGHTS = (190, 110, 130)
_GAP = 42
_TICK_LETTERS = 4  # of a threshold below the axis
_NAME_WIDTH = 6.0  # pixels of one character of a product's name
_NAME_GAP = 10  # pixels between two names on a line


@dataclass(frozen=True)
class Mark:
    """A product's default threshold on the similarity axis."""

    at: float
    label: str
    row: int  # line of the label strip, which only the wide chart has
    before: bool  # the label ends at the mark, because it would leave the chart behind it


@dataclass(frozen=True)
class Slot:
    """The strip around one threshold that answers the pointer."""

    left: float
    width: float
    at: float
    title: str


@dataclass(frozen=True)
class Overlay:
    """Another setting at the recommended threshold, as one dot in each panel."""

    name: str
    dots: tuple[tuple[float, str], ...]  # pixels down, CSS class


@dataclass(frozen=True)
class SweepChart:
    """The geometry of the chart."""

    frame: Frame
    height: float
    panels: tuple[Panel, ...]
    ticks: tuple[Tick, ...]
    axis_y: float
    marks: tuple[Mark, ...]
    slots: tuple[Slot, ...]
    recommended: Tick | None
    overlays: tuple[Overlay, ...]


def sweep_chart(section: SemanticSection, frame: Frame = WIDE_SWEEP) -> SweepChart | None:
    """Lay the chart out; None where no threshold was tried."""
    points = sorted(section.points, key=lambda point: point.min_similarity)
    if not points:
        return None
    low, high = points[0].min_similarity, points[-1].min_similarity
    x = Axis(low, high, frame.start, frame.stop)
    panels = _panels(section, points, x, _TOP if frame is WIDE_SWEEP else _SLIM_TOP)
    bottom = panels[-1].top + panels[-1].height
    marks = _marks(x, frame.width)
    rows = max((mark.row for mark in marks), default=0) + 1 if frame is WIDE_SWEEP else 0
    chosen = section.recommended
    return SweepChart(
        frame=frame,
        height=bottom + 44 + rows * (LABEL_ROOM + 2) + 8,
        panels=panels,
        ticks=x.ticks(similarity, frame.labels(_TICK_LETTERS)),
        axis_y=bottom,
        marks=marks,
        slots=_slots(points, x),
        recommended=None
        if chosen is None
        else Tick(x.at(chosen), f"{tr('recommended')} {similarity(chosen)}"),
        overlays=_overlays(section, panels),
    )


def _panels(
    section: SemanticSection, points: list[SweepPoint], x: Axis, top: float
) -> tuple[Panel, ...]:
    tops = [top]
    for height in _HEIGHTS:
        tops.append(tops[-1] + height + _GAP)
    settings = [settled for _, settled in _settings(section)]
    hits = line_panel(
        "Hits, share of eligible requests",
        [
            (tr("all"), "raw", _readings(points, "raw_hit_share")),
            (tr("right"), "valid", _readings(points, "valid_hit_share")),
        ],
        x,
        (tops[0], _HEIGHTS[0]),
        Scale(_whole_share, also=[row.raw_hit_share.value for row in settings]),
    )
    unsafe = line_panel(
        "Wrong answers served, share of all requests",
        [(tr("wrong"), "unsafe", _readings(points, "unsafe_served_share"))],
        x,
        (tops[1], _HEIGHTS[1]),
        Scale(
            _whole_share,
            limit=(section.max_wrong_share, f"{tr('limit')} {share(section.max_wrong_share)}"),
            also=[row.unsafe_served_share.value for row in settings if row.unsafe_served_share],
        ),
    )
    net = [_money_reading(point.min_similarity, point.net_saved) for point in points]
    money = line_panel(
        "Net saving a month",
        [(tr("net"), "net", net)],
        x,
        (tops[2], _HEIGHTS[2]),
        Scale(whole_usd, also=[float(row.net_saved.usd) for row in settings]),
    )
    return (hits, unsafe, money)


def _whole_share(value: float) -> str:
    return share(value).replace(".0%", "%").replace(",0\xa0%", "\xa0%")


def _settings(section: SemanticSection) -> list[tuple[str, VariantRow | ScopeRow]]:
    """Name everything that was tried at the recommended threshold."""
    if section.recommended is None:
        return []
    named: list[tuple[str, VariantRow | ScopeRow]] = [(row.name, row) for row in section.variants]
    for one in section.scopes:
        fields = " + ".join(map(tr, one.scope)) or tr("global")
        named.append((f"{tr('scope')} {fields}", one))
    return named


def _readings(points: list[SweepPoint], field: str) -> list[Reading]:
    readings = []
    for point in points:
        estimate: Estimate | None = getattr(point, field)
        if estimate is not None:
            readings.append(
                Reading(point.min_similarity, estimate.value, estimate.low, estimate.high)
            )
    return readings


def _money_reading(x: float, money: Money) -> Reading:
    low = None if money.low_usd is None else float(money.low_usd)
    high = None if money.high_usd is None else float(money.high_usd)
    return Reading(x, float(money.usd), low, high)


def _marks(x: Axis, width: float) -> tuple[Mark, ...]:
    """Place every product's default; names that would overlap go a line down.

    A name that would leave the chart at the right is put before its mark.
    """
    named: dict[float, list[str]] = {}
    for product in PRODUCTS:
        named.setdefault(product.default_similarity, []).append(product.name)
    lines: list[list[tuple[float, float]]] = []  # used ranges of each line of the strip
    marks = []
    for value, names in sorted(named.items()):
        outside = "← " if value < x.low else "→ " if value > x.high else ""
        label = f"{outside}{similarity(value)} {', '.join(names)}"
        at, length = x.at(value), len(label) * _NAME_WIDTH + _NAME_GAP
        before = at + length > width
        taken = (at - length, at) if before else (at, at + length)
        row = next((n for n, line in enumerate(lines) if _free(line, taken)), len(lines))
        if row == len(lines):
            lines.append([])
        lines[row].append(taken)
        marks.append(Mark(at, label, row, before))
    return tuple(marks)


def _free(line: list[tuple[float, float]], wanted: tuple[float, float]) -> bool:
    return all(wanted[1] <= start or end <= wanted[0] for start, end in line)


def _slots(points: list[SweepPoint], x: Axis) -> tuple[Slot, ...]:
    places = [x.at(point.min_similarity) for point in points]
    edges = [x.start, *((a + b) / 2 for a, b in pairwise(places)), x.stop]
    return tuple(
        Slot(
            round(edges[number], 1),
            round(max(edges[number + 1] - edges[number], 0.1), 1),
            places[number],
            _title(point),
        )
        for number, point in enumerate(points)
    )


def _title(point: SweepPoint) -> str:
    parts = [f"{tr('similarity')} {similarity(point.min_similarity)}"]
    for name, estimate in (
        (tr("all"), point.raw_hit_share),
        (tr("right"), point.valid_hit_share),
        (tr("wrong"), point.unsafe_served_share),
    ):
        if estimate is not None:
            parts.append(f"{name} {share(estimate.value)}")
    return " · ".join([*parts, f"{tr('net')} {usd(point.net_saved.usd)} {tr('a month')}"])


def _overlays(section: SemanticSection, panels: tuple[Panel, ...]) -> tuple[Overlay, ...]:
    """Place each TTL, capacity, guard and scope at the recommended threshold."""
    hits, unsafe, net = (panel.axis for panel in panels)
    overlays = []
    for name, row in _settings(section):
        dots = [(hits.at(row.raw_hit_share.value), "raw")]
        if row.valid_hit_share is not None:
            dots.append((hits.at(row.valid_hit_share.value), "valid"))
        if row.unsafe_served_share is not None:
            dots.append((unsafe.at(row.unsafe_served_share.value), "unsafe"))
        dots.append((net.at(float(row.net_saved.usd)), "net"))
        overlays.append(Overlay(name, tuple(dots)))
    return tuple(overlays)
