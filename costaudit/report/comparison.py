"""Write a comparison of two audits for a terminal or as Markdown."""

from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from costaudit.report.compare import Change, Comparison
from costaudit.report.escaping import cut, markdown_code, markdown_text, one_line
from costaudit.report.language import tr
from costaudit.report.numbers import count, usd

_TOP = 20  # names listed
_TEXT = 400  # characters of a text from the log


def comparison_markdown(compared: Comparison) -> bytes:
    """Render as Markdown: the headline, the numbers, what moved, what is new and gone."""
    lines = [f"### {compared.headline}", "", *comparison_lines(compared)]
    return ("\n".join(lines) + "\n").encode()


def comparison_lines(compared: Comparison) -> list[str]:
    """Write everything but the headline as lines of Markdown."""
    lines = markdown_table(["", *map(tr, _SIDES)], [[c.name, *_cells(c)] for c in compared.changes])
    if compared.drivers:
        lines += ["", *markdown_table([_cause(compared), tr("change")], _driver_rows(compared))]
    for name, changes in compared.moved.items():
        if changes:
            title = tr("spend a month by {what}").format(what=tr(name))
            rows = [
                [markdown_code(cut(c.name, _TEXT)) if c.name else tr("not logged"), *_cells(c)]
                for c in changes
            ]
            lines += [
                "",
                *markdown_table([title, *map(tr, _SIDES)], rows),
            ]
    for title, names in _lists(compared):
        shown = "; ".join(markdown_text(cut(name, _TEXT)) for name in names[:_TOP])
        lines += ["", f"{title}: {shown}{_more(names)}"]
    return lines


def comparison_terminal(compared: Comparison, *, width: int = 80, color: bool = False) -> bytes:
    """Render for a terminal; text from the logs can't colour or move it."""
    sheet = StringIO()
    console = Console(
        file=sheet,
        width=max(width, 40),
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
    )
    console.print(Text(one_line(compared.headline), style="bold"))
    console.print()
    console.print(_grid("", compared.changes))
    if compared.drivers:
        console.print()
        console.print(_drivers(compared))
    for name, changes in compared.moved.items():
        if changes:
            console.print()
            console.print(_grid(tr("spend a month by {what}").format(what=tr(name)), changes))
    for title, names in _lists(compared):
        console.print()
        console.print(Text(f"{title}: {'; '.join(map(one_line, names[:_TOP]))}{_more(names)}"))
    return "".join(f"{line.rstrip()}\n" for line in sheet.getvalue().splitlines()).encode()


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table of Markdown cells; all columns but the first are right-aligned."""
    rule = ["---", *("--:" for _ in names[1:])]
    return [f"| {' | '.join(row)} |" for row in (names, rule, *rows)]


_SIDES = ("base", "new", "change")


def _grid(title: str, changes: Sequence[Change]) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    grid.add_column(Text(title), overflow="fold")
    for name in _SIDES[:2]:
        grid.add_column(tr(name), justify="right", no_wrap=True)
    grid.add_column(tr(_SIDES[2]), overflow="fold")
    for change in changes:
        base, new, verdict = _cells(change)
        style = "dim" if change.within_noise or not change.difference else ""
        grid.add_row(
            Text(one_line(change.name) or tr("not logged")), base, new, Text(verdict, style)
        )
    return grid


def _drivers(compared: Comparison) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    grid.add_column(Text(_cause(compared)), overflow="fold")
    grid.add_column(tr("change"), justify="right", no_wrap=True)
    for row in _driver_rows(compared):
        grid.add_row(*row)
    return grid


def _cause(compared: Comparison) -> str:
    return tr("{what} by cause").format(what=compared.spend.name)


def _driver_rows(compared: Comparison) -> list[list[str]]:
    return [[tr(one.factor), f"{'+' if one.usd > 0 else ''}{usd(one.usd)}"]
            for one in compared.drivers]  # fmt: skip


def _cells(change: Change) -> list[str]:
    return [change.written(change.base), change.written(change.new), change.verdict]


def _lists(compared: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    named = (
        (tr("New findings"), compared.new_findings),
        (tr("Findings that are gone"), compared.gone_findings),
        (tr("New clusters"), compared.new_clusters),
        (tr("Clusters that are gone"), compared.gone_clusters),
    )
    return [(title, names) for title, names in named if names]


def _more(names: Sequence[str]) -> str:
    more = tr("; and {n} more").format(n=count(len(names) - _TOP))
    return more if len(names) > _TOP else ""
