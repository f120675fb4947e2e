"""The detectors, named as for `--guard`, and what they all read from a text."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from costaudit.answers.traps.antonyms import find_orders, find_polarity, find_sides
from costaudit.answers.traps.folding import fold, plain
from costaudit.answers.traps.names import find_entities, find_identifiers
from costaudit.answers.traps.quantities import Quantity, find_dates, quantities


@dataclass
class Reading:
    """The values found in a text; identifiers and dates are removed before numbers are read."""

    raw: str

    @cached_property
    def plain(self) -> str:
        """The folded text, with numbers in digits."""
        return plain(self.raw)

    @cached_property
    def _dates(self) -> tuple[frozenset[str], str]:
        return find_dates(self._identifiers[1])

    @cached_property
    def _identifiers(self) -> tuple[frozenset[str], str]:
        return find_identifiers(self.plain)

    @cached_property
    def _quantities(self) -> tuple[Quantity, ...]:
        return quantities(self._dates[1])

    @property
    def identifiers(self) -> frozenset[str]:
        """Order numbers, codes, addresses and versions."""
        return self._identifiers[0]

    @property
    def dates(self) -> frozenset[str]:
        """Dates, weekdays, clock times, and words such as yesterday."""
        return self._dates[0]

    @property
    def numbers(self) -> frozenset[str]:
        """All other numbers, each in the base unit of its dimension."""
        return frozenset(f"{q.value:g}" for q in self._quantities)

    @property
    def amounts(self) -> frozenset[str]:
        """Numbers with a currency."""
        return frozenset(f"{q.value:g} {q.dimension}" for q in self._quantities if q.is_money)

    @property
    def measures(self) -> frozenset[str]:
        """Numbers with any other unit."""
        return frozenset(
            f"{q.value:g} {q.dimension}" for q in self._quantities if q.dimension and not q.is_money
        )

    @cached_property
    def entities(self) -> frozenset[str]:
        """Names of places, products, companies and people."""
        return find_entities(self.raw, fold(self.raw))

    @cached_property
    def polarity(self) -> frozenset[str]:
        """Whether the text affirms or denies, and which sides of known opposites it names."""
        return find_polarity(self.plain)

    @property
    def orders(self) -> frozenset[str]:
        """Which of two things comes first or is more, and which way a direction points."""
        return find_sides(self.plain, "comparatives") | find_orders(self.plain, self.entities)


@dataclass(frozen=True)
class Trap:
    """A kind of difference between two texts that changes the right answer."""

    name: str
    find: Callable[[Reading], frozenset[str]]
    rule: Literal["equal", "sides"]  # what must agree: all values, or the sides of shared axes
    says: str  # description in reports


TRAPS = (
    Trap("numbers", lambda r: r.numbers, "equal", "different numbers"),
    Trap("dates", lambda r: r.dates, "equal", "different dates or times"),
    Trap("amounts", lambda r: r.amounts, "equal", "different amounts of money"),
    Trap("units", lambda r: r.measures, "equal", "different measures or durations"),
    Trap("identifiers", lambda r: r.identifiers, "equal", "different codes or identifiers"),
    Trap("entities", lambda r: r.entities, "equal", "different names"),
    Trap("negation", lambda r: r.polarity, "sides", "one affirms what the other denies"),
    Trap("comparatives", lambda r: r.orders, "sides",
         "before and after, more and less"),
    Trap("scope", lambda r: find_sides(r.plain, "scope"), "sides", "all and only, first and last"),
)  # fmt: skip
TRAP_NAMES = tuple(trap.name for trap in TRAPS)
