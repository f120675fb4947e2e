"""Lines with bands and columns."""

from costaudit.report.charts.panel import LABEL_ROOM, Axis, Reading, Scale, column_panel, line_panel

X = Axis(0, 1, 0, 100)


def test_a_band_runs_forth_on_the_upper_and_back_on_the_lower_bound() -> None:
    readings = [Reading(0, 0.5, 0.4, 0.6), Reading(1, 0.5, 0.3, 1.0)]
    panel = line_panel("p", [("a", "raw", readings)], X, (0, 100), Scale(str))
    (line,) = panel.lines
    assert line.points == "0,50 100,50"
    assert line.band == "0,40 100,0 100,70 0,60"


def test_names_of_lines_that_meet_stand_apart() -> None:
    same = [Reading(0, 1), Reading(1, 0.5)]
    panel = line_panel("p", [("a", "raw", same), ("b", "valid", same)], X, (0, 100), Scale(str))
    ends = sorted(line.end for line in panel.lines)
    assert ends[1] - ends[0] >= LABEL_ROOM


def test_columns_stand_on_zero_on_either_side() -> None:
    panel = column_panel("p", [10.0, -10.0], (0, 0, 100, 100), str)
    (up, down) = panel.columns
    assert up[1] + up[3] == down[1] == panel.axis.at(0)
    assert up[0] < down[0] < 100


def test_a_bound_and_other_values_always_fit() -> None:
    readings = [Reading(0, 0.1), Reading(1, 0.2)]
    panel = line_panel(
        "p", [("a", "raw", readings)], X, (0, 100), Scale(str, limit=(0.9, "bound"), also=[2.0])
    )
    assert panel.axis.high >= 2.0
    assert panel.limit is not None and 0 < panel.limit.at < 100
