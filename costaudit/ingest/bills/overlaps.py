"""Bills of the same provider and day in several files: duplicates, or bills to add up."""

from collections import Counter
from collections.abc import Mapping, Sequence

from costaudit.contracts.spend import BillLine

Place = tuple[str, bool, str]  # provider, whether the lines have amounts, day


def counted_once(by_file: Mapping[str, Sequence[BillLine]]) -> tuple[list[BillLine], list[str]]:
    """Return the lines of all files without duplicated days, and notes about overlapping days.

    A day is a duplicate if another file bills it with equal lines. Lines with and without amounts
    are compared separately, because a cost report and a usage report of a day belong together.
    """
    taken: dict[Place, dict[str, list[BillLine]]] = {}
    days: dict[tuple[str, str, str, bool], list[str]] = {}
    for name, lines in by_file.items():
        for place, own in _by_place(lines).items():
            before = taken.setdefault(place, {})
            equal = next((one for one, its in before.items() if _same(its, own)), None)
            other = equal or next(iter(before), None)
            if equal is None:
                before[name] = own
            if other is not None:
                days.setdefault((place[0], other, name, equal is not None), []).append(place[2])
    lines = [line for files in taken.values() for own in files.values() for line in own]
    return lines, [_said(*key, sorted(set(found))) for key, found in sorted(days.items())]


def _by_place(lines: Sequence[BillLine]) -> dict[Place, list[BillLine]]:
    found: dict[Place, list[BillLine]] = {}
    for line in lines:
        found.setdefault((line.provider, line.amount is not None, line.day), []).append(line)
    return found


def _same(one: Sequence[BillLine], other: Sequence[BillLine]) -> bool:
    return len(one) == len(other) and Counter(one) == Counter(other)


def _said(provider: str, first: str, second: str, is_equal: bool, days: Sequence[str]) -> str:
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} days)"
    bills = f"The bills of {provider} in {first} and {second}"
    if is_equal:
        return f"{bills} are equal on {when}: they are counted once."
    return f"{bills} differ on {when}: they are added up."
