"""The gate as JUnit XML: one test case a rule."""

from xml.etree.ElementTree import Element, SubElement, tostring

from costaudit.contracts.audit import Audit
from costaudit.contracts.gate import GateResult
from costaudit.report.hostile import one_line


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
            measured = one_line(f"{gate.measured}, limit {gate.limit}")
            if gate.status == "passed":
                SubElement(case, "system-out").text = measured
                continue
            tag = "failure" if gate.status == "failed" else "error"
            SubElement(case, tag, message=measured, type=gate.status).text = one_line(gate.detail)
        SubElement(suite, "system-out").text = one_line(audit.verdict.headline)
        whole = Element("testsuites")
        whole.append(suite)
        document: bytes = tostring(whole, encoding="utf-8", xml_declaration=True)
        return document
