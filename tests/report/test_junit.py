"""The gate as a JUnit test report."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from xml.etree import ElementTree

from costaudit.contracts.audit import GateResult
from costaudit.report.language import Style, using
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


def test_amounts_are_in_the_currency_in_use() -> None:
    gate = GateResult("min_saving_usd_month", "failed", "$20.00", "$10.00 a month", "$10.00 short.")
    with using(Style("en", "EUR", Decimal("0.5"))):
        suite = ElementTree.fromstring(JunitReporter((gate,)).render(AUDIT))[0]
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "€5.00 a month, limit €10.00"
    assert failure.text == "€5.00 short."
    assert "$" not in "".join(suite.itertext())


def test_hostile_text_stays_inside_its_element() -> None:
    gates = tuple(GateResult(f"rule{n}", "failed", a, a, a) for n, a in enumerate(ATTACKS))
    audit = replace(AUDIT, verdict=replace(AUDIT.verdict, headline="".join(ATTACKS)))
    suite = ElementTree.fromstring(JunitReporter(gates).render(audit))[0]
    assert len(list(suite.iter("failure"))) == len(ATTACKS)
