"""Spend, context length, latency and a replay's hit rate over days and hours, as charts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from costaudit.contracts.replay import HourRow
from costaudit.contracts.spend import DailyRow, SpendRow
from costaudit.report.charts.panel import (
    WIDE,
    Axis,
    Frame,
    Panel,
    Reading,
    Scale,
    Tick,
    column_panel,
    line_panel,
    stacked_panel,
)
from costaudit.report.language import is_priced, tr
from costaudit.report.numbers import count, milliseconds, share, spent, tokens, usd, whole_usd

_TOP, _GAP, _FOOT = 22, 40, 26


@dataclass(frozen=True)
class SeriesChart:
    """The geometry of a chart over days or hours."""

    frame: Frame
    height: float
    panels: tuple[Panel, ...]
    ticks: tuple[Tick, ...]
    axis_y: float
    titles: tuple[str, ...]  # one a column, for the pointer


_MODELS = 4  # named in the chart; the rest is one


def by_model(daily: Sequence[DailyRow], days: int) -> list[tuple[str, dict[str, Decimal]]]:
    """Return the dollars of each day by model, the dearest models first; the rest is `other`."""
    sums: dict[str, dict[str, Decimal]] = {}
    for row in daily if days > 1 else ():
        one = sums.setdefault(row.model, {})
        one[row.day] = one.get(row.day, Decimal(0)) + row.cost.total_usd
    ordered = sorted(sums.items(), key=lambda entry: (-sum(entry[1].values()), entry[0]))
    named = [(name or tr("not logged"), dollars) for name, dollars in ordered[:_MODELS]]
    rest: dict[str, Decimal] = {}
    for _, dollars in ordered[_MODELS:]:
        for day_, amount in dollars.items():
            rest[day_] = rest.get(day_, Decimal(0)) + amount
    return [*named, (tr("other"), rest)] if rest else named


def day_reading(rows: Sequence[SpendRow], daily: Sequence[DailyRow]) -> str:
    """Describe in one sentence what the chart of days shows."""
    dated = [row for row in rows if row.group]
    if not dated or not is_priced():
        return ""
    spent = [row.cost.total_usd for row in dated]
    said_ = tr("A day cost between {low} and {high}.").format(
        low=usd(min(spent)), high=usd(max(spent))
    )
    models, whole = by_model(daily, len(rows)), sum(spent, Decimal(0))
    if not models or not whole:
        return said_
    name, dollars = models[0]
    part = share(float(sum(dollars.values(), Decimal(0)) / whole))
    most = tr("{model} is {share} of it.").format(model=name, share=part)
    return f"{said_} {most}"


def daily_chart(
    rows: Sequence[SpendRow], frame: Frame = WIDE, daily: Sequence[DailyRow] = ()
) -> SeriesChart:
    """Draw dollars by model, mean input tokens and latency a day; no dollars without prices."""
    x = _slots(len(rows), frame)
    strips = [_spend_panel(rows, frame, daily)] if is_priced() else []
    means = _readings(rows, lambda row: row.mean_input_tokens)
    strips.append(
        line_panel(
            "Mean input tokens a request",
            [("", "raw", means)],
            x,
            _below(strips[-1], 60) if strips else (_TOP, 60),
            Scale(tokens),
        )
    )
    latency = [
        (name, style, _readings(rows, of))
        for name, style, of in (
            ("p50", "valid", lambda row: row.latency_p50_ms),
            ("p95", "unsafe", lambda row: row.latency_p95_ms),
        )
    ]
    if any(readings for _, _, readings in latency):
        strips.append(
            line_panel("Latency", latency, x, _below(strips[-1], 60), Scale(milliseconds))
        )
    return _chart(rows, tuple(strips), frame)


def _spend_panel(rows: Sequence[SpendRow], frame: Frame, daily: Sequence[DailyRow]) -> Panel:
    span = (frame.start, _TOP, frame.stop - frame.start, 120.0)
    stacks = [
        (name, [float(dollars.get(row.group, 0)) for row in rows])
        for name, dollars in by_model(daily, len(rows))
    ]
    if len(stacks) > 1:
        return stacked_panel("Spend a day, by model", stacks, span, whole_usd)
    return column_panel("Spend a day", _dollars(rows), span, whole_usd)


def hourly_chart(rows: Sequence[SpendRow], frame: Frame = WIDE) -> SeriesChart:
    """Draw dollars by hour of the day."""
    span = (frame.start, _TOP, frame.stop - frame.start, 90.0)
    return _chart(rows, (column_panel("Spend by hour", _dollars(rows), span, whole_usd),), frame)


def _chart(rows: Sequence[SpendRow], panels: tuple[Panel, ...], frame: Frame) -> SeriesChart:
    bottom = panels[-1].top + panels[-1].height
    x = _slots(len(rows), frame)
    longest = max(len(row.group or tr("no time")) for row in rows)
    every = max(1, -(-len(rows) // frame.labels(longest)))
    ticks = tuple(
        Tick(x.at(number), row.group or tr("no time"))
        for number, row in enumerate(rows)
        if number % every == 0
    )
    titles = tuple(
        f"{row.group or tr('no time')} · {spent(row.cost.total_usd, row.cost.unpriced)} · "
        f"{count(row.cost.requests)} {tr('requests')}"
        for row in rows
    )
    return SeriesChart(frame, bottom + _FOOT, panels, ticks, bottom, titles)


def _below(panel: Panel, height: float) -> tuple[float, float]:
    return (panel.top + panel.height + _GAP, height)


def _slots(number: int, frame: Frame) -> Axis:
    half = (frame.stop - frame.start) / max(number, 1) / 2
    return Axis(0, max(number - 1, 1), frame.start + half, frame.stop - half)


def _dollars(rows: Sequence[SpendRow]) -> list[float]:
    return [float(row.cost.total_usd) for row in rows]


def _readings(rows: Sequence[SpendRow], of: Callable[[SpendRow], float | None]) -> list[Reading]:
    readings = []
    for number, row in enumerate(rows):
        value = of(row)
        if value is not None:
            readings.append(Reading(number, value))
    return readings


_REPLAY_TOP, _HEIGHT, _REPLAY_FOOT = 22, 130, 26
_REPLAY_GAP = 3  # pixels between columns, at most


def replay_chart(rows: Sequence[HourRow], frame: Frame = WIDE) -> SeriesChart:
    """Draw the hits of each hour as shares of its lookups; hours without any stay empty."""
    slot = (frame.stop - frame.start) / len(rows)
    x = Axis(0, max(len(rows) - 1, 1), frame.start + slot / 2, frame.stop - slot / 2)
    looked_up = [(place, row) for place, row in enumerate(rows) if row.lookups]
    predicted = [Reading(place, row.predicted_hits / row.lookups) for place, row in looked_up]
    measured = [row.measured_hits / row.lookups if row.lookups else 0.0 for row in rows]
    panel = line_panel(
        "Hits, share of lookups",
        [("", "valid", predicted)],
        x,
        (_REPLAY_TOP, _HEIGHT),
        Scale(share, also=measured),
    )
    every = max(1, -(-len(rows) // frame.labels(max(len(row.hour) for row in rows))))
    return SeriesChart(
        frame=frame,
        height=_REPLAY_TOP + _HEIGHT + _REPLAY_FOOT,
        panels=(replace(panel, columns=_columns(panel, measured, frame.start, slot)),),
        ticks=tuple(
            Tick(x.at(place), row.hour) for place, row in enumerate(rows) if place % every == 0
        ),
        axis_y=_REPLAY_TOP + _HEIGHT,
        titles=tuple(map(_title, rows)),
    )


def _columns(
    panel: Panel, values: Sequence[float], start: float, slot: float
) -> tuple[tuple[float, float, float, float], ...]:
    gap, base = min(slot * 0.2, _REPLAY_GAP), panel.axis.at(0)
    return tuple(
        (
            round(start + place * slot + gap / 2, 2),
            panel.axis.at(value),
            round(slot - gap, 2),
            round(base - panel.axis.at(value), 1),
        )
        for place, value in enumerate(values)
    )


def _title(row: HourRow) -> str:
    return (
        f"{row.hour} · {count(row.lookups)} lookups · {count(row.predicted_hits)} hits predicted, "
        f"{count(row.measured_hits)} measured"
    )
