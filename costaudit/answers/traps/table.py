"""The detectors, by the name that `--guard` takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from costaudit.answers.traps.reading import Reading
from costaudit.answers.traps.sides import find_sides


@dataclass(frozen=True)
class Trap:
    """A kind of difference between two texts that changes what is right to answer."""

    name: str
    find: Callable[[Reading], frozenset[str]]
    rule: Literal["equal", "sides"]  # what must agree: all values, or the side on shared axes
    says: str  # for the reader


TRAPS = (
    Trap("numbers", lambda r: r.numbers, "equal", "different numbers"),
    Trap("dates", lambda r: r.dates, "equal", "different dates or times"),
    Trap("amounts", lambda r: r.amounts, "equal", "different amounts of money"),
    Trap("units", lambda r: r.measures, "equal", "different measures or durations"),
    Trap("identifiers", lambda r: r.identifiers, "equal", "different codes or identifiers"),
    Trap("entities", lambda r: r.entities, "equal", "different names"),
    Trap("negation", lambda r: r.polarity, "sides", "one affirms what the other denies"),
    Trap("comparatives", lambda r: find_sides(r.plain, "comparatives"), "sides",
         "before and after, more and less"),
    Trap("scope", lambda r: find_sides(r.plain, "scope"), "sides", "all and only, first and last"),
)  # fmt: skip
TRAP_NAMES = tuple(trap.name for trap in TRAPS)
