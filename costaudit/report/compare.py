"""Two audits side by side: what changed, and whether it is more than noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.spend import Spend
from costaudit.report.escaping import cut, markdown_code, markdown_text, one_line
from costaudit.report.numbers import MINUS, share, similarity, usd

_FEWEST_DAYS = 7  # whole days needed to say how much spend varies by itself
_Z95 = Decimal("1.96")  # two-sided 95 % of a normal distribution
_MOVED = 10  # groups listed per breakdown


@dataclass(frozen=True)
class Change:
    """One number in both audits."""

    name: str
    unit: Literal["usd", "share", "similarity"]
    base: Decimal | None  # None where the audit could not tell
    new: Decimal | None
    noise: Decimal | None  # half the 95 % interval of the difference; None where it is not known

    @property
    def difference(self) -> Decimal | None:
        """New less base, in the unit."""
        return None if self.base is None or self.new is None else self.new - self.base

    @property
    def relative(self) -> Decimal | None:
        """The difference as a share of the base."""
        difference = self.difference
        return None if difference is None or not self.base else difference / self.base

    @property
    def within_noise(self) -> bool:
        """Whether the difference could be chance; False where the noise is not known."""
        difference = self.difference
        return difference is not None and self.noise is not None and abs(difference) <= self.noise

    def written(self, value: Decimal | None) -> str:
        """Write a value of this row for people."""
        if value is None:
            return "not known"
        if self.unit == "usd":
            return usd(value)
        return share(float(value)) if self.unit == "share" else similarity(float(value))

    @property
    def verdict(self) -> str:
        """Describe the difference for people, with its noise."""
        difference = self.difference
        if difference is None:
            return "can't be compared"
        if difference == 0:
            return "no change"
        text = self._signed(difference)
        if self.within_noise:
            return f"{text}, within noise (±{self._plain(abs(self.noise or Decimal(0)))})"
        return f"{text} (noise ±{self._plain(self.noise)})" if self.noise else text

    def _signed(self, difference: Decimal) -> str:
        sign = "+" if difference > 0 else MINUS
        text = f"{sign}{self._plain(abs(difference))}"
        relative = self.relative
        if self.unit == "usd" and relative is not None:
            text += f" ({sign}{share(abs(float(relative)))})"
        return text

    def _plain(self, size: Decimal) -> str:
        if self.unit == "share":
            return share(float(size)).replace("%", " pp")
        return usd(size) if self.unit == "usd" else similarity(float(size))


@dataclass(frozen=True)
class Comparison:
    """Two audits side by side."""

    headline: str  # one sentence
    changes: tuple[Change, ...]  # spend first
    moved: dict[str, tuple[Change, ...]]  # model | endpoint | tenant → largest changes of spend
    new_findings: tuple[str, ...]  # titles
    gone_findings: tuple[str, ...]
    new_clusters: tuple[str, ...]  # labels
    gone_clusters: tuple[str, ...]

    @property
    def spend(self) -> Change:
        """The change of monthly spend, which a cost gate tests."""
        return self.changes[0]


def compare(base: Audit, new: Audit) -> Comparison:
    """Set the headline numbers, the breakdowns and the findings of two audits side by side."""
    spend = _spend_change(base, new)
    changes = (
        spend,
        _money("Saving a month", base, new, lambda audit: audit.verdict.saving),
        _estimate("Prompt-cache reads", base, new, _read_share),
        _estimate("Valid semantic hits", base, new, _of_point("valid_hit_share")),
        _estimate("Unsafe answers served", base, new, _of_point("unsafe_served_share")),
        _exact("Unpriced tokens", "share", base, new, lambda audit: audit.spend.unpriced_share),
        _exact("Rows with prompts", "share", base, new, lambda audit: audit.quality.prompt_share),
        _exact(
            "Recommended similarity",
            "similarity",
            base,
            new,
            lambda audit: audit.semantic.recommended if audit.semantic else None,
        ),
    )
    findings = {f.code: f.title for f in base.findings}, {f.code: f.title for f in new.findings}
    clusters = _clusters(base), _clusters(new)
    return Comparison(
        headline=f"Spend went from {spend.written(spend.base)} to {spend.written(spend.new)} "
        f"a month: {spend.verdict}.",
        changes=changes,
        moved={name: _moved(base, new, name) for name in ("model", "endpoint", "tenant")},
        new_findings=_only_in(findings[1], findings[0]),
        gone_findings=_only_in(findings[0], findings[1]),
        new_clusters=_only_in(clusters[1], clusters[0]),
        gone_clusters=_only_in(clusters[0], clusters[1]),
    )


def _spend_change(base: Audit, new: Audit) -> Change:
    noise = [_daily_noise(audit.spend, audit.ledger.before.usd) for audit in (base, new)]
    return Change(
        "Spend a month", "usd", base.ledger.before.usd, new.ledger.before.usd, _combined(*noise)
    )


def _daily_noise(spend: Spend, month_usd: Decimal) -> Decimal | None:
    """Take how far the mean of whole days is known; the first and last day may be partial.

    From two weeks on, each day is held against its own weekday, so that a quiet Sunday is no noise.
    """
    rows = [row for row in spend.by.get("day", ()) if row.group][1:-1]
    if len(rows) < _FEWEST_DAYS:
        return None
    weekly = len(rows) >= 2 * _FEWEST_DAYS
    alike: dict[int, list[Decimal]] = {}
    for row in rows:
        weekday = date.fromisoformat(row.group).weekday() if weekly else 0
        alike.setdefault(weekday, []).append(row.cost.total_usd)
    mean = sum((row.cost.total_usd for row in rows), Decimal(0)) / len(rows)
    if not mean:
        return None
    squares = Decimal(0)
    for days in alike.values():
        usual = sum(days, Decimal(0)) / len(days)
        squares += sum(((day - usual) ** 2 for day in days), Decimal(0))
    variance = squares / (len(rows) - len(alike))
    return _Z95 * (variance / len(rows)).sqrt() / mean * month_usd


def _combined(base: Decimal | None, new: Decimal | None) -> Decimal | None:
    known = [half for half in (base, new) if half is not None]
    return sum((half * half for half in known), Decimal(0)).sqrt() if known else None


def _money(name: str, base: Audit, new: Audit, of: Callable[[Audit], Money]) -> Change:
    halves = []
    for money in (of(base), of(new)):
        exact = money.low_usd is None or money.high_usd is None
        halves.append(None if exact else (money.high_usd - money.low_usd) / 2)  # type: ignore[operator]
    return Change(name, "usd", of(base).usd, of(new).usd, _combined(*halves))


def _estimate(name: str, base: Audit, new: Audit, of: Callable[[Audit], Estimate | None]) -> Change:
    values: list[Decimal | None] = []
    halves: list[Decimal | None] = []
    for estimate in (of(base), of(new)):
        values.append(None if estimate is None else Decimal(str(estimate.value)))
        interval = estimate is not None and estimate.low is not None and estimate.high is not None
        halves.append(
            Decimal(str((estimate.high - estimate.low) / 2)) if interval else None  # type: ignore[union-attr, operator]
        )
    return Change(name, "share", values[0], values[1], _combined(*halves))


def _exact(
    name: str,
    unit: Literal["share", "similarity"],
    base: Audit,
    new: Audit,
    of: Callable[[Audit], float | None],
) -> Change:
    values = [None if of(audit) is None else Decimal(str(of(audit))) for audit in (base, new)]
    return Change(name, unit, values[0], values[1], None)


def _read_share(audit: Audit) -> Estimate | None:
    return audit.prefix.billed_read_share if audit.prefix else None


def _of_point(field: str) -> Callable[[Audit], Estimate | None]:
    def of(audit: Audit) -> Estimate | None:
        chosen = audit.semantic.chosen if audit.semantic else None
        return getattr(chosen, field) if chosen else None

    return of


def _clusters(audit: Audit) -> dict[str, str]:
    return {
        row.cluster_id: row.label for row in (audit.semantic.clusters if audit.semantic else ())
    }


def _only_in(these: dict[str, str], others: dict[str, str]) -> tuple[str, ...]:
    return tuple(these[key] for key in sorted(these) if key not in others)


def _moved(base: Audit, new: Audit, name: str) -> tuple[Change, ...]:
    """List the groups whose monthly spend changed most."""
    monthly = []
    for audit in (base, new):
        scale = Decimal(str(audit.ledger.month_days / audit.ledger.covered_days))
        rows = audit.spend.by.get(name, ())
        monthly.append({row.group: row.cost.total_usd * scale for row in rows})
    changes = [
        Change(
            group, "usd", monthly[0].get(group, Decimal(0)), monthly[1].get(group, Decimal(0)), None
        )
        for group in sorted({**monthly[0], **monthly[1]})
    ]
    moved = [change for change in changes if change.difference]
    return tuple(sorted(moved, key=lambda c: (-abs(c.difference or Decimal(0)), c.name))[:_MOVED])


_TOP = 20  # names listed
_TEXT = 400  # characters of a text from the log


def comparison_markdown(compared: Comparison) -> bytes:
    """Render as Markdown: the headline, the numbers, what moved, what is new and gone."""
    lines = [f"### {compared.headline}", "", *comparison_lines(compared)]
    return ("\n".join(lines) + "\n").encode()


def comparison_lines(compared: Comparison) -> list[str]:
    """Write everything but the headline as lines of Markdown."""
    lines = markdown_table(
        ["", "base", "new", "change"], [[c.name, *_cells(c)] for c in compared.changes]
    )
    for name, changes in compared.moved.items():
        if changes:
            rows = [
                [markdown_code(cut(c.name, _TEXT)) if c.name else "not logged", *_cells(c)]
                for c in changes
            ]
            lines += [
                "",
                *markdown_table([f"spend a month by {name}", "base", "new", "change"], rows),
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
    for name, changes in compared.moved.items():
        if changes:
            console.print()
            console.print(_grid(f"spend a month by {name}", changes))
    for title, names in _lists(compared):
        console.print()
        console.print(Text(f"{title}: {'; '.join(map(one_line, names[:_TOP]))}{_more(names)}"))
    return "".join(f"{line.rstrip()}\n" for line in sheet.getvalue().splitlines()).encode()


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table whose cells are Markdown already; all columns but the first stand right."""
    rule = ["---", *("--:" for _ in names[1:])]
    return [f"| {' | '.join(row)} |" for row in (names, rule, *rows)]


def _grid(title: str, changes: Sequence[Change]) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    grid.add_column(Text(title), overflow="fold")
    for name in ("base", "new"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("change", overflow="fold")
    for change in changes:
        base, new, verdict = _cells(change)
        style = "dim" if change.within_noise or not change.difference else ""
        grid.add_row(Text(one_line(change.name) or "not logged"), base, new, Text(verdict, style))
    return grid


def _cells(change: Change) -> list[str]:
    return [change.written(change.base), change.written(change.new), change.verdict]


def _lists(compared: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    named = (
        ("New findings", compared.new_findings),
        ("Findings that are gone", compared.gone_findings),
        ("New clusters", compared.new_clusters),
        ("Clusters that are gone", compared.gone_clusters),
    )
    return [(title, names) for title, names in named if names]


def _more(names: Sequence[str]) -> str:
    return f"; and {len(names) - _TOP:,} more" if len(names) > _TOP else ""
