"""A cost in another currency is not read as dollars, whichever source logs it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costaudit.costing.logged import logged_usd
from costaudit.ingest.calls.call import Call
from costaudit.ingest.calls.money import log_cost
from tests.ingest.conftest import Ingest, chat, write_lines
from tests.ingest.variants import FORMATS, records_of

WITH_COSTS = (
    "langfuse.jsonl", "langsmith.jsonl", "helicone.json", "litellm.jsonl", "litellm_spend.csv",
    "portkey.jsonl", "cloudflare.json", "openrouter.jsonl", "posthog.jsonl", "braintrust.jsonl",
    "opencode.jsonl", "opik.jsonl", "perplexity.jsonl",
)  # fmt: skip


def in_euros(value: Any) -> Any:
    """Return the value with a currency set in every object that has a cost."""
    if isinstance(value, list):
        return [in_euros(one) for one in value]
    if not isinstance(value, dict):
        return value
    inner = {name: in_euros(one) for name, one in value.items()}
    has_cost = any(word in name.lower() for name in value for word in ("cost", "spend"))
    if has_cost:
        inner = {k: v for k, v in inner.items() if k != "cost_currency"} | {"currency": "EUR"}
    return inner


@pytest.mark.parametrize("name", WITH_COSTS)
def test_a_currency_beside_the_cost_is_read_by_every_source(
    name: str, ingested: Ingest, tmp_path: Path
) -> None:
    records = in_euros(records_of(FORMATS / name))
    rows = ingested(write_lines(tmp_path / "log.jsonl", records))[0].requests()
    costs = rows.filter(rows["logged_cost"].is_not_null())
    assert len(costs)
    assert set(costs["cost_unit"]) == {"eur"}
    assert logged_usd(costs).null_count() == len(costs)


def test_a_usage_object_may_name_the_currency_of_its_cost(ingested: Ingest, tmp_path: Path) -> None:
    record = chat(1)
    record["response"]["usage"] |= {"cost": 0.01, "currency": "EUR"}
    span = {
        "name": "chat gpt-4o",
        "traceId": "a", "spanId": "b",
        "startTimeUnixNano": "1793612400000000000", "endTimeUnixNano": "1793612401000000000",
        "attributes": {
            "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 1,
            "gen_ai.usage.cost": 0.02, "gen_ai.usage.cost_currency": "GBP",
        },
    }  # fmt: skip
    write_lines(tmp_path / "a.jsonl", [record])
    write_lines(tmp_path / "b.jsonl", [span])
    rows = ingested(tmp_path / "a.jsonl", tmp_path / "b.jsonl")[0].requests()
    assert sorted(rows.select("logged_cost", "cost_unit").rows()) == [
        ("0.01", "eur"), ("0.02", "gbp"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "read"),
    [
        (0.5, ("0.5", "usd")),
        ("0.0010", ("0.0010", "usd")),
        ("$1,234.5", ("1234.5", "usd")),
        ("€ 0.01", ("0.01", "eur")),
        ("0,01 EUR", ("0.01", "eur")),
        ("0,125€", ("0.125", "eur")),
        ("GBP 2", ("2", "gbp")),
        ("1e-5", ("1e-5", "usd")),
        ({"total": 0.3, "currency": "JPY"}, ("0.3", "jpy")),
        ('{"total_cost": 0.3}', ("0.3", "usd")),
        ("cheap", (None, None)),
        (None, (None, None)),
        ("nan", (None, None)),
        (True, (None, None)),
    ],
)
def test_an_amount_is_read_with_its_currency(
    amount: Any, read: tuple[str | None, str | None]
) -> None:
    call = Call()
    log_cost(call, amount, {})
    assert (call.logged_cost, call.cost_unit) == read


def test_dollars_beside_cents_are_cents() -> None:
    call = Call()
    log_cost(call, 3, {"currency": "USD"}, "cents")
    assert call.cost_unit == "cents"
    log_cost(call, 3, {"cost_unit": "cents", "currency": "USD"})
    assert call.cost_unit == "cents"


def test_a_cost_in_euros_is_in_no_figure(ingested: Ingest, tmp_path: Path) -> None:
    """A gpt-4o call of 1,000 tokens costs $0.0025 at list price, whatever its logged euros say."""
    from costaudit.costing.prices.lookup import price_requests
    from costaudit.costing.spend import spend

    record = json.loads(json.dumps(chat(1, tokens=(1_000, 0, 0)))) | {"cost": "9,99 EUR"}
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    assert spend(rows, price_requests(rows)).total.total_usd == Decimal("0.0025")
