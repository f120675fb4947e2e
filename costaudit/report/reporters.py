"""The table of reporters: what an audit can be rendered as, JSON and JUnit included."""

from typing import Protocol
from xml.etree.ElementTree import Element, SubElement, tostring

from costaudit.contracts.audit import Audit, GateResult, encode_audit
from costaudit.contracts.plugins import made, registered
from costaudit.errors import UsageError
from costaudit.report.csv import CsvReporter
from costaudit.report.escaping import one_line
from costaudit.report.first_screen import verdict_line
from costaudit.report.focus import FocusReporter
from costaudit.report.html import HtmlReporter
from costaudit.report.language import said, standing_for, tr
from costaudit.report.markdown import MarkdownReporter
from costaudit.report.terminal import TerminalReporter


class JsonReporter:
    """Write the whole audit for machines."""

    name = "json"
    suffix = ".json"

    def render(self, audit: Audit) -> bytes:
        """Encode the audit, money as decimal strings."""
        return encode_audit(audit)


class JunitReporter:
    """Write what a CI server shows as a test report."""

    name = "junit"
    suffix = ".xml"

    def __init__(self, gates: tuple[GateResult, ...] = ()) -> None:
        self._gates = gates

    def render(self, audit: Audit) -> bytes:
        """Render a failed rule as a failure, one that the log can't judge as an error."""
        count = {
            status: sum(gate.status == status for gate in self._gates)
            for status in ("failed", "insufficient")
        }
        suite = Element(
            "testsuite",
            name="costaudit",
            tests=str(len(self._gates)),
            failures=str(count["failed"]),
            errors=str(count["insufficient"]),
            skipped="0",
        )
        for gate in self._gates:
            case = SubElement(suite, "testcase", classname="costaudit.gate", name=gate.rule)
            measured = one_line(f"{said(gate.measured)}, {tr('limit')} {said(gate.limit)}")
            if gate.status == "passed":
                SubElement(case, "system-out").text = measured
                continue
            tag = "failure" if gate.status == "failed" else "error"
            SubElement(case, tag, message=measured, type=gate.status).text = one_line(
                said(gate.detail)
            )
        SubElement(suite, "system-out").text = one_line(verdict_line(audit))
        whole = Element("testsuites")
        whole.append(suite)
        document: bytes = tostring(whole, encoding="utf-8", xml_declaration=True)
        return document


class Reporter(Protocol):
    """Turn an audit into a document; the same audit always makes the same bytes."""

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
    """Return what an audit can be rendered as, the reporters of installed packages included."""
    return (*REPORTERS, *(name for name in registered("reporters") if name not in REPORTERS))


def reporter_named(name: str) -> Reporter:
    """Return a reporter by its name, also one that a package registers, or as `module:Class`.

    Raises UsageError for a name that is not known.
    """
    if name in REPORTERS:
        return REPORTERS[name]
    own: Reporter | None = made("reporters", name, ("render",))
    if own is None:
        raise UsageError(
            f"--format {name!r} is unknown.",
            hint=f"Choose from {', '.join(reporter_names())}, or name a class: file.py:Class.",
        )
    return own


def render(audit: Audit, reporter: Reporter | str) -> bytes:
    """Render an audit with a reporter, or with the one of this name; its money is for its month."""
    with standing_for(audit.month.period, priced=audit.spend.has_price):
        chosen = reporter_named(reporter) if isinstance(reporter, str) else reporter
        return chosen.render(audit)
