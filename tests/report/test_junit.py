"""The gate as a JUnit test report."""

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

from costaudit.contracts.audit import GateResult
from costaudit.report.reporters import JunitReporter
from tests.report.gates import GATES
from tests.report.hostile_audit import ATTACKS
from tests.report.sample_audit import AUDIT


def test_golden(matches_golden: Callable[[str, bytes], None]) -> None:
    matches_golden("gate.xml", JunitReporter(GATES).render(AUDIT))


def test_one_case_a_rule() -> None:
    suite = ElementTree.fromstring(JunitReporter(GATES).render(AUDIT))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases == {
        "max_unsafe_served": ["failure"],
        "max_unpriced_share": ["system-out"],
        "max_cost_regression": ["error"],
    }


def test_hostile_text_stays_inside_its_element() -> None:
    gates = tuple(GateResult(f"rule{n}", "failed", a, a, a) for n, a in enumerate(ATTACKS))
    audit = replace(AUDIT, verdict=replace(AUDIT.verdict, headline="".join(ATTACKS)))
    suite = ElementTree.fromstring(JunitReporter(gates).render(audit))[0]
    assert len(list(suite.iter("failure"))) == len(ATTACKS)
