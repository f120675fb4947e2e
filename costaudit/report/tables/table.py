"""A titled table, written as terminal text, Markdown, CSV or JSON."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from costaudit.errors import UsageError
from costaudit.report.escaping import csv_cell, markdown_text, one_line
from costaudit.report.language import style, tr
from costaudit.report.numbers import count

FORMATS = ("terminal", "md", "csv", "json")
TOP = 10  # rows of a table on a terminal unless all are asked for
_GAP = "  "
_DOLLARS = re.compile(r"\bUSD\b")
_NARROWEST = 14  # characters of a word cell before a column is left out
_MONEY = ("month", "USD", "cost", "total", "saving", "alone")  # columns that are left out last


@dataclass(frozen=True)
class Screen:
    """What a terminal shows of a table."""

    width: int = 100
    every_row: bool = False  # not only the first TOP


_SCREEN = Screen()


@dataclass(frozen=True)
class Table:
    """A titled table of formatted cells; columns in `left` hold words, the others numbers.

    Title, columns and note are messages of the program, or texts that are translated already.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)  # places of the columns that are words
    note: str = ""  # a line below
    widest: int = 44  # characters of a word cell on a terminal before it is broken into lines


def heading(message: str) -> str:
    """Translate a title or a column's name; one in dollars names the currency in use."""
    return _in_currency(tr(message))


def _in_currency(head: str) -> str:
    return _DOLLARS.sub(style().currency, head)


def render_tables(
    tables: Sequence[Table], form: str, data: Any = None, lead: str = "", screen: Screen = _SCREEN
) -> bytes:
    """Write tables one after the other; JSON is the encoding of `data`, the nouns behind them.

    `lead` is a line above them; empty tables are left out. Raises UsageError for an unknown form.
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
    if form == "md":
        parts = [markdown_text(lead)] if lead else []
        return ("\n\n".join([*parts, *(_markdown(table) for table in filled)]) + "\n").encode()
    parts = ["\n".join(_wrapped(one_line(lead), screen.width))] if lead else []
    written = [_terminal(table, screen) for table in filled]
    return ("\n\n".join([*parts, *written]) + "\n").encode()


def _terminal(table: Table, screen: Screen) -> str:
    """Write a table that fits the screen: columns are left out and words broken, never cut."""
    rows = list(table.rows)
    shown = rows if screen.every_row else _top(rows)
    columns = tuple(heading(name) for name in table.columns)
    cells = [[one_line(cell) for cell in row] for row in (columns, *shown)]
    places, widths = _fitting(table, cells, screen.width)
    lines = _wrapped(one_line(heading(table.title)), screen.width)
    for row in cells:
        lines += _row([row[place] for place in places], places, widths, table.left)
    notes = [tr(table.note)] if table.note else []
    if len(shown) < len(rows):
        what = tr("{shown} of {all} rows; --all shows every row, --format csv has them too.")
        notes.append(what.format(shown=len(shown), all=count(len(rows))))
    hidden = [columns[place] for place in range(len(columns)) if place not in places]
    if any(hidden):
        told = tr("Left out for width: {names}; --format csv has them.")
        notes.append(told.format(names=", ".join(name for name in hidden if name)))
    for note in notes:
        lines += _wrapped(one_line(note), screen.width)
    return "\n".join(lines)


def _top(rows: Sequence[tuple[str, ...]]) -> Sequence[tuple[str, ...]]:
    """Return the first rows, or those around the recommended one."""
    place = next((n for n, row in enumerate(rows) if tr("recommended") in row), 0)
    start = max(min(place - TOP // 2, len(rows) - TOP), 0)
    return rows[start : start + TOP]


def _fitting(
    table: Table, cells: Sequence[Sequence[str]], width: int
) -> tuple[list[int], dict[int, int]]:
    """Choose the columns that fit and their widths; the last ones go first, money stays longest."""
    places = [
        place for place in range(len(table.columns)) if any(row[place] for row in cells[1:])
    ] or [0]
    while True:
        widths = {place: max(cell_len(row[place]) for row in cells) for place in places}
        for place in places:
            if place in table.left:
                widths[place] = min(widths[place], table.widest)
        over = sum(widths.values()) + len(_GAP) * (len(places) - 1) - width
        words = [place for place in places if place in table.left]
        for place in sorted(words, key=lambda one: -widths[one]):
            room = max(widths[place] - max(_NARROWEST, cell_len(cells[0][place])), 0)
            taken = min(max(over, 0), room)
            widths[place] -= taken
            over -= taken
        if over <= 0 or len(places) == 1:
            return places, widths
        places.remove(_least(table, places))


def _least(table: Table, places: Sequence[int]) -> int:
    """Return the column that is missed least: the last that neither names a row nor holds money."""
    for wanted in (False, True):
        for place in reversed(places[1:]):
            name = table.columns[place]
            if any(word in name for word in _MONEY) == wanted:
                return place
    return places[-1]


def _row(
    cells: Sequence[str], places: Sequence[int], widths: dict[int, int], left: Sequence[int]
) -> list[str]:
    """Write one row, on several lines where words are broken."""
    broken = [_wrapped(cell, widths[place]) for cell, place in zip(cells, places, strict=True)]
    lines = []
    for number in range(max(len(one) for one in broken)):
        padded = []
        for one, place in zip(broken, places, strict=True):
            text = one[number] if number < len(one) else ""
            blank = " " * max(widths[place] - cell_len(text), 0)
            padded.append(text + blank if place in left else blank + text)
        lines.append(_GAP.join(padded).rstrip())
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """Break text into lines of at most `width` columns of a terminal; wide characters take two."""
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *parts, line = _broken(word, width)
        lines += parts
    return [*lines, line]


def _broken(word: str, width: int) -> list[str]:
    """Break a word into parts of at most `width` columns, and at most four characters for each."""
    room = max(width, 2)
    parts = []
    while len(head := word[: 4 * room]) < len(word) or cell_len(head) > width:
        taken = next(n for n in range(len(head), 0, -1) if cell_len(head[:n]) <= room)
        parts.append(word[:taken])
        word = word[taken:]
    return [*parts, word]


def _markdown(table: Table) -> str:
    rules = [":--" if place in table.left else "--:" for place in range(len(table.columns))]
    heads = tuple(heading(name) for name in table.columns)
    rows = [[markdown_text(cell) for cell in row] for row in (heads, *table.rows)]
    lines = [f"**{markdown_text(heading(table.title))}**", ""]
    lines += [f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:])]
    return "\n".join([*lines, *(["", markdown_text(tr(table.note))] if table.note else [])])


def _csv(table: Table) -> str:
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    title, *columns = (_in_currency(name) for name in (table.title, *table.columns))
    writer.writerow(("table", *columns))
    for row in table.rows:
        writer.writerow([csv_cell(cell) for cell in (title, *row)])
    return sheet.getvalue()
