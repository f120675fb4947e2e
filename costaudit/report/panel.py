"""One chart: lines with bands or columns over a shared horizontal axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from costaudit.report.axis import Axis, Tick, rounded

LABEL_ROOM = 13  # pixels that one line of a label takes


@dataclass(frozen=True)
class Reading:
    """One value of a series; the bounds are its 95 % interval."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A series as SVG points."""

    name: str
    style: str  # CSS class that colours it
    points: str
    band: str  # polygon of the intervals; "" where there are none
    dots: tuple[tuple[float, float], ...]
    end: float  # pixels: where the name stands beside the last point


@dataclass(frozen=True)
class Panel:
    """One strip of a chart."""

    title: str
    top: float
    height: float
    axis: Axis  # vertical
    ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    columns: tuple[tuple[float, float, float, float], ...] = ()  # x, y, width, height
    limit: Tick | None = None  # a bound worth seeing


def line_panel(
    title: str,
    series: Sequence[tuple[str, str, Sequence[Reading]]],  # name, style, readings
    x: Axis,
    span: tuple[float, float],  # top and height
    write: Callable[[float], str],
    *,
    zero: bool = True,
    limit: tuple[float, str] | None = None,
    also: Sequence[float] = (),  # further values that must fit
) -> Panel:
    """Draw lines with their bands; names stand beside the last points without overlapping."""
    top, height = span
    seen = [*also] + [
        bound
        for _, _, readings in series
        for one in readings
        for bound in (one.value, one.low, one.high)
        if bound is not None
    ]
    if limit is not None:
        seen.append(limit[0])
    y = rounded(seen, top + height, top, zero=zero)
    lines = [_line(name, style, readings, x, y) for name, style, readings in series if readings]
    return Panel(
        title,
        top,
        height,
        y,
        y.ticks(write),
        _apart(lines),
        limit=None if limit is None else Tick(y.at(limit[0]), limit[1]),
    )


def column_panel(
    title: str,
    values: Sequence[float],
    span: tuple[float, float, float, float],  # left, top, width, height
    write: Callable[[float], str],
) -> Panel:
    """Draw one column a value, side by side."""
    left, top, width, height = span
    y = rounded(values, top + height, top)
    slot = width / max(len(values), 1)
    gap = min(slot * 0.2, 3)
    base = y.at(0)
    columns = tuple(
        (
            round(left + number * slot + gap / 2, 2),
            min(y.at(value), base),
            round(slot - gap, 2),
            round(abs(base - y.at(value)), 1),
        )
        for number, value in enumerate(values)
    )
    return Panel(title, top, height, y, y.ticks(write), (), columns)


def _line(name: str, style: str, readings: Sequence[Reading], x: Axis, y: Axis) -> Line:
    dots = tuple((x.at(one.x), y.at(one.value)) for one in readings)
    bounded = [one for one in readings if one.low is not None and one.high is not None]
    upper = [(x.at(one.x), y.at(one.high or 0.0)) for one in bounded]
    lower = [(x.at(one.x), y.at(one.low or 0.0)) for one in reversed(bounded)]
    return Line(name, style, _written(dots), _written([*upper, *lower]), dots, dots[-1][1])


def _written(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{across:g},{down:g}" for across, down in points)


def _apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Move the names of lines that end close together apart, the upper one staying."""
    ends: dict[int, float] = {}
    below = float("-inf")
    for number in sorted(range(len(lines)), key=lambda n: (lines[n].end, n)):
        below = max(lines[number].end, below + LABEL_ROOM)
        ends[number] = below
    return tuple(
        Line(one.name, one.style, one.points, one.band, one.dots, ends[number])
        for number, one in enumerate(lines)
    )
