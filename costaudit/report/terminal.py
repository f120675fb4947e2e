"""The audit in at most 25 lines of a terminal."""

from io import StringIO

from rich.console import Console
from rich.text import Text

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Grade
from costaudit.contracts.semantic import SweepPoint
from costaudit.report.hostile import one_line
from costaudit.report.numbers import share, share_range, similarity, usd
from costaudit.report.ranking import ranked_findings
from costaudit.report.waterfall import Bar, waterfall

_STEPS = 7  # levers shown; the ledger knows seven
_FINDINGS = 3
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
        blocks = [
            self._verdict(audit),
            self._waterfall(audit),
            self._threshold(audit),
            self._findings(audit),
            self._where(),
        ]
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
        fall = waterfall(audit.ledger)
        moving = [bar for bar in fall.steps if bar.money.usd != 0][:_STEPS]
        bars = [fall.before, *moving, fall.after]
        left = min(max(len(one_line(bar.label)) for bar in bars), 26)
        room = self._width - left - 2 - 10 - 2 - 10 - 2
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
            why = "request that a cache could answer" if audit.quality.prompt_share else "prompts"
            return [Text(f"Semantic cache: not judged, the log has no {why}.")]
        chosen = next((point for point in section.points if point.recommended), None)
        if chosen is None or section.recommended is None:
            return self._wrapped(
                f"Semantic cache: identical text only. {section.recommended_why}", "", 2
            )
        title = f"Semantic cache at similarity ≥ {similarity(section.recommended)}"
        return [
            Text.assemble(
                (title, "bold"), f" ({one_line(section.embedder)}), net ",
                (usd(chosen.net_saved.usd), "green"), " a month",
            ),
            Text("  " + _rates(chosen)),
        ]  # fmt: skip

    def _findings(self, audit: Audit) -> list[Text]:
        lines = []
        for number, finding in enumerate(ranked_findings(audit)[:_FINDINGS], 1):
            worth = "" if finding.saved is None else f"{usd(finding.saved.usd)} a month"
            title = Text(f"{number}. {one_line(finding.title)}", style=_SEVERITY[finding.severity])
            title.truncate(self._width - len(worth) - 2, overflow="ellipsis", pad=True)
            lines.append(Text.assemble(title, "  ", (worth, "bold")) if worth else title)
            mend = one_line(finding.change or finding.detail)
            if mend:
                lines.append(Text(f"   {mend}"))
        return lines

    def _where(self) -> list[Text]:
        return [Text(f"Files: {', '.join(map(one_line, self._files))}")] if self._files else []

    def _wrapped(self, sentence: str, style: str, most: int) -> list[Text]:
        console = Console(width=self._width, file=StringIO())
        lines = list(Text(one_line(sentence), style=style).wrap(console, self._width))
        if len(lines) > most:
            lines = lines[:most]
            lines[-1].append("…")
        return lines


def _rates(point: SweepPoint) -> str:
    raw = point.raw_hit_share
    rates = [f"raw hits {share(raw.value)} ({raw.grade})"]
    if point.valid_hit_share is not None:
        rates.append(f"valid {share(point.valid_hit_share.value)}")
    unsafe = point.unsafe_served_share
    if unsafe is None:
        return ", ".join([*rates, "unsafe unknown: the log has no answers"])
    within = share_range(unsafe)
    served = f"unsafe {share(unsafe.value)}" + (f", {within}" if within else "")
    return ", ".join([*rates, f"{served} ({unsafe.grade})"])
