"""The audit in at most 25 lines of a terminal."""

from dataclasses import replace
from io import StringIO
from pathlib import PurePath

from rich.console import Console
from rich.text import Text

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Grade
from costaudit.contracts.semantic import SweepPoint
from costaudit.report.charts.waterfall import Bar, waterfall
from costaudit.report.escaping import one_line
from costaudit.report.numbers import share, share_range, similarity, usd
from costaudit.report.summary import ranked_findings, why_none

_LINES = 25
_STEPS = 7  # levers shown; the ledger knows seven
_FINDINGS = 3
_BESIDE = 40  # columns beside a bar's label: amount, grade, and a bar worth seeing
_SEVERITY = {"problem": "bold red", "warning": "yellow", "info": "cyan"}
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
        blocks = [self._verdict(audit), self._waterfall(audit), self._threshold(audit)]
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
        lines = self._wrapped(audit.verdict.headline, "bold", 2 if draft else 3)
        if draft:
            lines += [Text.assemble(("DRAFT ", "bold red"), one_line(draft))]
        return lines

    def _waterfall(self, audit: Audit) -> list[Text]:
        """Draw what is found first, then what rests on assumptions, each with what is left."""
        steps = [step for step in audit.ledger.steps if step.saved.usd != 0]
        firm = [step for step in steps if step.saved.grade != "assumed"]
        assumed = [step for step in steps if step.saved.grade == "assumed"]
        ledger = replace(audit.ledger, steps=(*firm, *assumed)[:_STEPS])
        fall = waterfall(ledger)
        bars = [fall.before, *fall.steps]
        if assumed and firm:
            level = fall.steps[len(firm) - 1]
            after = replace(fall.before, label="After", money=audit.verdict.after)
            end = level.stop if level.kind == "cost" else level.start
            bars.insert(1 + len(firm), replace(after, stop=end))
        last = "After, if the assumptions hold" if assumed else "After"
        bars.append(replace(fall.after, label=last))
        left = min(max(len(one_line(bar.label)) for bar in bars), max(self._width - _BESIDE, 14))
        room = max(self._width - left - 2 - 10 - 2 - 10 - 2, 0)
        return [self._bar(bar, left, room) for bar in bars]

    def _bar(self, bar: Bar, left: int, room: int) -> Text:
        label = Text(one_line(bar.label), style="bold" if bar.kind == "total" else "")
        label.truncate(left, overflow="ellipsis", pad=True)
        start = round(bar.start * room)
        stop = max(round(bar.stop * room), start + (1 if bar.money.usd else 0))
        style = {"total": "blue", "saved": "green", "cost": "red"}[bar.kind]
        signed = -bar.money.usd if bar.kind != "total" else bar.money.usd
        return Text.assemble(
            label, "  ", (f"{usd(signed):>10}", "bold" if bar.kind == "total" else ""), "  ",
            (f"{bar.money.grade:<10}", _GRADE[bar.money.grade]), "  ",
            " " * start, ("█" * (stop - start), style),
        )  # fmt: skip

    def _threshold(self, audit: Audit) -> list[Text]:
        section = audit.semantic
        if section is None:
            return self._wrapped(f"Semantic cache: not judged, {why_none(audit)}.", "", 3)
        chosen = next((point for point in section.points if point.recommended), None)
        if chosen is None or section.recommended is None:
            said = f"Semantic cache: identical text only. {section.recommended_why}"
            by_id = not section.embedder
            exact = section.exact
            rates = _rates(exact, by_id=by_id) if exact and exact.hits else []
            return [*self._wrapped(said, "", 2), *(Text(f"  {line}") for line in rates)]
        title = f"Semantic cache at similarity ≥ {similarity(section.recommended)}"
        step = next((step for step in audit.ledger.steps if step.lever == "semantic"), None)
        head = Text.assemble((title, "bold"), f" ({one_line(section.embedder)})")
        if step:
            head = Text.assemble(head, ", alone worth ", (usd(step.alone.usd), "green"), " a month")
        return [
            head,
            *(Text(f"  {line}") for line in _rates(chosen)),
        ]

    def _findings(self, audit: Audit, room: int) -> list[Text]:
        """List the first findings, each with its change on up to two lines, while they fit."""
        lines: list[Text] = []
        for number, finding in enumerate(ranked_findings(audit)[:_FINDINGS], 1):
            worth = "" if finding.saved is None else f"{usd(finding.saved.usd)} a month"
            title = Text(f"{number}. {one_line(finding.title)}", style=_SEVERITY[finding.severity])
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
                lines += self._wrapped(mend, "", max(most, 1), indent="   ")
        return lines

    def _where(self) -> list[Text]:
        if not self._files:
            return []
        folders = {str(PurePath(one_line(path)).parent) for path in self._files}
        if len(folders) > 1:
            return [Text(f"Files: {', '.join(map(one_line, self._files))}")]
        names = ", ".join(PurePath(one_line(path)).name for path in self._files)
        return [Text(f"Files in {folders.pop()}: {names}")]

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
    """Say the three rates; answers that are known by their ids are the same or they are not."""
    raw, valid = point.raw_hit_share, point.valid_hit_share
    rightly = "with the same answer" if by_id else "rightly"
    right = "" if valid is None else f", {share(valid.value)} {rightly}"
    served = f"answers {share(raw.value)} of the questions ({raw.grade}){right}"
    unsafe = point.unsafe_served_share
    if unsafe is None:
        return [served, "wrong answers: not known, the log has no answers to compare"]
    within = share_range(unsafe)
    spread = f", 95% interval {within}" if within else ""
    wrong = "other answers" if by_id else "wrong answers"
    wrong = f"{wrong}: {share(unsafe.value)} of all requests{spread} ({unsafe.grade})"
    return [served, wrong]
