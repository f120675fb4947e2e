"""One chart: its frame, its axes, and lines with bands or columns over a shared horizontal axis."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

_STEPS = (1.0, 2.0, 5.0, 10.0)  # round steps within a decade


@dataclass(frozen=True)
class Tick:
    """A round number on an axis."""

    at: float  # pixels
    label: str


@dataclass(frozen=True)
class Axis:
    """A straight map from numbers to pixels."""

    low: float
    high: float
    start: float  # pixels of `low`
    stop: float  # pixels of `high`

    def at(self, value: float) -> float:
        """Return the pixel of a number; a number outside the axis is put at its edge."""
        inside = min(max(value, self.low), self.high)
        span = self.high - self.low
        share = (inside - self.low) / span if span else 0.5
        return round(self.start + share * (self.stop - self.start), 1)

    def ticks(self, write: Callable[[float], str], about: int = 4) -> tuple[Tick, ...]:
        """Choose about `about` round numbers inside the axis."""
        step = _round_step((self.high - self.low) / max(about, 1))
        if step == 0:
            return (Tick(self.at(self.low), write(self.low)),)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return tuple(
            Tick(self.at(number * step), write(round(number * step, 10)))
            for number in range(first, last + 1)
        )


def rounded(
    values: Sequence[float], start: float, stop: float, *, zero: bool = True, about: int = 4
) -> Axis:
    """Make an axis that ends on round numbers and, by default, holds zero."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    step = _round_step((high - low) / about)
    if step == 0:
        return Axis(low, low + (abs(low) or 1.0), start, stop)
    return Axis(
        math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, stop
    )


def _round_step(rough: float) -> float:
    if rough <= 0 or not math.isfinite(rough):
        return 0.0
    decade = 10.0 ** math.floor(math.log10(rough))
    return next(step for step in _STEPS if step * decade >= rough * 0.999) * decade


_LETTER = 7.0  # pixels of one character of a label
_LABEL_GAP = 10  # pixels between two labels of an axis
_MOST_LABELS = 8


@dataclass(frozen=True)
class Frame:
    """The horizontal measures of a chart, in pixels."""

    name: str  # CSS class: which screens see it
    width: float
    start: float  # of the horizontal axis; labels of the vertical one are before it
    stop: float  # of the horizontal axis; names of lines come after it

    @property
    def middle(self) -> float:
        """Return the middle of the horizontal axis."""
        return (self.start + self.stop) / 2

    def labels(self, longest: int) -> int:
        """Return how many labels of so many characters fit below the axis."""
        room = (self.stop - self.start) / (longest * _LETTER + _LABEL_GAP)
        return max(1, min(_MOST_LABELS, int(room)))


WIDE = Frame("wide", 860, 64, 800)
DAYS = Frame("wide", 860, 64, 690)  # with room for the names of models behind it
SLIM = Frame("slim", 356, 56, 326)  # the width of a telephone, in pixels


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
    end: float  # pixels: where the name is, beside the last point


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
    stacks: tuple[tuple[float, float, float, float, str], ...] = ()  # x, y, width, height, style
    names: tuple["Name", ...] = ()  # of stacked series, beside the last column


@dataclass(frozen=True)
class Name:
    """The name of a stacked series."""

    text: str
    style: str
    at: float  # pixels from the top


@dataclass(frozen=True)
class Scale:
    """What the vertical axis of a strip of lines must hold, from 0 on."""

    write: Callable[[float], str]
    limit: tuple[float, str] | None = None  # a bound worth seeing, and its name
    also: Sequence[float] = ()  # further values that must fit


def line_panel(
    title: str,
    series: Sequence[tuple[str, str, Sequence[Reading]]],  # name, style, readings
    x: Axis,
    span: tuple[float, float],  # top and height
    scale: Scale,
) -> Panel:
    """Draw lines with their bands, and their names beside the last points without overlapping."""
    top, height = span
    limit = scale.limit
    seen = [*scale.also] + [
        bound
        for _, _, readings in series
        for one in readings
        for bound in (one.value, one.low, one.high)
        if bound is not None
    ]
    if limit is not None:
        seen.append(limit[0])
    y = rounded(seen, top + height, top)
    lines = [_line(name, style, readings, x, y) for name, style, readings in series if readings]
    return Panel(
        title,
        top,
        height,
        y,
        y.ticks(scale.write),
        _apart(lines),
        limit=None if limit is None else Tick(y.at(limit[0]), limit[1]),
    )


def column_panel(
    title: str,
    values: Sequence[float],
    span: tuple[float, float, float, float],  # left, top, width, height
    write: Callable[[float], str],
) -> Panel:
    """Draw one column for each value, side by side."""
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


def stacked_panel(
    title: str,
    series: Sequence[tuple[str, Sequence[float]]],  # name, one value a column; the lowest first
    span: tuple[float, float, float, float],  # left, top, width, height
    write: Callable[[float], str],
) -> Panel:
    """Draw stacked columns of several series, with their names beside the last column."""
    left, top, width, _ = span
    columns = [sum(values) for values in zip(*(values for _, values in series), strict=True)]
    whole = column_panel(title, columns, span, write)
    slot = width / max(len(columns), 1)
    gap = min(slot * 0.2, 3)
    stacks: list[tuple[float, float, float, float, str]] = []
    below, ends = [0.0] * len(columns), []
    for number, (_, values) in enumerate(series):
        for place, value in enumerate(values):
            upper, lower = whole.axis.at(below[place] + value), whole.axis.at(below[place])
            below[place] += value
            across = round(left + place * slot + gap / 2, 2)
            if value > 0:
                high = round(lower - upper, 1)
                stacks.append((across, upper, round(slot - gap, 2), high, f"m{number}"))
        ends.append(whole.axis.at(below[-1]))
    return replace(whole, stacks=tuple(stacks), names=_named(series, ends, top))


def _named(
    series: Sequence[tuple[str, Sequence[float]]], ends: Sequence[float], top: float
) -> tuple[Name, ...]:
    """Place names from the top down, the last series first, without overlapping."""
    names, below = [], top - LABEL_ROOM + 8
    for number in reversed(range(len(series))):
        below = max(ends[number] + 8, below + LABEL_ROOM)
        names.append(Name(series[number][0], f"m{number}", round(below, 1)))
    return tuple(names)


def _line(name: str, style: str, readings: Sequence[Reading], x: Axis, y: Axis) -> Line:
    dots = tuple((x.at(one.x), y.at(one.value)) for one in readings)
    bounded = [one for one in readings if one.low is not None and one.high is not None]
    upper = [(x.at(one.x), y.at(one.high or 0.0)) for one in bounded]
    lower = [(x.at(one.x), y.at(one.low or 0.0)) for one in reversed(bounded)]
    return Line(name, style, _written(dots), _written([*upper, *lower]), dots, dots[-1][1])


def _written(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{across:g},{down:g}" for across, down in points)


def _apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Move names apart if their lines end close together; the upper name stays."""
    ends: dict[int, float] = {}
    below = float("-inf")
    for number in sorted(range(len(lines)), key=lambda n: (lines[n].end, n)):
        below = max(lines[number].end, below + LABEL_ROOM)
        ends[number] = below
    return tuple(
        Line(one.name, one.style, one.points, one.band, one.dots, ends[number])
        for number, one in enumerate(lines)
    )
