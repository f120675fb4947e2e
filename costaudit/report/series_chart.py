"""Spend, context length and latency over the days, and spend over the hours, as charts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.spend import SpendRow
from costaudit.report.axis import Axis, Tick
from costaudit.report.frame import WIDE, Frame
from costaudit.report.numbers import milliseconds, tokens, usd
from costaudit.report.panel import Panel, Reading, column_panel, line_panel

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


def daily_chart(rows: Sequence[SpendRow], frame: Frame = WIDE) -> SeriesChart:
    """Draw dollars, mean input tokens and latency a day."""
    x = _slots(len(rows), frame)
    span = (frame.start, _TOP, frame.stop - frame.start, 120.0)
    strips = [column_panel("Spend a day", _dollars(rows), span, _usd)]
    means = _readings(rows, lambda row: row.mean_input_tokens)
    strips.append(
        line_panel(
            "Mean input tokens a request", [("", "raw", means)], x, _below(strips[-1], 80), tokens
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
        strips.append(line_panel("Latency", latency, x, _below(strips[-1], 80), milliseconds))
    return _chart(rows, tuple(strips), frame)


def hourly_chart(rows: Sequence[SpendRow], frame: Frame = WIDE) -> SeriesChart:
    """Draw dollars by hour of the day."""
    span = (frame.start, _TOP, frame.stop - frame.start, 90.0)
    return _chart(rows, (column_panel("Spend by hour", _dollars(rows), span, _usd),), frame)


def _chart(rows: Sequence[SpendRow], panels: tuple[Panel, ...], frame: Frame) -> SeriesChart:
    bottom = panels[-1].top + panels[-1].height
    x = _slots(len(rows), frame)
    longest = max(len(row.group or "no time") for row in rows)
    every = max(1, -(-len(rows) // frame.labels(longest)))
    ticks = tuple(
        Tick(x.at(number), row.group or "no time")
        for number, row in enumerate(rows)
        if number % every == 0
    )
    titles = tuple(
        f"{row.group or 'no time'} · {usd(row.cost.total_usd)} · {row.cost.requests:,} requests"
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


def _usd(value: float) -> str:
    return usd(Decimal(repr(value))).removesuffix(".00")
