"""Cutting an audit to what one page can carry, and remembering how much there was."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from costaudit.contracts.audit import Audit
from costaudit.report.hostile import cut

_SERIES = ("semantic.points", "spend.by.day", "spend.by.hour")
_BY_MONEY = ("spend.by.endpoint", "spend.by.tenant", "spend.by.model")


@dataclass(frozen=True)
class Limits:
    """How much of everything a page carries."""

    series: int = 4_000  # points of a curve
    rows: int = 300  # rows of a table, entries of a mapping
    pairs: int = 12  # pairs of questions, breakers and parts a row holds
    characters: int = 4_000  # of one text

    def divided(self, by: int) -> "Limits":
        """Allow a fraction of everything."""
        return Limits(
            max(self.series // by, 50),
            max(self.rows // by, 3),
            max(self.pairs // by, 1),
            max(self.characters // by, 80),
        )


def thinned(audit: Audit, limits: Limits) -> tuple[Audit, dict[str, int]]:
    """Cut the audit; also give the full length of every list that was cut, by its path."""
    lengths: dict[str, int] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, str):
            return cut(value, limits.characters)
        if isinstance(value, tuple):
            return tuple(walk(item, path) for item in _kept(value, path, limits, lengths))
        if isinstance(value, dict):
            names = tuple(value)[: limits.rows]
            if len(names) < len(value):
                lengths[path] = len(value)
            return {
                cut(name, limits.characters): walk(value[name], f"{path}.{name}") for name in names
            }
        if is_dataclass(value) and not isinstance(value, type):
            start = f"{path}." if path else ""
            parts = {
                field.name: walk(getattr(value, field.name), start + field.name)
                for field in fields(value)
            }
            return replace(value, **parts)
        return value

    return walk(audit, ""), lengths


def _kept(
    items: Sequence[Any], path: str, limits: Limits, lengths: dict[str, int]
) -> Sequence[Any]:
    if path in _SERIES:
        most, choose = limits.series, spread
    elif path.count(".") > 1 and not path.startswith("spend.by"):
        most, choose = limits.pairs, _first
    else:
        most, choose = limits.rows, _dearest if path in _BY_MONEY else _first
    if len(items) <= most:
        return items
    lengths[path] = max(lengths.get(path, 0), len(items))
    return choose(items, most)


def _first(items: Sequence[Any], most: int) -> Sequence[Any]:
    return items[:most]


def _dearest(items: Sequence[Any], most: int) -> Sequence[Any]:
    return sorted(items, key=lambda row: row.cost.total_usd, reverse=True)[:most]


def spread(items: Sequence[Any], most: int) -> Sequence[Any]:
    """Keep points evenly, the first, the last and the recommended one always."""
    last = len(items) - 1
    kept = {round(number * last / (most - 2)) for number in range(most - 1)}
    kept |= {number for number, item in enumerate(items) if getattr(item, "recommended", False)}
    return [items[number] for number in sorted(kept)]
