"""The order of findings."""

from dataclasses import replace

from costaudit.report.summary import ranked_findings
from tests.report.sample_audit import AUDIT


def test_money_first_then_severity_then_code() -> None:
    codes = [finding.code for finding in ranked_findings(AUDIT)]
    assert codes == [
        "prefix-timestamp", "semantic-recommended", "retries", "skipped-rows", "unpriced",
    ]  # fmt: skip
    backwards = replace(AUDIT, findings=AUDIT.findings[::-1])
    assert [finding.code for finding in ranked_findings(backwards)] == codes
