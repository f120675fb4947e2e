"""Links from levers and findings to sections."""

from costaudit.report.page import SECTIONS, anchor
from tests.report.sample_audit import AUDIT


def test_every_section_and_lever_leads_to_a_section() -> None:
    names = [name for name, _ in SECTIONS]
    assert [anchor(name) for name in names] == names
    assert all(anchor(step.lever) in names for step in AUDIT.ledger.steps)
    assert anchor("prompt_caching") == "prefix"


def test_a_text_from_a_log_leads_nowhere() -> None:
    assert anchor("javascript:alert(1)") == anchor("") == anchor('"><b>') == ""
