"""The audit in at most 25 lines of a terminal."""

from io import StringIO
from pathlib import PurePath

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Grade
from costaudit.contracts.semantic import SweepPoint
from costaudit.report.charts.waterfall import Bar
from costaudit.report.escaping import one_line
from costaudit.report.first_screen import fall, verdict_line
from costaudit.report.language import said, separated, tr
from costaudit.report.numbers import count, share, share_range, similarity, usd
from costaudit.report.summary import Severity, ranked_findings, severity, why_none

_LINES = 25
_STEPS = 7  # levers shown; the ledger knows seven
_FINDINGS = 3
_BESIDE = 40  # columns beside a bar's label: amount, grade, and a bar worth seeing
_SEVERITY: dict[Severity, str] = {
    "problem": "bold red", "saving": "green", "caution": "yellow", "note": "cyan",
}  # fmt: skip
_GRADE: dict[Grade, str] = {
    "measured": "green", "replayed": "green", "simulated": "cyan",
    "estimated": "yellow", "assumed": "magenta",
}  # fmt: skip


class TerminalReporter:
    """Write the verdict, the waterfall, the threshold and what to do first."""

    name = "terminal"
    suffix = ".txt"

    def __init__(
        self, *, width: int = 80, color: bool = False, files: tuple[str, ...] = ()
    ) -> None:
        self._width = max(width, 40)
        self._color = color
        self._files = files  # where the run's files are, for the last line

    def render(self, audit: Audit) -> bytes:
        """Render at most 25 lines; text from the log can't colour, move or overflow them."""
        blocks = [
            self._verdict(audit), self._waterfall(audit), self._threshold(audit), self._plan(audit),
        ]  # fmt: skip
        where = self._where()
        used = sum(len(block) + 1 for block in blocks) + len(where)
        blocks += [self._findings(audit, _LINES - used - 1), where]
        sheet = StringIO()
        console = Console(
            file=sheet,
            width=self._width,
            force_terminal=self._color,
            color_system="standard" if self._color else None,
            legacy_windows=False,
            markup=False,
            highlight=False,
            emoji=False,
        )
        filled = [block for block in blocks if block]
        for number, block in enumerate(filled):
            if number:
                console.print()
            for line in block:
                line.truncate(self._width, overflow="ellipsis")
                console.print(line, no_wrap=True, overflow="crop")
        return sheet.getvalue().encode()

    def _verdict(self, audit: Audit) -> list[Text]:
        draft = audit.verdict.draft
        lines = self._wrapped(verdict_line(audit), "bold", 2 if draft else 3)
        if draft:
            lines += [Text.assemble((tr("DRAFT") + " ", "bold red"), one_line(said(draft)))]
        return lines

    def _waterfall(self, audit: Audit) -> list[Text]:
        """Draw what is found down to `after`, and beyond it what depends on assumptions."""
        found = fall(audit)
        firm = found.firm[:_STEPS]
        beyond = found.beyond[: max(_STEPS - len(firm), 0)]
        bars = [found.before, *firm, found.after, *beyond]
        labels = [one_line(said(bar.label)) for bar in bars]
        left = min(max(map(cell_len, labels)), max(self._width - _BESIDE, 14))
        room = max(self._width - left - 2 - 10 - 2 - 10 - 2, 0)
        lines = [self._bar(bar, left, room) for bar in bars]
        if beyond:
            told = Text(tr("Beyond it, only if assumptions hold:"), style=_GRADE["assumed"])
            lines.insert(len(lines) - len(beyond), told)
        return lines

    def _bar(self, bar: Bar, left: int, room: int) -> Text:
        label = Text(one_line(said(bar.label)), style="bold" if bar.kind == "total" else "")
        label.truncate(left, overflow="ellipsis", pad=True)
        start = min(round(bar.start * room), max(room - 1, 0))
        stop = max(round(bar.stop * room), start + (1 if bar.money.usd else 0))
        style = {"total": "blue", "saved": "green", "cost": "red"}[bar.kind]
        signed = -bar.money.usd if bar.kind != "total" else bar.money.usd
        return Text.assemble(
            label, "  ", (f"{usd(signed):>10}", "bold" if bar.kind == "total" else ""), "  ",
            (f"{tr(bar.money.grade):<10}", _GRADE[bar.money.grade]), "  ",
            " " * start, ("█" * (stop - start), style),
        )  # fmt: skip

    def _threshold(self, audit: Audit) -> list[Text]:
        section = audit.semantic
        if section is None:
            return self._wrapped(
                tr("Semantic cache: not judged, {why}.").format(why=why_none(audit)), "", 3
            )
        chosen = next((point for point in section.points if point.recommended), None)
        if chosen is None or section.recommended is None:
            only = tr("Semantic cache: identical text only.")
            why = said(section.recommended_why)
            told = why if section.recommended_kind == "none" else f"{only} {why}"
            by_id = not section.embedder
            exact = section.exact
            rates = _rates(exact, by_id=by_id) if exact and exact.hits else []
            return [
                *self._wrapped(told, "", 2),
                *(row for line in rates for row in self._wrapped(line, "", 2, indent="  ")),
            ]
        title = tr("Semantic cache at similarity ≥ {similarity}").format(
            similarity=similarity(section.recommended)
        )
        every = (*audit.ledger.steps, *audit.ledger.left_out)
        step = next((step for step in every if step.lever == "semantic"), None)
        head = Text.assemble((title, "bold"), f" ({one_line(section.embedder)})")
        if step:
            loses = step.alone.usd < 0
            told = tr("alone would lose") if loses else tr("alone would save")
            style = "" if loses else "green"
            head = Text.assemble(head, ", ", told, " ",
                                 (usd(abs(step.alone.usd)), style), " ", tr("a month"))  # fmt: skip
        return [
            head,
            *(row for line in _rates(chosen) for row in self._wrapped(line, "", 2, indent="  ")),
        ]

    def _plan(self, audit: Audit) -> list[Text]:
        """Name the steps in order with their payback, and what does not pay."""
        pays, not_yet = [], []
        for step in audit.plan:
            name = said(step.title)
            if step.worth and step.payback_months is not None:
                months = separated(f"{step.payback_months:.1f}")
                pays.append(tr("{name} ({months} months)").format(name=name, months=months))
            elif step.worth is False and step.worth_from_requests:
                requests = count(step.worth_from_requests)
                told = tr("{name} (from {requests} requests a month)")
                not_yet.append(told.format(name=name, requests=requests))
        lines = []
        if pays:
            lines += self._wrapped(f"{tr('Plan, with payback')}: {'; '.join(pays)}.", "", 2)
        if not_yet:
            lines += self._wrapped(
                f"{tr('Not worth the effort yet')}: {'; '.join(not_yet)}.", "", 2
            )
        return lines

    def _findings(self, audit: Audit, room: int) -> list[Text]:
        """List the first findings, each with its change on up to two lines, while they fit."""
        lines: list[Text] = []
        for number, finding in enumerate(ranked_findings(audit)[:_FINDINGS], 1):
            worth = "" if finding.saved is None else f"{usd(finding.saved.usd)} {tr('a month')}"
            style = _SEVERITY[severity(finding, audit.ledger.before.usd)]
            title = Text(f"{number}. {one_line(said(finding.title))}", style=style)
            if worth:
                title.truncate(self._width - len(worth) - 2, overflow="ellipsis", pad=True)
                title = Text.assemble(title, "  ", (worth, "bold"))
            left = _FINDINGS - number if len(audit.findings) > number else 0
            most = min(2, room - len(lines) - 1 - 2 * left)
            if room - len(lines) < 2:
                break
            lines.append(title)
            mend = finding.change or finding.detail
            if mend:
                lines += self._wrapped(said(mend), "", max(most, 1), indent="   ")
        return lines

    def _where(self) -> list[Text]:
        if not self._files:
            return []
        folders = {str(PurePath(one_line(path)).parent) for path in self._files}
        if len(folders) > 1:
            return [Text(f"{tr('Files')}: {', '.join(map(one_line, self._files))}")]
        names = ", ".join(PurePath(one_line(path)).name for path in self._files)
        return [Text(f"{tr('Files in')} {folders.pop()}: {names}")]

    def _wrapped(self, sentence: str, style: str, most: int, indent: str = "") -> list[Text]:
        width = self._width - len(indent)
        console = Console(width=width, file=StringIO())
        lines = list(Text(one_line(sentence), style=style).wrap(console, width))
        if len(lines) > most:
            lines = lines[:most]
            lines[-1].append("…")
        for line in lines:
            line.rstrip()
        return [Text.assemble(indent, line) for line in lines]


def _rates(point: SweepPoint, *, by_id: bool = False) -> list[str]:
    """Describe the three rates; answers known only by their ids are the same or they are not."""
    raw, valid = point.raw_hit_share, point.valid_hit_share
    rightly = tr("with the same answer") if by_id else tr("rightly")
    right = "" if valid is None else f", {share(valid.value)} {rightly}"
    told = tr("answers {share} of the questions ({grade})")
    served = told.format(share=share(raw.value), grade=tr(raw.grade)) + right
    unsafe = point.unsafe_served_share
    if unsafe is None:
        return [served, tr("wrong answers: not known, the log has no answers to compare")]
    within = share_range(unsafe)
    spread = f", {tr('95% interval')} {within}" if within else ""
    wrong = tr("other answers") if by_id else tr("wrong answers")
    of_all = tr("of all requests")
    return [served, f"{wrong}: {share(unsafe.value)} {of_all}{spread} ({tr(unsafe.grade)})"]
