"""Print the rates of one model."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from costaudit.contracts.grades import PER_MTOK
from costaudit.costing.prices.disagreement import disagreement
from costaudit.costing.prices.lookup import price_of
from costaudit.costing.prices.price_table import providers_of
from costaudit.errors import UsageError

COLUMNS = ("tier", "over tokens", "since", "input", "cache read", "write 5m", "write 1h",
           "write other", "output")  # fmt: skip


@dataclass(frozen=True)
class Quote:
    """A model's rates as text: a row for each service tier and context band."""

    head: tuple[str, ...]  # lines above the rates
    rows: tuple[tuple[str, ...], ...]  # cells by COLUMNS
    notes: tuple[str, ...]  # sources, and what is unusual

    def lines(self, width: int | None = None, say: Callable[[str], str] = str) -> list[str]:
        """Return the quote in lines; `say` translates each text.

        If the table is wider than `width`, each row becomes a list of one cell per line.
        """
        columns = tuple(map(say, COLUMNS))
        rows = [(row[0], *map(say, row[1:])) for row in self.rows]
        table = [columns, *rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
        rates = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        if width is not None and max(map(len, rates)) > width:
            longest = max(map(len, columns))
            rates = []
            for row in rows:
                named = [*zip(columns, row, strict=True)][1:]
                rates.append(row[0])
                rates += [f"  {name:<{longest}}  {cell}" for name, cell in named if cell != "-"]
        return [*map(say, self.head), *rates, *map(say, self.notes)]

    def __str__(self) -> str:
        """Return the quote in English, as wide as it is."""
        return "\n".join(self.lines())


def quote(
    model: str, provider: str = "", at: datetime | None = None, overrides: Path | None = None
) -> Quote:
    """Return a model's rates at `at` or now; raises UsageError if the model is unknown."""
    found = price_of(model, provider or None, at=at or datetime.now(UTC), overrides=overrides)
    if not len(found.rates):
        whose = f" at {provider}" if provider else ""
        raise UsageError(
            f"No price is known for the model {model!r}{whose}.",
            hint=_hint(model, found.at, found.suggestions),
        )
    rows = list(found.rates.iter_rows(named=True))
    notes = dict.fromkeys(f"{row['service_tier']}: {row['source']}" for row in rows)
    notes |= dict.fromkeys(f"note: {row['note']}" for row in rows if row["note"])
    notes |= dict.fromkeys(disagreement(model, provider or None, found.at, rows[0]))
    return Quote(
        (
            f"{model}, priced as {rows[0]['priced_as']} on {found.at:%Y-%m-%d at %H:%M} UTC",
            "US dollars per million tokens:",
        ),
        tuple(map(_cells, rows)),
        tuple(notes),
    )


def _hint(model: str, at: datetime, similar: tuple[str, ...]) -> str:
    """Return how to get a price: the providers that have the model, else names like it."""
    sellers = [name for name in providers_of(model) if len(price_of(model, name, at=at).rates)]
    if sellers:
        named = " or ".join(f"--provider {name}" for name in sellers[:5])
        return f"Its price depends on who serves it: add {named}."
    if similar:
        return f"Did you mean {', '.join(similar)}?"
    return "Write its rates into a prices.toml."


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    over = f"{row['over_tokens']:,}" if row["over_tokens"] else "-"
    since = str(row["since"] or "-")
    return (str(row["service_tier"]), over, since, *(str(row[name]) for name in PER_MTOK))
