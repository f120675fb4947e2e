"""Gate results for report tests, passed and failed."""

from costaudit.contracts.audit import GateResult

GATES = (
    GateResult("max_unsafe_served", "failed", "0.5%", "0.60%, upper bound", "Raise the threshold."),
    GateResult("max_unpriced_share", "passed", "1%", "0.20%", ""),
    GateResult("max_cost_regression", "insufficient", "5%", "4 days", "Compare whole weeks."),
)
