"""Budgets are compared with the bound of an interval."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from costaudit.contracts.audit import Audit, GateResult, Limit, SpendChange
from costaudit.contracts.grades import Estimate
from costaudit.costing.gate import RULES, evaluate
from tests.report.sample_audit import AUDIT, NO_PROMPTS

# The sample: 0.43 % unsafe (0.30 to 0.60), $9,850 saved (8,860 to 10,840), 36.36 % read.


def found(
    rule: str, value: str, audit: Audit = AUDIT, change: SpendChange | None = None
) -> GateResult:
    (only,) = evaluate(audit, {rule: Limit(value, Decimal(value))}, change)
    return only


def told(**changes: Any) -> Audit:
    return replace(AUDIT, **changes)


def change(new: str, noise: str | None, base: str = "1000") -> SpendChange:
    return SpendChange(Decimal(base), Decimal(new), None if noise is None else Decimal(noise))


@pytest.mark.parametrize(
    ("rule", "limit", "status"),
    [
        ("max_unsafe_served", "0.0061", "passed"),
        ("max_unsafe_served", "0.005", "failed"),  # 0.43 % is below it, 0.60 % is not
        ("max_exposed_served", "0.0008", "passed"),
        ("max_exposed_served", "0.0007", "failed"),  # 0.07 % is within it, 0.08 % is not
        ("min_saving_usd_month", "8860", "passed"),
        ("min_saving_usd_month", "9000", "failed"),  # 9,850 is above it, 8,860 is not
        ("min_prefix_read_share", "0.36", "passed"),
        ("min_prefix_read_share", "0.37", "failed"),
        ("max_unpriced_share", "0.002", "passed"),
        ("max_unpriced_share", "0.001", "insufficient"),
        ("min_prompt_coverage", "0.5", "passed"),
        ("min_prompt_coverage", "1", "insufficient"),
        ("max_cost_regression", "0.05", "insufficient"),  # no baseline
    ],
)
def test_bounds_are_tested(rule: str, limit: str, status: str) -> None:
    result = found(rule, limit)
    assert (result.rule, result.status, result.limit) == (rule, status, limit)
    assert bool(result.detail) == (status != "passed")


@pytest.mark.parametrize(
    ("against", "status", "measured"),
    [
        (change("1050", "10"), "passed", "+5.0% to $1,050.00 a month, noise ±1.0%"),
        (change("1051", "10"), "failed", "+5.1% to $1,051.00 a month, noise ±1.0%"),
        (change("1051", "51"), "passed", "+5.1% to $1,051.00 a month, noise ±5.1%"),
        (change("1051", None), "failed", "+5.1% to $1,051.00 a month"),
        (change("10", "1"), "passed", "-99.0% to $10.00 a month, noise ±0.1%"),
        (change("10", "1", base="0"), "insufficient", "not known"),
    ],
)
def test_growth_counts_where_it_is_more_than_noise(
    against: SpendChange, status: str, measured: str
) -> None:
    result = found("max_cost_regression", "0.05", change=against)
    assert (result.status, result.measured) == (status, measured)


def test_growth_within_noise_is_called_that() -> None:
    result = found("max_cost_regression", "0.05", change=change("1051", "51"))
    assert result.detail == "The difference is within the noise between days."


@pytest.mark.parametrize("rule", ["max_unsafe_served", "min_prefix_read_share"])
def test_what_the_log_can_not_tell_is_not_passed(rule: str) -> None:
    assert found(rule, "0.5", NO_PROMPTS).status == "insufficient"


def test_without_a_threshold_exact_matching_is_tested() -> None:
    assert AUDIT.semantic is not None
    points = tuple(replace(point, recommended=False) for point in AUDIT.semantic.points)
    exact = replace(points[0], unsafe_served_share=Estimate(0.0, "estimated", 0.0, 0.001))
    section = replace(AUDIT.semantic, points=points, recommended=None, exact=exact)
    assert found("max_unsafe_served", "0.001", told(semantic=section)).status == "passed"
    assert found("max_unsafe_served", "0.0009", told(semantic=section)).status == "failed"
    bare = replace(section, exact=None)
    assert found("max_unsafe_served", "0.5", told(semantic=bare)).status == "insufficient"


def test_an_exact_number_is_its_own_bound() -> None:
    verdict = replace(AUDIT.verdict, saving=replace(AUDIT.verdict.saving, low_usd=None))
    result = found("min_saving_usd_month", "9850", told(verdict=verdict))
    assert (result.status, result.measured) == ("passed", "$9,850.00 a month")


def test_rules_come_in_their_order_and_only_those_that_are_given() -> None:
    limits = {rule: Limit("0", Decimal(0)) for rule in reversed(RULES)}
    assert tuple(one.rule for one in evaluate(AUDIT, limits)) == RULES
    assert evaluate(AUDIT, {}) == ()


def test_a_cache_can_not_be_cleared_of_exposure_without_users() -> None:
    assert AUDIT.semantic is not None
    rows = tuple(replace(row, personal_share=None) for row in AUDIT.semantic.security)
    for security in (rows, ()):
        unknown = told(semantic=replace(AUDIT.semantic, security=security))
        assert found("max_exposed_served", "1", unknown).status == "insufficient"


def test_exposure_of_exact_matching_is_tested_where_it_is_chosen() -> None:
    section = AUDIT.semantic
    assert section is not None
    one = replace(section.points[0], min_similarity=1.01)
    points = tuple(replace(point, recommended=False) for point in section.points)
    exact = replace(
        section.security[0],
        min_similarity=1.01,
        personal_share=Estimate(0.0, "estimated", 0.0, 0.00001),
    )
    chosen = replace(
        section, points=points, exact=one, recommended=None, security=(*section.security, exact)
    )
    assert found("max_exposed_served", "0.0001", told(semantic=chosen)).status == "passed"
    assert found("max_exposed_served", "0.000001", told(semantic=chosen)).status == "failed"
