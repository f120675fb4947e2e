"""Each cause of lost cache reads is reported once, with its cost, place and fix."""

from dataclasses import replace
from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from costaudit.contracts.audit import Finding
from costaudit.contracts.grades import Estimate, Grade
from costaudit.contracts.prefix import (
    BREAKER_NAMES,
    Breaker,
    BreakerKind,
    ExplicitCache,
    PrefixSection,
    TemplateRow,
    breaker_name,
)
from costaudit.costing.prefix_findings import prefix_findings
from costaudit.simulate.prefix.breakers.breakers import MENDS, PROVIDER_SIDE
from tests.costing.nouns import NOTHING, money


def breaker(
    kind: BreakerKind,
    usd: str,
    where: str = "system, block 5, character 87 of 8,728",
    **changes: bool,
) -> Breaker:
    return Breaker(kind, where, "", 9, 900, money(usd), "Move it.",
                   changes.get("provider_side", False))  # fmt: skip


def template(endpoint: str, *breakers: Breaker, number: int = 0) -> TemplateRow:
    return TemplateRow(
        f"t{number}", endpoint, "openai", "gpt-4o", 9, 9, 0.5, None, 0.1, 0.6, "", "", money("1"),
        (), breakers,
    )  # fmt: skip


PREFIX = PrefixSection(
    Estimate(0.5, "simulated"), None, NOTHING, NOTHING, money("1"), (), (), (), (),
)  # fmt: skip


def found(*templates: TemplateRow) -> list[Finding]:
    return list(prefix_findings(replace(PREFIX, templates=templates)))


def test_one_timestamp_in_many_templates_is_one_finding() -> None:
    said = found(
        template("/v1/orders", breaker("timestamp", "2"), number=1),
        template("/v1/orders", breaker("timestamp", "5", "system, block 5, character 87 of 8,724")),
        template("/v1/orders", breaker("timestamp", "1", "system, block 5, character 90 of 8,724")),
        template("/v1/chat", breaker("timestamp", "4")),
    )
    assert [(one.title, one.saved) for one in said] == [
        ("Timestamp in the system prompt: /v1/orders", money("8")),  # 2 + 5 + 1
        ("Timestamp in the system prompt: /v1/chat", money("4")),
    ]
    assert said[0].change == ("Move it. It is at block 5, character 87, and in 1 other place.")
    assert "27 requests pay 2,700 tokens" in said[0].detail  # three templates, 9 and 900 each


def test_a_rule_that_is_missed_everywhere_is_one_finding_that_names_where() -> None:
    where = "requests after a pause longer than the entry lives"
    (only,) = found(
        template("/v1/chat", breaker("ttl_gap", "2", where)),
        template("/v1/mail", breaker("ttl_gap", "3", where)),
    )
    assert only.title == "Pauses longer than the cache lives: 2 endpoints"
    assert "(/v1/mail, /v1/chat)" in only.detail
    assert only.saved == money("5")
    assert only.change == "Move it."


def test_numbers_in_paths_are_one_endpoint() -> None:
    (only,) = found(
        template("/v1/users/17/chat", breaker("date", "2")),
        template("/v1/users/4711/chat", breaker("date", "3")),
    )
    assert only.title == "Date in the system prompt: /v1/users/*/chat"


def test_what_nobody_here_can_mend_is_no_to_do() -> None:
    said = found(
        template(
            "/v1/chat",
            breaker("lifetime", "12", "pauses", provider_side=True),
            breaker("provider", "3.191", "entries", provider_side=True),
        )
    )
    assert [(one.code, one.severity, one.saved, one.change) for one in said] == [
        ("prefix-provider-side", "info", None, "")
    ]
    assert said[0].detail == (
        "$15.19 a month, in no saving of this audit: pauses longer than any cache lives: $12.00; "
        "entries evicted early or routed elsewhere: $3.19."
    )


def test_the_dearest_five_causes_and_none_below_a_hundredth() -> None:
    kinds: tuple[BreakerKind, ...] = ("uuid", "date", "text", "image", "counter", "user")
    said = found(template("/v1/chat", *(breaker(kind, str(6 - n)) for n, kind in enumerate(kinds))))
    assert [one.code for one in said] == [f"prefix-{kind}" for kind in kinds[:5]]
    two = found(template("/v1/chat", breaker("uuid", "99.5"), breaker("date", "0.5")))
    assert [one.code for one in two] == ["prefix-uuid"]  # 0.5 of 100 is below 1 %


