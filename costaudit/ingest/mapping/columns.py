"""Decide how each column of a table writes numbers and dates, from all its cells."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal

import msgspec

from costaudit.errors import InputError
from costaudit.ingest.mapping.cells import (
    NOTHING,
    Mark,
    Order,
    amount_text,
    date_text,
    is_other_date,
    number_text,
    shown_by,
    written_day,
    written_number,
)

Kind = Literal["number", "date"]
LOOKED_AT = 200  # cells after which a column without numbers and dates counts as text
SHARE = 0.9  # share of a column's cells that must be numbers or dates
ROUND = 5  # if at least this many numbers all end like 12.000, the zeros are decimals
DISTINCT = 3  # days needed before their order in the file shows which number is the day
MOST_DAYS = 10_000  # days kept to see their order
SAID = {  # what a mapping may say about a column
    "decimal comma": ("number", ","),
    "decimal point": ("number", "."),
    "day first": ("date", "day first"),
    "month first": ("date", "month first"),
    "text": ("text", ""),
}


class Column(msgspec.Struct, frozen=True):
    """How one column writes its numbers or dates."""

    name: str
    kind: Kind
    evidence: str  # a sentence without content
    decimal: Mark | None = None
    groups: bool = False  # its marks only group digits
    order: Order | None = None
    currency: str = ""  # the only currency that its cells name
    cells: int = 0  # cells that are not empty
    unread: int = 0  # cells that this convention can't read

    @property
    def convention(self) -> str:
        """Name the convention in a few words."""
        if self.kind == "date":
            return self.order or "undecided: day or month first"
        mark = {".": "decimal point", ",": "decimal comma"}.get(self.decimal or "", "")
        said = mark or ("whole numbers in groups" if self.groups else "undecided: decimal or group")
        return f"{said}, {self.currency}" if self.currency else said

    def read(self, cell: str) -> str:
        """Return a cell as JSON writes it; a cell that can't be read stays as it is."""
        if self.kind == "number":
            return number_text(cell, self.decimal, groups=self.groups) or cell
        return cell if _is_iso(cell) else date_text(cell, self.order) or cell


def _is_iso(cell: str) -> bool:
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True


