"""The table of reporters: what an audit can be rendered as."""

from typing import Protocol

from costaudit.contracts.audit import Audit
from costaudit.contracts.gate import GateResult
from costaudit.report.csv import CsvReporter
from costaudit.report.focus import FocusReporter
from costaudit.report.html import HtmlReporter
from costaudit.report.json import JsonReporter
from costaudit.report.junit import JunitReporter
from costaudit.report.markdown import MarkdownReporter
from costaudit.report.terminal import TerminalReporter


class Reporter(Protocol):
    """Turn an audit into a document; the same audit gives the same bytes."""

    name: str  # as on the command line
    suffix: str  # of the file it makes

    def render(self, audit: Audit) -> bytes:
        """Render the document whole."""


REPORTERS: dict[str, Reporter] = {
    reporter.name: reporter
    for reporter in (
        TerminalReporter(),
        HtmlReporter(),
        MarkdownReporter(),
        JsonReporter(),
        CsvReporter(),
        FocusReporter(),
        JunitReporter(),
    )
}


def reporter_names() -> tuple[str, ...]:
    """List what an audit can be rendered as."""
    return tuple(REPORTERS)


def render(
    audit: Audit,
    name: str,
    *,
    color: bool = False,
    width: int = 80,
    files: tuple[str, ...] = (),
    gates: tuple[GateResult, ...] = (),
    baseline: Audit | None = None,
) -> bytes:
    """Render an audit by a reporter's name, with what the terminal and the gate know beside it."""
    settled: dict[str, Reporter] = {
        "terminal": TerminalReporter(width=width, color=color, files=files),
        "md": MarkdownReporter(gates=gates, baseline=baseline),
        "junit": JunitReporter(gates),
    }
    return settled.get(name, REPORTERS[name]).render(audit)
