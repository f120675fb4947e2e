"""A text read once, for all detectors."""

from dataclasses import dataclass
from functools import cached_property

from costaudit.answers.traps.dates import find_dates
from costaudit.answers.traps.entities import find_entities
from costaudit.answers.traps.folding import fold, plain
from costaudit.answers.traps.identifiers import find_identifiers
from costaudit.answers.traps.polarity import find_polarity
from costaudit.answers.traps.quantities import Quantity, quantities


@dataclass
class Reading:
    """What a text says, part by part; identifiers and dates are taken out before numbers."""

    raw: str

    @cached_property
    def plain(self) -> str:
        """The text folded, with its numbers in digits."""
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
        """Order numbers, codes, addresses, versions."""
        return self._identifiers[0]

    @property
    def dates(self) -> frozenset[str]:
        """Dates, weekdays, clock times, words such as yesterday."""
        return self._dates[0]

    @property
    def numbers(self) -> frozenset[str]:
        """All other numbers, in the base unit of their dimension."""
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
        """Names of places, products, firms and people."""
        return find_entities(self.raw, fold(self.raw))

    @cached_property
    def polarity(self) -> frozenset[str]:
        """Whether the text affirms or denies, and sides of known opposites."""
        return find_polarity(self.plain)
