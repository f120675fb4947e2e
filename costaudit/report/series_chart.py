"""Spend, context length and latency over the days, and spend over the hours, as charts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.spend import SpendRow
from costaudit.report.axis import Axis, Tick
from costaudit.report.numbers import milliseconds, tokens, usd
from costaudit.report.panel import Panel, Reading, column_panel, line_panel

WIDTH, LEFT, RIGHT = 860, 64, 60
_TOP, _GAP, _FOOT = 22, 40, 26
_LABELS = 8  # names below the axis


@dataclass(frozen=True)
class SeriesChart:
    """The geometry of a chart over days or hours."""

    height: float
    panels: tuple[Panel, ...]
    ticks: tuple[Tick, ...]
    axis_y: float
    titles: tuple[str, ...]  # one a column, for the pointer


def daily_chart(rows: Sequence[SpendRow]) -> SeriesChart:
    """Draw dollars, mean input tokens and latency a day."""
    x = _slots(len(rows))
    strips = [column_panel("Spend a day", _dollars(rows), (LEFT, _TOP, _width(), 120), _usd)]
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
    return _chart(rows, tuple(strips))


def hourly_chart(rows: Sequence[SpendRow]) -> SeriesChart:
    """Draw dollars by hour of the day."""
    return _chart(
        rows, (column_panel("Spend by hour", _dollars(rows), (LEFT, _TOP, _width(), 90), _usd),)
    )


def _chart(rows: Sequence[SpendRow], panels: tuple[Panel, ...]) -> SeriesChart:
    bottom = panels[-1].top + panels[-1].height
    x = _slots(len(rows))
    every = max(1, -(-len(rows) // _LABELS))
    ticks = tuple(
        Tick(x.at(number), row.group or "no time")
        for number, row in enumerate(rows)
        if number % every == 0
    )
    titles = tuple(
        f"{row.group or 'no time'} · {usd(row.cost.total_usd)} · {row.cost.requests:,} requests"
        for row in rows
    )
    return SeriesChart(bottom + _FOOT, panels, ticks, bottom, titles)


def _below(panel: Panel, height: float) -> tuple[float, float]:
    return (panel.top + panel.height + _GAP, height)


def _width() -> float:
    return WIDTH - LEFT - RIGHT


def _slots(number: int) -> Axis:
    half = _width() / max(number, 1) / 2
    return Axis(0, max(number - 1, 1), LEFT + half, WIDTH - RIGHT - half)


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