# what machines write: a number with a decimal point, and a moment
_POINT = re.compile(r"[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,15}(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_ROUND_OF_ROWS = 256  # rows after which we skip text columns


class _Evidence:
    """What the cells of one column show."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cells = self.numbers = self.dates = self.nothing = 0
        self.decimal: Counter[str] = Counter()
        self.grouping: Counter[str] = Counter()
        self.either: Counter[str] = Counter()
        self.fractions = 0  # numbers with two readings that do not end in three zeros
        self.odd = 0  # numbers and dates that JSON writes differently
        self.orders: Counter[Order] = Counter()
        self.separators: Counter[str] = Counter()
        self.currencies: Counter[str] = Counter()
        self.days: list[tuple[int, int]] = []  # consecutive distinct dates whose order is unclear
        self.undecided = 0  # dates whose order is unclear
        self.is_text = False

    def add(self, cell: str) -> None:
        """Look at a cell."""
        if self.is_text:
            return
        if cell.isdecimal() and cell.isascii():
            self.cells += 1
            self.numbers += 1
            return
        if _POINT.fullmatch(cell):
            self.cells += 1
            self.numbers += 1
            self.decimal["."] += 1
            self.currencies[""] += 1
            return
        if _MOMENT.fullmatch(cell) and _is_iso(cell):
            self.cells += 1
            self.dates += 1
            return
        self.look(cell)

    def look(self, cell: str) -> None:
        """Look at a cell in any form; `add` handles the usual ones."""
        if cell.strip().lower() in NOTHING:
            self.nothing += bool(cell)
            return
        self.cells += 1
        if not self._number(cell):
            self._date(cell)
        if self.cells >= LOOKED_AT and (self.numbers + self.dates) * 2 < self.cells:
            self.is_text = True

    def _number(self, cell: str) -> bool:
        found = written_number(cell)
        if found is None:
            return False
        shown = shown_by(found.body)
        if not shown.is_number:
            return False
        self.numbers += 1
        self.currencies[found.currency] += 1
        for counter, mark in (
            (self.decimal, shown.decimal),
            (self.grouping, shown.grouping),
            (self.either, shown.either),
        ):
            if mark is not None:
                counter[mark] += 1
        self.fractions += shown.either is not None and not shown.is_round
        self.odd += amount_text(found, shown, ".", groups=False) != cell or shown.either is not None
        return True

    def _date(self, cell: str) -> None:
        day = written_day(cell)
        if day is not None:
            self.dates += 1
            self.odd += 1
            self.separators[day.separator] += 1
            if day.order is not None:
                self.orders[day.order] += 1
                return
            self.undecided += 1
            if len(self.days) < MOST_DAYS and (not self.days or self.days[-1] != day[:2]):
                self.days.append(day[:2])
        elif not _is_iso(cell) and is_other_date(cell):
            self.dates += 1
            self.odd += 1
        elif _is_iso(cell):
            self.dates += 1

    def kind(self) -> Kind | None:
        """Return what the column holds; None for texts and for values already as in JSON."""
        if self.is_text or not self.odd or not self.cells:
            return None
        if self.numbers >= SHARE * self.cells:
            return "number"
        return "date" if self.dates >= SHARE * self.cells else None


def columns_of(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    separator: str,
    said: Mapping[str, str] | None = None,
) -> tuple[Column, ...]:
    """Return the convention of each column that JSON would write differently.

    `said` is what a mapping says about columns, by name. Raise InputError for a missing column
    and for a word that is not in SAID.
    """
    said = said or {}
    _check_said(said, header)
    found = [_Evidence(name) for name in header]
    live = list(enumerate(found))
    for number, row in enumerate(rows):
        if number % _ROUND_OF_ROWS == 0:
            live = [(place, one) for place, one in live if not one.is_text]
        for place, evidence in live:
            if place < len(row):
                evidence.add(row[place])
    of_table = _Table(found, separator)
    columns = []
    for evidence in found:
        word = said.get(evidence.name)
        kind = evidence.kind() if word is None else SAID[word][0]
        if kind == "number":
            columns.append(_number_column(evidence, of_table, word))
        elif kind == "date":
            columns.append(_date_column(evidence, of_table, word))
    return tuple(columns)


def _check_said(said: Mapping[str, str], header: Sequence[str]) -> None:
    for name, word in said.items():
        if name not in header:
            raise InputError(
                f"The mapping speaks of a column {name!r}, which the table does not have.",
                hint=f"Its columns are: {', '.join(header)}.",
            )
        if word not in SAID:
            raise InputError(
                f"The mapping says {word!r} of the column {name!r}, which means nothing.",
                hint=f"Write one of: {', '.join(SAID)}.",
            )


class _Table:
    """What the columns of a table show together."""

    def __init__(self, columns: Sequence[_Evidence], separator: str) -> None:
        numbers = [own for each in columns if each.kind() == "number" if (own := _decimal(each)[0])]
        self.decimal: Mark | None = numbers[0] if len(set(numbers)) == 1 else None
        dates = [told for each in columns if each.kind() == "date" if (told := _order(each)[0])]
        self.order: Order | None = dates[0] if len(set(dates)) == 1 else None
        self.separator = separator
        self.is_european = separator == ";" or self.decimal == ","


def _decimal(each: _Evidence) -> tuple[Mark | None, str]:
    """Return the decimal mark that a column's own cells show, and how."""
    points, commas = each.decimal["."], each.decimal[","]
    if points and commas:
        mark: Mark = "." if points >= commas else ","
        return mark, f"{points} numbers have a decimal point, {commas} a decimal comma"
    for own, count in ((".", points), (",", commas)):
        if count:
            return ("." if own == "." else ","), f"{count} of {each.numbers} can only be read so"
    if each.grouping["."] != each.grouping[","] and 0 in (each.grouping["."], each.grouping[","]):
        is_point = each.grouping["."] > 0
        return ("," if is_point else "."), "the other mark groups digits"
    only = [mark for mark in (".", ",") if each.either[mark]]
    if len(only) == 1 and not each.fractions and each.either[only[0]] >= ROUND:
        return ("." if only[0] == "." else ","), "all its decimals are three zeros"
    return None, ""


def _number_column(each: _Evidence, table: _Table, word: str | None) -> Column:
    decimal, evidence = _decimal(each)
    groups = bool(each.either["."] and each.either[","]) and decimal is None
    if word is not None:
        decimal, evidence = (word == "decimal comma" and ",") or ".", "the mapping says so"
    elif groups:
        evidence = "both marks are followed by three digits only"
    elif decimal is None and (each.either or each.grouping) and table.decimal is not None:
        decimal, evidence = table.decimal, "as in the table's other columns"
    elif decimal is None and not each.either:
        decimal, evidence = ".", "no number has a mark that could be read otherwise"
    elif decimal is None:
        evidence = "every number has two readings: counts of tokens are read as whole numbers"
    unread = each.cells - each.numbers
    if decimal is None and not groups:
        unread += each.either.total()
    named = [name for name, count in each.currencies.items() if name and count]
    return Column(
        each.name,
        "number",
        evidence,
        decimal=decimal,
        groups=groups,
        currency=named[0] if len(named) == 1 else ", ".join(sorted(named)),
        cells=each.cells,
        unread=unread,
    )


def _order(each: _Evidence) -> tuple[Order | None, str]:
    """Return the order that a column's own dates show, and how."""
    days, months = each.orders["day first"], each.orders["month first"]
    if days and months:
        order: Order = "day first" if days >= months else "month first"
        return order, f"{days} dates can only be day first, {months} month first"
    if days or months:
        order = "day first" if days else "month first"
        return order, f"{days or months} of {each.dates} can only be read so"
    return None, ""


def _date_column(each: _Evidence, table: _Table, word: str | None) -> Column:
    order, evidence = _order(each)
    if word is not None:
        order, evidence = (
            ("day first" if word == "day first" else "month first"),
            "the mapping says so",
        )
    elif not each.separators:
        evidence = "every date can be read in one way only"
    elif order is None:
        order, evidence = _order_by_context(each, table)
    unread = each.cells - each.dates + (each.undecided if order is None else 0)
    if not each.separators:
        order = "year first" if not each.orders else order
    return Column(each.name, "date", evidence, order=order, cells=each.cells, unread=unread)


def _order_by_context(each: _Evidence, table: _Table) -> tuple[Order | None, str]:
    if table.order is not None:
        return table.order, "as in the table's other columns"
    if set(each.separators) == {"."}:
        return "day first", "dates with points are written day first"
    by_day = _falls([(second, first) for first, second in each.days])
    by_month = _falls(each.days)
    if len(set(each.days)) >= DISTINCT and min(by_day, by_month) == 0 != max(by_day, by_month):
        order: Order = "day first" if by_day == 0 else "month first"
        return order, "the rows are in the order of time when read so"
    if table.is_european:
        return "day first", "the table has decimal commas or is divided by semicolons"
    return None, 'nothing shows the order: say "day first" or "month first" in [columns] of a map'


def _falls(dates: Sequence[tuple[int, int]]) -> int:
    """Count the steps at which the dates go back in time."""
    return sum(later < earlier for earlier, later in pairwise(dates))
