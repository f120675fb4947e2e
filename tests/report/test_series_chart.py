"""Charts by day and by hour."""

from dataclasses import replace

from costaudit.report.charts.panel import SLIM, WIDE
from costaudit.report.charts.series import daily_chart, hourly_chart
from tests.report.sample_spend import SPEND


def test_a_column_and_a_title_for_every_day() -> None:
    chart = daily_chart(SPEND.by["day"])
    columns = chart.panels[0].columns
    assert len(columns) == len(chart.titles) == 30
    saturday, monday = columns[5], columns[7]
    # heights are proportional to dollars
    assert abs(monday[3] / saturday[3] - 0.03847272 / 0.0192) < 0.02
    assert all(x > 0 and x + width < WIDE.width for x, _, width, _ in columns)
    assert chart.titles[0] == "2026-06-01 · $1,585 · 46,167 requests"


def test_days_are_named_few_times() -> None:
    assert 2 <= len(daily_chart(SPEND.by["day"]).ticks) <= 8
    assert [tick.label for tick in daily_chart(SPEND.by["day"], SLIM).ticks] == [
        "2026-06-01", "2026-06-11", "2026-06-21"
    ]  # fmt: skip
    assert [tick.label for tick in hourly_chart(SPEND.by["hour"]).ticks][:2] == ["00", "03"]


def test_latency_is_drawn_where_the_log_has_it() -> None:
    rows = SPEND.by["day"]
    assert [panel.title for panel in daily_chart(rows).panels][-1] == "Latency"
    without = [replace(row, latency_p50_ms=None, latency_p95_ms=None) for row in rows]
    assert len(daily_chart(without).panels) == 2
