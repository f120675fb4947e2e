"""Test budgets against an audit: against the bound of an interval, not its middle."""

from collections.abc import Mapping
from decimal import Decimal

from costaudit.contracts.audit import Audit, GateResult, GateStatus, Limit, SpendChange
from costaudit.contracts.grades import Estimate

_Found = tuple[GateStatus, str, str]  # status, measured, detail


def evaluate(
    audit: Audit, limits: Mapping[str, Limit], change: SpendChange | None = None
) -> tuple[GateResult, ...]:
    """Return the result of each budget in `limits`, in the order of RULES."""
    results = []
    for rule in RULES:
        if rule in limits:
            status, measured, detail = _found(rule, audit, limits[rule].value, change)
            results.append(GateResult(rule, status, limits[rule].written, measured, detail))
    return tuple(results)


RULES = (
    "max_unsafe_served",
    "max_exposed_served",
    "min_saving_usd_month",
    "max_cost_regression",
    "min_prefix_read_share",
    "max_unpriced_share",
    "min_prompt_coverage",
)


def _found(rule: str, audit: Audit, limit: Decimal, change: SpendChange | None) -> _Found:
    if not audit.quality.statuses.get("ok"):
        return (
            "insufficient",
            "not known",
            "No request of the log succeeded. Take a log that holds answers.",
        )
    if rule == "max_cost_regression":
        return _cost_regression(limit, change)
    tests = {
        "max_unsafe_served": _unsafe_served,
        "max_exposed_served": _exposed_served,
        "min_saving_usd_month": _saving,
        "min_prefix_read_share": _prefix_read,
        "max_unpriced_share": _unpriced,
        "min_prompt_coverage": _coverage,
    }
    return tests[rule](audit, limit)


def _unsafe_served(audit: Audit, limit: Decimal) -> _Found:
    section = audit.semantic
    point = section.chosen if section else None
    estimate = point.unsafe_served_share if point else None
    if estimate is None:
        return (
            "insufficient",
            "not known",
            "The log holds no answers to compare. Export it with the answers.",
        )
    if _surely_within(estimate, limit):
        return "passed", _interval(estimate), ""
    if section and not section.embedder:
        return (
            "insufficient",
            _interval(estimate),
            "Without texts, every answer that differs counts as wrong. Read the log with its "
            "texts.",
        )
    return (
        "failed",
        _interval(estimate),
        "At the chosen threshold, wrong answers may exceed the budget. Analyze with a lower "
        "--max-wrong, or with guards.",
    )


def _exposed_served(audit: Audit, limit: Decimal) -> _Found:
    section = audit.semantic
    chosen = section.chosen if section else None
    rows = section.security if section else ()
    row = next(
        (row for row in rows if chosen and row.min_similarity == chosen.min_similarity), None
    )
    estimate = row.personal_share if row else None
    if estimate is None:
        return (
            "insufficient",
            "not known",
            "The log names no users, or holds no answers. Export it with both.",
        )
    if _surely_within(estimate, limit):
        return "passed", _interval(estimate), ""
    return (
        "failed",
        _interval(estimate),
        "The cache may show data of one user to another. Add user to --scope.",
    )


def _saving(audit: Audit, limit: Decimal) -> _Found:
    saving = audit.verdict.saving
    if not audit.month.is_month:
        return "insufficient", "not known", " ".join(audit.month.reasons)
    lower = saving.usd if saving.low_usd is None else saving.low_usd
    measured = f"${lower:,.2f} a month"
    if saving.low_usd is not None:
        measured = f"${saving.usd:,.2f} a month, at least {measured}"
    if lower >= limit:
        return "passed", measured, ""
    return "failed", measured, "What can be saved may be less than the budget asks for."


def _cost_regression(limit: Decimal, change: SpendChange | None) -> _Found:
    if change is not None and change.why_not:
        return "insufficient", "not known", change.why_not
    if change is None or not change.base_usd:
        why = "No baseline was given." if change is None else "The baseline cost nothing."
        return "insufficient", "not known", f"{why} Name one that did with --baseline."
    difference = change.new_usd - change.base_usd
    noise = change.noise_usd
    measured = f"{difference / change.base_usd:+.1%} to ${change.new_usd:,.2f} {change.period}"
    if noise is not None:
        measured += f", noise ±{noise / change.base_usd:.1%}"
    if difference <= limit * change.base_usd:
        return "passed", measured, ""
    if noise is not None and difference <= noise:
        return "passed", measured, "The difference is within the noise between days."
    return (
        "failed",
        measured,
        "Spend grew by more than the budget. costaudit compare names what moved.",
    )


def _prefix_read(audit: Audit, limit: Decimal) -> _Found:
    estimate = audit.prefix.billed_read_share if audit.prefix else None
    if estimate is None:
        return (
            "insufficient",
            "not known",
            "The log holds no counts of cache reads. Log the usage block of every response.",
        )
    lower = estimate.value if estimate.low is None else estimate.low
    if _decimal(lower) >= limit:
        return "passed", _interval(estimate), ""
    return (
        "failed",
        _interval(estimate),
        "Too little input is read from the provider's cache. costaudit prefix names what "
        "breaks it.",
    )


def _unpriced(audit: Audit, limit: Decimal) -> _Found:
    found = audit.spend.unpriced_share
    if _decimal(found) <= limit:
        return "passed", f"{found:.2%}", ""
    names = ", ".join(name or "(no model)" for name in audit.spend.unpriced_models[:5])
    return (
        "insufficient",
        f"{found:.2%}",
        f"Too many tokens have no price ({names}). Give their rates with --prices."
        if names
        else "Too many calls have no token counts. Log the usage block of every response.",
    )


def _coverage(audit: Audit, limit: Decimal) -> _Found:
    found = audit.quality.prompt_share
    if _decimal(found) >= limit:
        return "passed", f"{found:.1%}", ""
    return (
        "insufficient",
        f"{found:.1%}",
        "Too few rows hold their prompt. Export the log with the prompts.",
    )


def _surely_within(estimate: Estimate, limit: Decimal) -> bool:
    """Return whether a share's upper bound is at most the limit."""
    upper = estimate.value if estimate.high is None else estimate.high
    return _decimal(upper) <= limit


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2%}"
    return f"{estimate.value:.2%}, {estimate.low:.2%} to {estimate.high:.2%}"


def _decimal(value: float) -> Decimal:
    """Return a share with its printed digits, so that 0.6 % is within a budget of 0.6 %."""
    return Decimal(str(value))
