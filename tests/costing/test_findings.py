"""Each problem of a log is reported once, with its fix."""

from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest

from costaudit.contracts.audit import DataQuality, Finding
from costaudit.contracts.grades import Estimate
from costaudit.contracts.ledger import Ledger, Lever
from costaudit.contracts.prefix import PrefixSection
from costaudit.contracts.semantic import Lack, SemanticSection, SweepPoint
from costaudit.contracts.spend import ModelPrice, Spend
from costaudit.costing.findings import Evidence, findings
from tests.costing.nouns import MONTH, ledger, money, quality, spent, step

CLEAN = ledger("100")


def codes(
    quality_: DataQuality | None = None,
    spend: Spend | None = None,
    book: Ledger = CLEAN,
    semantic: SemanticSection | None = None,
    prefix: PrefixSection | None = None,
) -> list[str]:
    return [one.code for one in found(quality_, spend, book, semantic, prefix)]


def found(
    quality_: DataQuality | None = None,
    spend: Spend | None = None,
    book: Ledger = CLEAN,
    semantic: SemanticSection | None = None,
    prefix: PrefixSection | None = None,
) -> tuple[Finding, ...]:
    evidence = Evidence(quality_ or quality(), spend or spent("100"), book, semantic, prefix, MONTH)
    return findings(evidence)


def test_a_good_log_needs_no_word() -> None:
    assert found() == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"skipped": 3, "skip_reasons": {"bad-json": 3}}, "rows-skipped"),
        ({"uncounted": 1}, "usage-missing"),
        ({"usage": {"provider": 9, "estimated": 1}}, "usage-estimated"),
        ({"conventions": {"openai": 9, "litellm, counted as exclusive": 1}}, "convention-mismatch"),
        ({"kept": 999}, "small-sample"),
        ({"covered_days": 6.9}, "small-sample"),
    ],
)
def test_what_ails_the_log_is_said(changes: dict[str, object], code: str) -> None:
    assert codes(quality(**changes)) == [code]


def price(ratio: float | None) -> ModelPrice:
    zero = Decimal(0)
    return ModelPrice(
        "openai", "gpt-4o", "gpt-4o", "standard", "", "", zero, zero, zero, zero, zero, 5, "",
        ratio, "logged cost is 100 x the price table: probably logged in cents",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"unpriced_requests": 5, "unpriced_share": 0.02}, "unpriced", "problem"),
        ({"unpriced_requests": 5, "unpriced_share": 0.001}, "unpriced", "warning"),
        ({"gateway_hits": 7}, "gateway-cache", "info"),
        ({"prices": (price(100.0),)}, "cost-mismatch", "warning"),
        ({"invoice_usd": Decimal(102), "invoice_gap_share": 0.02}, "invoice-agrees", "info"),
        ({"invoice_usd": Decimal(125), "invoice_gap_share": 0.2}, "invoice-gap", "problem"),
    ],
)
def test_what_ails_the_money_is_said(changes: dict[str, object], code: str, severity: str) -> None:
    (only,) = found(spend=spent("100", **changes))
    assert (only.code, only.severity) == (code, severity)


@pytest.mark.parametrize(
    ("bill", "gap", "title"),
    [
        (125, 0.2, "The log is 20.0% below the invoice."),
        (50, -1.0, "The log is 100.0% above the invoice."),
    ],
)
def test_a_gap_says_which_of_both_is_more(bill: int, gap: float, title: str) -> None:
    changes = {"invoice_usd": Decimal(bill), "invoice_gap_share": gap}
    (only,) = found(spend=spent("100", **changes))
    assert only.title == title


@pytest.mark.parametrize("ratio", [None, 0.85, 1.0, 1.2])
def test_a_plausible_cost_needs_no_word(ratio: float | None) -> None:
    assert codes(spend=spent("100", prices=(price(ratio),))) == []


def test_a_lever_with_evidence_is_an_action_of_what_the_ledger_leaves_for_it() -> None:
    proposed = [
        Lever(name, "Tools", "levers", "Rule.", "Take them out.", "estimated", pl.DataFrame())
        for name in ("tools", "batch")
    ]
    batch = replace(step("batch", "9"), saved=money("9", "assumed"))
    book = ledger("100", replace(step("tools", "4", note="12 requests."), label="Unused"), batch)
    found = findings(Evidence(quality(), spent("100"), book, None, None, MONTH), proposed)
    (told,) = [one for one in found if one.code in ("tools", "batch")]
    assert (told.title, told.change, told.saved) == ("Unused.", "Take them out.", money("4"))


def test_a_lever_that_costs_and_waste_that_pays_are_said() -> None:
    costly = step("semantic", "-2", running_cost=money("9"), worth_from_requests=50_000)
    book = ledger("100", step("waste", "4", note="12 requests."), left_out=(costly,))
    assert codes(book=book) == ["wasted-tokens", "semantic-costs"]
    assert found(book=book)[1].detail == (
        "After the steps before it, it costs $2.00 a month more than it saves; running it costs "
        "$9.00 a month. It pays "
        "from 50,000 requests a month."
    )


def point(similarity: float, unsafe: Estimate | None) -> SweepPoint:
    share = Estimate(0.5, "simulated")
    return SweepPoint(similarity, 1, 1, share, share, None, None, unsafe, Decimal(1), money("1"), 1)


def semantic(unsafe: Estimate | None, recommended: float | None) -> SemanticSection:
    return SemanticSection(
        "p", "minilm", "r", 384, 1, {}, 1, 0, 0, 0.01, (point(0.79, unsafe),), recommended, "Why."
    )


@pytest.mark.parametrize(
    ("lacks", "advice", "others"),
    [
        ("texts", "--redact mask", ("--budget", "--scope")),
        ("time", "--budget", ("--redact", "--scope")),
        ("room", "--scope", ("--redact", "--budget")),
    ],
)
@pytest.mark.parametrize("why", ["Vectors take 9 min.", "One scope is large.", "--redact", "Por."])
def test_what_similar_questions_lack_has_its_advice_whatever_the_sentence(
    lacks: Lack, advice: str, others: tuple[str, ...], why: str
) -> None:
    exact = replace(semantic(None, None), embedder="", points=(), recommended_why=why, lacks=lacks)
    (only,) = found(semantic=exact)
    assert (only.code, only.detail) == ("no-texts", why)
    assert advice in only.change and not any(other in only.change for other in others)


@pytest.mark.parametrize(
    ("unsafe", "recommended", "expected"),
    [
        (Estimate(0.002, "estimated", 0.001, 0.009), 0.9, []),
        (Estimate(0.002, "estimated", 0.001, 0.011), 0.9, ["unsafe-threshold"]),
        (None, 0.9, []),
        (None, None, ["no-safe-threshold"]),
    ],
)
def test_the_articles_threshold_is_held_against_the_bound(
    unsafe: Estimate | None, recommended: float | None, expected: list[str]
) -> None:
    assert codes(semantic=semantic(unsafe, recommended)) == expected


def test_problems_come_before_money() -> None:
    book = ledger("100", step("waste", "50"))
    spend = spent("100", unpriced_requests=1, unpriced_share=0.5, gateway_hits=1)
    assert codes(spend=spend, book=book) == ["unpriced", "wasted-tokens", "gateway-cache"]
