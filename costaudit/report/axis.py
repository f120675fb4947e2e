"""Where a number falls on a chart, and the round numbers beside it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
        """Place a number; those outside stand at the edge."""
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
    """Make an axis that ends on round numbers and, unless told otherwise, holds zero."""
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
