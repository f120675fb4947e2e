"""Numbers in a text with their units, brought to one unit per dimension."""

import re
from dataclasses import dataclass
from functools import cache

from costaudit.answers.traps.lexicon import table

_DIGIT = re.compile(r"\d")
_DIGITS = r"\d+(?:[.,'](?=\d)\d+)*"
_THOUSANDS = re.compile(r"\d{1,3}(?:([.,'])\d{3})(?:\1\d{3})*$")
_SCALE = {"k": 1e3, "mil": 1e3, "thousand": 1e3, "million": 1e6, "millones": 1e6, "millon": 1e6}
_SYMBOL = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy"}


@dataclass(frozen=True)
class Quantity:
    """One number of a text."""

    value: float  # in the base unit of its dimension
    dimension: str  # time, workday, mass, percent, ...; money:eur; "" for a bare number

    @property
    def is_money(self) -> bool:
        """Tell amounts of money from everything else."""
        return self.dimension.startswith("money:")


@cache
def _units() -> dict[str, tuple[str, float]]:
    """Map each unit's words to its dimension and its size in the base unit."""
    units: dict[str, tuple[str, float]] = {}
    for row in table("units"):
        for word in row["words"]:
            units[word] = (row["dimension"], float(row["size"]))
    for row in table("currencies"):
        for word in row["words"]:
            units[word] = (f"money:{row['code']}", float(row.get("size", 1)))
    return units


@cache
def _pattern() -> re.Pattern[str]:
    words = "|".join(re.escape(w) for w in sorted(_units(), key=lambda w: (-len(w), w)))
    unit = rf"(?:\s*-?\s*(?P<unit>{words}|[$€£¥%])(?!\w))?"
    return re.compile(
        rf"(?P<before>[$€£¥]|\b(?:usd|eur|gbp|chf|mxn)\s)?\s?(?<![\w.])(?P<number>{_DIGITS})"
        rf"(?P<ordinal>(?:st|nd|rd|th|ª|º)\b)?"
        rf"(?:\s*(?P<scale>k|mil|thousand|million|millones|millon)\b(?:\s+de\b)?)?{unit}"
        rf"(?P<range>\s*(?:-|to|a|and|y|o|or|hasta)\s*(?={_DIGITS}))?"
    )


def quantities(plain: str) -> tuple[Quantity, ...]:
    """Read the numbers of a folded text; the first of `3 to 5 days` takes the unit of the last."""
    if not _DIGIT.search(plain):
        return ()
    found: list[Quantity] = []
    waiting: list[float] = []  # starts of a range whose unit is still to come
    for match in _pattern().finditer(plain):
        value = number(match["number"]) * _SCALE.get(match["scale"] or "", 1.0)
        unit = match["unit"] or (match["before"] or "").strip()
        unit = _SYMBOL.get(unit, unit)
        if not unit and match["range"]:
            waiting.append(value)
            continue
        dimension, size = _units().get(unit, ("", 1.0))
        found += [Quantity(round(v * size, 9), dimension) for v in (*waiting, value)]
        waiting.clear()
    return (*found, *(Quantity(value, "") for value in waiting))


def number(digits: str) -> float:
    """Read digits with either decimal sign; three digits after the only sign are thousands."""
    if _THOUSANDS.match(digits) and not digits.startswith("0"):
        return float(re.sub(r"[.,']", "", digits))
    *whole, last = re.split(r"[.,']", digits)
    return float(f"{''.join(whole)}.{last}" if whole else last)
