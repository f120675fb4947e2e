"""Which findings a reader with little time should see first."""

from decimal import Decimal

from costaudit.contracts.audit import Audit, Finding

_SEVERITY = {"problem": 0, "warning": 1, "info": 2}


def ranked_findings(audit: Audit) -> list[Finding]:
    """Order findings by money, then severity, then code."""

    def key(finding: Finding) -> tuple[Decimal, int, str]:
        saved = finding.saved.usd if finding.saved else Decimal(0)
        return (-saved, _SEVERITY[finding.severity], finding.code)

    return sorted(audit.findings, key=key)
