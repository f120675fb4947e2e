"""A replay's hit rate over the hours: measured as columns, predicted as a line."""

from collections.abc import Sequence
from dataclasses import replace

from costaudit.contracts.replay import HourRow
from costaudit.report.axis import Axis, Tick
from costaudit.report.frame import WIDE, Frame
from costaudit.report.numbers import count, share
from costaudit.report.panel import Panel, Reading, line_panel
from costaudit.report.series_chart import SeriesChart

_TOP, _HEIGHT, _FOOT = 22, 130, 26
_GAP = 3  # pixels between columns, at most


def replay_chart(rows: Sequence[HourRow], frame: Frame = WIDE) -> SeriesChart:
    """Draw the hits of each hour as shares of its lookups; hours without any stay empty."""
    slot = (frame.stop - frame.start) / len(rows)
    x = Axis(0, max(len(rows) - 1, 1), frame.start + slot / 2, frame.stop - slot / 2)
    looked_up = [(place, row) for place, row in enumerate(rows) if row.lookups]
    predicted = [Reading(place, row.predicted_hits / row.lookups) for place, row in looked_up]
    measured = [row.measured_hits / row.lookups if row.lookups else 0.0 for row in rows]
    panel = line_panel(
        "Hits, share of lookups", [("", "valid", predicted)], x, (_TOP, _HEIGHT), share,
        also=measured,
    )  # fmt: skip
    every = max(1, -(-len(rows) // frame.labels(max(len(row.hour) for row in rows))))
    return SeriesChart(
        frame=frame,
        height=_TOP + _HEIGHT + _FOOT,
        panels=(replace(panel, columns=_columns(panel, measured, frame.start, slot)),),
        ticks=tuple(
            Tick(x.at(place), row.hour) for place, row in enumerate(rows) if place % every == 0
        ),
        axis_y=_TOP + _HEIGHT,
        titles=tuple(map(_title, rows)),
    )


def _columns(
    panel: Panel, values: Sequence[float], start: float, slot: float
) -> tuple[tuple[float, float, float, float], ...]:
    gap, base = min(slot * 0.2, _GAP), panel.axis.at(0)
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
