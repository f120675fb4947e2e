"""A replay's tables and chart show the figures of its section."""

from dataclasses import replace

from costaudit.contracts.replay import HourRow
from costaudit.report.charts.panel import WIDE
from costaudit.report.charts.series import replay_chart
from costaudit.report.tables.replay import replay_lines, replay_tables
from tests.report.sample_audit import REPLAY


def test_before_and_after_stand_side_by_side() -> None:
    table = replay_tables(REPLAY)[0]
    rows = {row[0]: row[1:] for row in table.rows}
    # 153,400 + 600 predicted and 153,400 + 500 measured, of 990,000 lookups
    assert rows["answered by the cache"] == ("0", "154,000", "153,900")
    assert rows["of 990,000 lookups"] == ("0%", "15.6%", "15.5%")
    assert rows["models, over the log's period"] == ("$41,200", "$35,010", "$35,014")
    assert rows["wrong answers served, of all"][1:] == ("0.40% (0.20%–0.70%)",) * 2
    assert "scaled to the 153,900 hits" in table.note


def test_what_is_not_known_is_said() -> None:
    table = replay_tables(replace(REPLAY, cost=None, unsafe_predicted=None))[0]
    assert "models, over the log's period" not in {row[0] for row in table.rows}
    assert table.rows[-1][2] == "unknown"


def test_every_reason_is_explained() -> None:
    lines = "\n".join(replay_lines(REPLAY))
    assert "the index did not find the nearest entry" in lines


def test_columns_are_measured_and_the_line_is_predicted() -> None:
    rows = [HourRow("08:00", 100, 40, 20), HourRow("09:00", 0, 0, 0), HourRow("10:00", 50, 20, 25)]
    chart = replay_chart(rows)
    (panel,) = chart.panels
    heights = [height for _, _, _, height in panel.columns]
    assert heights[1] == 0
    assert abs(heights[2] / heights[0] - (25 / 50) / (20 / 100)) < 0.02
    (line,) = panel.lines
    assert len(line.dots) == 2  # an hour without lookups has no rate
    assert line.dots[0][1] == line.dots[1][1]  # 40 of 100 and 20 of 50
    assert line.dots[1][1] > panel.columns[2][1]  # y grows downwards: 40 % is drawn below 50 %
    assert all(x >= WIDE.start and x + width <= WIDE.stop for x, _, width, _ in panel.columns)
    assert chart.titles[0] == "08:00 · 100 lookups · 40 hits predicted, 20 measured"