def test_what_the_bill_contradicts_is_said_once_and_not_claimed() -> None:
    there = template("/v1/chat")
    assert found(there, replace(there, claim="estimated")) == []
    (only,) = found(there, replace(there, claim="none"))
    assert (only.code, only.saved) == ("prefix-not-claimed", None)
    assert "50% of the input" in only.title


def test_the_weakest_grade_counts() -> None:
    parts = [Breaker("date", "system", "", 1, 1, money("1", grade), "M.", False)
             for grade in get_args(Grade)]  # fmt: skip
    (only,) = found(template("/v1/chat", *parts))
    assert only.saved is not None
    assert (only.saved.usd, only.saved.grade) == (Decimal(5), "assumed")


def test_every_cause_that_is_found_has_a_name() -> None:
    assert set(BREAKER_NAMES) == set(MENDS) >= PROVIDER_SIDE
    assert all(breaker_name(kind) for kind in get_args(BreakerKind))


def test_a_kind_that_there_is_not_is_refused() -> None:
    written = msgspec.to_builtins(Breaker("date", "system", "", 1, 1, money("1"), "M.", False))
    assert msgspec.convert(written, Breaker, strict=False).kind == "date"
    with pytest.raises(msgspec.ValidationError, match="a_new_one"):
        msgspec.convert(written | {"kind": "a_new_one"}, Breaker, strict=False)


def explicit(endpoint: str, usd: str, number: int = 0) -> ExplicitCache:
    return ExplicitCache(
        f"t{number}", endpoint, "gpt-4o", 20, "1h", 2, 9_000, 1.0, Decimal(1), Decimal(9),
        Decimal(2), money(usd),
    )  # fmt: skip


@pytest.mark.parametrize("span", ["a month", "in this log"])
def test_explicit_caches_that_save_more_than_the_plan_are_named_beside_the_total(span: str) -> None:
    """The plans save $1 each: of caches that save 35.5, 1 and -2 dollars, the first is better."""
    rows = [template(f"/v1/{name}", number=n) for n, name in enumerate(("mail", "chat", "faq"))]
    caches = tuple(
        explicit(row.endpoint, usd, n)
        for n, (row, usd) in enumerate(zip(rows, ("35.5", "1", "-2"), strict=True))
    )
    section = replace(PREFIX, templates=tuple(rows), explicit_caches=caches)
    (only,) = prefix_findings(section, None, span)
    assert (only.code, only.severity) == ("prefix-explicit-cache", "info")
    assert (only.saved, only.alone) == (None, None)  # in no total
    assert only.title == f"Explicit caches would save $35.50 {span}, net of storage: /v1/mail"
    assert only.detail.startswith("20 requests would read 9,000 tokens")
    assert f"which saves $1.00 {span}; it is not part of the total" in only.detail
    worse = replace(section, explicit_caches=caches[1:])
    assert list(prefix_findings(worse, None, span)) == []


def test_caches_of_two_endpoints_are_one_finding() -> None:
    caches = (explicit("/v1/mail", "3", 1), explicit("/v1/users/17/chat", "2", 2))
    (only,) = prefix_findings(replace(PREFIX, explicit_caches=caches))
    assert only.title == "Explicit caches would save $5.00 a month, net of storage: 2 endpoints"


def test_each_template_s_part_of_the_ledger_goes_to_its_own_causes() -> None:
    """The template that saves nothing keeps nothing; prompts below the minimum take no part."""
    short = breaker("below_minimum", "4", "shared prefixes below the model's minimum")
    rows = (
        replace(template("/a", breaker("timestamp", "6"), short), saving_month=money("9")),
        replace(template("/b", breaker("date", "5"), short, number=1), saving_month=money("3")),
        replace(template("/c", breaker("uuid", "2"), number=2), saving_month=money("0")),
    )
    said = prefix_findings(replace(PREFIX, templates=rows), money("6"))
    # Half of the templates' $12 is left: $4.50 of the timestamp's $6, $1.50 of the date's $5.
    worth = {one.code: one.saved.usd if one.saved else None for one in said}
    assert worth == {
        "prefix-timestamp": Decimal("4.5"), "prefix-date": Decimal("1.5"),
        "prefix-below_minimum": None, "prefix-uuid": None,
    }  # fmt: skip
