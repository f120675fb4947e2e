"""The table of reporters: what an audit can be rendered as."""

from typing import Protocol

from costaudit.contracts.audit import Audit
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
