"""Words that stand on one side of an axis, such as before and after, or all and only."""

import re
from functools import cache

from costaudit.answers.traps.lexicon import any_of, table


@cache
def _axes(name: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    rows = table(name)
    return tuple((r["axis"], r["side"], re.compile(any_of(r["words"]))) for r in rows)


@cache
def _quick(name: str) -> re.Pattern[str]:
    return re.compile(any_of([word for row in table(name) for word in row["words"]]))


@cache
def values(name: str) -> tuple[tuple[str, str], ...]:
    """List the axes and sides that a table of the lexicon can find, in its order."""
    return tuple(dict.fromkeys((axis, side) for axis, side, _ in _axes(name)))


def find_sides(plain: str, name: str) -> frozenset[str]:
    """Read which sides of the axes in one table of the lexicon a folded text names.

    Within an axis a longer phrase hides the shorter one in it: `not less than` is not `less than`.
    """
    if not _quick(name).search(plain):
        return frozenset()
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for axis, side, pattern in _axes(name):
        for match in pattern.finditer(plain):
            spans.setdefault(axis, []).append((match.start(), match.end(), side))
    return frozenset(
        f"{axis}={side}"
        for axis, found in spans.items()
        for start, end, side in found
        if not any(s <= start and end <= e and (s, e) != (start, end) for s, e, _ in found)
    )
