"""A titled table, written as terminal text, Markdown, CSV or JSON."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from costaudit.errors import UsageError
from costaudit.report.escaping import csv_cell, cut, markdown_text, one_line

FORMATS = ("terminal", "md", "csv", "json")
_CELL = 44  # characters of a word cell on a terminal


@dataclass(frozen=True)
class Table:
    """Cells are written already; those of columns in `left` are words, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)  # places of the columns that are words
    note: str = ""  # a line below
    widest: int = _CELL  # characters of a cell on a terminal


def render_tables(tables: Sequence[Table], form: str, data: Any = None, lead: str = "") -> bytes:
    """Write tables one after the other; JSON is the encoding of `data`, the nouns behind them.

    `lead` is a line that stands above them; empty tables are left out. Raises UsageError for an
    unknown form.
    """
    if form not in FORMATS:
        raise UsageError(
            f"--format {form!r} is unknown.", hint=f"Choose from {', '.join(FORMATS)}."
        )
    if form == "json":
        import msgspec

        return msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"
    filled = [table for table in tables if table.rows]
    if form == "csv":
        return "\n".join(_csv(table) for table in filled).encode()
    write, clean = (_terminal, one_line) if form == "terminal" else (_markdown, markdown_text)
    parts = [clean(lead)] if lead else []
    return ("\n\n".join([*parts, *(write(table) for table in filled)]) + "\n").encode()


def _terminal(table: Table) -> str:
    rows = (table.columns, *table.rows)
    cells = [[cut(one_line(cell), table.widest) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(table.columns))]
    lines = [one_line(table.title)]
    for row in cells:
        padded = [
            cell.ljust(width) if place in table.left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join([*lines, *([one_line(table.note)] if table.note else [])])


def _markdown(table: Table) -> str:
    rules = [":--" if place in table.left else "--:" for place in range(len(table.columns))]
    rows = [[markdown_text(cell) for cell in row] for row in (table.columns, *table.rows)]
    lines = [f"**{markdown_text(table.title)}**", ""]
    lines += [f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:])]
    return "\n".join([*lines, *(["", markdown_text(table.note)] if table.note else [])])


def _csv(table: Table) -> str:
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(("table", *table.columns))
    for row in table.rows:
        writer.writerow([csv_cell(cell) for cell in (table.title, *row)])
    return sheet.getvalue()
