"""The JSON is the audit, byte for byte."""

from costaudit.contracts.audit import encode_audit, read_audit
from costaudit.report.reporters import JsonReporter
from tests.report.sample_audit import AUDIT


def test_it_is_audit_json(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rendered = JsonReporter().render(AUDIT)
    assert rendered == encode_audit(AUDIT)
    path = tmp_path / "audit.json"
    path.write_bytes(rendered)
    assert read_audit(path) == AUDIT


def test_money_is_written_as_decimal_strings() -> None:
    assert b'"usd": "41200.20"' in JsonReporter().render(AUDIT)
