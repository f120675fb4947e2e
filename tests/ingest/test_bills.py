"""Each provider's reports and exports are read as bill lines."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from costaudit.contracts.spend import Bill, BilledTokens, BillLine
from costaudit.errors import InputError
from costaudit.ingest.bills.cost_exports import azure_model, model_of_aws, model_of_item
from costaudit.ingest.bills.read_bill import read_bill
from costaudit.ingest.calls.fields import Fields
from costaudit.report.language import Style, said, using

D = Decimal


def at(day: int) -> int:
    return int(datetime(2026, 10, day, tzinfo=UTC).timestamp())


def bucket(day: int, *results: dict[str, Any]) -> dict[str, Any]:
    times = {"start_time": at(day), "end_time": at(day + 1)}
    return {"object": "bucket", **times, "results": list(results)}


def read(tmp_path: Path, value: object, name: str = "bill.json") -> Bill:
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return read_bill([str(path)])


def lines(found: Bill) -> list[tuple[str, str, str, str, Decimal | None]]:
    return [(one.day, one.provider, one.model, one.charge, one.amount) for one in found.lines]


def test_costs_of_openai(tmp_path: Path) -> None:
    def cost(value: object, item: str | None) -> dict[str, Any]:
        return {
            "object": "organization.costs.result",
            "amount": {"value": value, "currency": "usd"},
            "line_item": item,
        }

    page = {
        "object": "page",
        "data": [
            bucket(5, cost(1.5, "gpt-4o-2024-08-06, input"), cost("0.0500", None)),
            bucket(6),
            bucket(7, cost(-2, "gpt-4o-2024-08-06, input"), cost(3, "web search calls | gpt-4o")),
        ],
        "has_more": True,
        "next_page": "x",
    }
    found = read(tmp_path, page)
    assert lines(found) == [
        ("2026-10-05", "openai", "gpt-4o-2024-08-06", "usage", D("1.5")),
        ("2026-10-05", "openai", "", "usage", D("0.0500")),
        ("2026-10-07", "openai", "gpt-4o-2024-08-06", "credit", D(-2)),
        ("2026-10-07", "openai", "gpt-4o", "usage", D(3)),
    ]
    assert found.days == {"openai": ("2026-10-05", "2026-10-06", "2026-10-07")}
    assert found.is_cut


def test_usage_of_openai_holds_the_cached_tokens(tmp_path: Path) -> None:
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 1_000,
        "input_cached_tokens": 400,
        "output_tokens": 100,
        "num_model_requests": 3,
        "model": "gpt-4o-2024-08-06",
    }
    (line,) = read(tmp_path, {"object": "page", "data": [bucket(5, result)]}).lines
    assert line.tokens == BilledTokens(600, 400, 0, 100)
    assert (line.requests, line.amount) == (3, None)


def anthropic(*results: dict[str, Any]) -> dict[str, Any]:
    times = {"starting_at": "2026-10-05T00:00:00Z", "ending_at": "2026-10-06T00:00:00Z"}
    return {"data": [{**times, "results": list(results)}], "has_more": False, "next_page": None}


def test_the_amounts_of_anthropic_are_cents(tmp_path: Path) -> None:
    result = {
        "currency": "USD",
        "amount": "123.78912",
        "description": "Claude Sonnet 4 Usage - Input Tokens",
        "cost_type": "tokens",
        "model": "claude-sonnet-4-20250514",
        "token_type": "uncached_input_tokens",
    }
    found = read(tmp_path, anthropic(result))
    assert lines(found) == [
        ("2026-10-05", "anthropic", "claude-sonnet-4-20250514", "usage", D("1.2378912"))
    ]


def test_usage_of_anthropic(tmp_path: Path) -> None:
    result = {
        "uncached_input_tokens": 1_500,
        "cache_creation": {"ephemeral_1h_input_tokens": 1_000, "ephemeral_5m_input_tokens": 500},
        "cache_read_input_tokens": 200,
        "output_tokens": 70,
        "server_tool_use": {"web_search_requests": 10},
        "model": "claude-sonnet-4-20250514",
    }
    (line,) = read(tmp_path, anthropic(result)).lines
    assert line.tokens == BilledTokens(1_500, 200, 1_500, 70)


def test_tables_of_the_consoles(tmp_path: Path) -> None:
    dashboard = (
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item\n"
        f"{at(5)},{at(6)},2026-10-05T00:00:00+00:00,2026-10-06T00:00:00+00:00,0.89,usd,"
        '"gpt-4o-mini-2024-07-18, output"\n'
        f"{at(6)},{at(7)},2026-10-06T00:00:00+00:00,2026-10-07T00:00:00+00:00,,,\n"
    )
    assert lines(read(tmp_path, dashboard, "openai.csv")) == [
        ("2026-10-05", "openai", "gpt-4o-mini-2024-07-18", "usage", D("0.89"))
    ]
    console = (
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
        "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
        '2026-10-05,claude-opus-4-5,key,Default,standard,≤ 200k,"1,000",20,30,4000,500\n'
    )
    (line,) = read(tmp_path, console, "anthropic.csv").lines
    assert line.tokens == BilledTokens(1_000, 4_000, 50, 500)
    costs = "usage_date_utc;model;token_type;cost_usd\n2026-10-05;claude-opus-4-5;output;1.234,56\n"
    (line,) = read(tmp_path, costs, "costs.csv").lines
    assert (line.model, line.amount) == ("claude-opus-4-5", D("1234.56"))


def test_cost_explorer(tmp_path: Path) -> None:
    def group(key: str, amount: str) -> dict[str, Any]:
        return {"Keys": [key], "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": "USD"}}}

    page = {
        "GroupDefinitions": [{"Type": "DIMENSION", "Key": "SERVICE"}],
        "ResultsByTime": [
            {
                "TimePeriod": {"Start": "2026-10-05", "End": "2026-10-06"},
                "Total": {},
                "Groups": [
                    group("Claude Sonnet 4.5 (Amazon Bedrock Edition)", "12.5"),
                    group("Amazon Bedrock", "0.5"),
                    group("Amazon Simple Storage Service", "99"),
                ],
                "Estimated": False,
            }
        ],
    }
    found = read(tmp_path, page)
    assert lines(found) == [
        ("2026-10-05", "aws", "claude-sonnet-4-5", "usage", D("12.5")),
        ("2026-10-05", "aws", "", "usage", D("0.5")),
    ]
    assert found.left_out == 1


def test_a_cost_and_usage_report_of_aws(tmp_path: Path) -> None:
    rows = {
        "line_item_usage_start_date": ["2026-10-05T07:00:00Z"] * 3,
        "line_item_unblended_cost": [1.25, -0.25, 9.0],
        "line_item_currency_code": ["USD"] * 3,
        "line_item_usage_type": ["USE1-MP:USE1_InputTokenCount-Units"] * 2 + ["BoxUsage:t3.micro"],
        "line_item_line_item_type": ["Usage", "Credit", "Usage"],
        "line_item_product_code": ["x1", "x1", "AmazonEC2"],
        "product_product_name": ["Claude Haiku 4.5 (Amazon Bedrock Edition)"] * 2 + ["EC2"],
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "cur.parquet")
    found = read_bill([str(tmp_path / "cur.parquet")])
    assert lines(found) == [
        ("2026-10-05", "aws", "claude-haiku-4-5", "usage", D("1.25")),
        ("2026-10-05", "aws", "claude-haiku-4-5", "credit", D("-0.25")),
    ]
    assert found.left_out == 1


def test_a_cost_export_of_azure_in_another_currency(tmp_path: Path) -> None:
    text = (
        "Date,MeterCategory,MeterSubCategory,MeterName,CostInBillingCurrency,BillingCurrencyCode,"
        "ChargeType\n"
        "10/05/2026,Cognitive Services,Azure OpenAI,gpt 4o 0806 Inp glbl Tokens,2.5,EUR,Usage\n"
        "10/13/2026,Cognitive Services,Azure OpenAI,gpt-4.1-mini-cached-inp-glbl,0.5,EUR,Usage\n"
        "10/13/2026,Virtual Machines,Dv3,D4 v3,80,EUR,Usage\n"
    )
    (tmp_path / "azure.csv.gz").write_bytes(gzip.compress(text.encode()))
    found = read_bill([str(tmp_path / "azure.csv.gz")])
    told = [(one.day, one.model, one.amount, one.currency) for one in found.lines]
    assert told == [
        ("2026-10-05", "gpt-4o-0806", D("2.5"), "EUR"),
        ("2026-10-13", "gpt-4-1-mini", D("0.5"), "EUR"),
    ]


def test_focus_columns(tmp_path: Path) -> None:
    text = (
        "ChargePeriodStart,BilledCost,BillingCurrency,ProviderName,ServiceName,ChargeCategory,"
        "ChargeDescription\n"
        "2026-10-05T00:00:00Z,3,USD,AWS,Claude Sonnet 4.5 (Amazon Bedrock Edition),Usage,tokens\n"
        "2026-10-05T00:00:00Z,0.6,USD,AWS,Amazon Bedrock,Tax,tax\n"
        "2026-10-05T00:00:00Z,9,USD,AWS,Amazon EC2,Usage,t3\n"
    )
    found = read(tmp_path, text, "focus.csv")
    assert [(one.provider, one.charge, one.amount) for one in found.lines] == [
        ("aws", "usage", D(3)),
        ("aws", "other", D("0.6")),
    ]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("Claude Opus 4.1 (Amazon Bedrock Edition)", "claude-opus-4-1"),
        ("USE1-ClaudeSonnet4.5-input-tokens", "claude-sonnet-4-5"),
        ("USE1-Nova2.0Lite-output-tokens", "nova-2-0-lite"),
        ("Amazon Bedrock", ""),
        ("USE1-MP:USE1_InputTokenCount-Units", ""),
    ],
)
def test_models_of_aws(text: str, model: str) -> None:
    assert model_of_aws(text) == model


@pytest.mark.parametrize(
    ("meter", "model"),
    [
        ("gpt 4o 0806 Outp regnl Tokens", "gpt-4o-0806"),
        ("gpt-5-mini-cached-inp-glbl", "gpt-5-mini"),
        ("o3 0416 Batch inpt glbl", "o3-0416"),
    ],
)
def test_models_of_azure(meter: str, model: str) -> None:
    assert azure_model(Fields({"metername": meter})) == model


def test_items_of_openai_without_a_model() -> None:
    assert [model_of_item(text) for text in ("", "Image models", "ft-gpt-4o-2024, input")] == [
        "", "", "ft-gpt-4o-2024",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("log.jsonl", '{"request": {"messages": []}}\n', "no usage or cost report"),
        ("half.json", '{"object": "page", "data": [{"object": "bucket", "start_ti', "no JSON"),
        ("nan.csv", "usage_date_utc,model,cost_usd\n2026-10-05,m,lots\n", "amount can't be read"),
        ("day.csv", "usage_date_utc,model,cost_usd\nsoon,m,1\n", "day can't be read"),
        ("empty.json", '{"object": "page", "data": []}', "no usage or cost report"),
    ],
)
def test_what_is_no_bill_or_a_broken_one_is_refused(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as refused:
        read(tmp_path, text, name)
    assert refused.value.hint


def test_a_month_in_one_bucket_asks_for_days(tmp_path: Path) -> None:
    month = bucket(1, {"amount": {"value": 1, "currency": "usd"}}) | {"end_time": at(31)}
    with pytest.raises(InputError, match="30 days") as refused:
        read(tmp_path, {"data": [month]})
    assert "bucket_width=1d" in (refused.value.hint or "")


def test_several_files_are_one_bill(tmp_path: Path) -> None:
    text = "usage_date_utc,model,cost_usd\n2026-10-0{},m,1\n"
    for day in (5, 6):
        (tmp_path / f"{day}.csv").write_text(text.format(day), "utf-8")
    found = read_bill([str(tmp_path / "5.csv"), str(tmp_path / "6.csv")])
    assert found.days == {"anthropic": ("2026-10-05", "2026-10-06")}
    assert isinstance(found.lines[0], BillLine)


def day_costs(path: Path, *amounts: str, day: int = 5) -> str:
    rows = "".join(f"2026-10-0{day},m,{amount}\n" for amount in amounts)
    path.write_text(f"usage_date_utc,model,cost_usd\n{rows}", "utf-8")
    return str(path)


def test_one_bill_in_two_files_counts_once(tmp_path: Path) -> None:
    first, again = (day_costs(tmp_path / name, "1.5", "2") for name in ("a.csv", "b.csv"))
    found = read_bill([first, again])
    assert sum(line.amount or 0 for line in found.lines) == D("3.5")
    assert found.notes == (
        "The bills of anthropic in a.csv and b.csv are equal on 2026-10-05: they are counted once.",
    )
    with using(Style("es")):
        assert said(found.notes[0]) == (
            "Las facturas de anthropic en a.csv y b.csv son iguales el 2026-10-05: se cuentan una "
            "sola vez."
        )


def test_two_bills_of_a_day_are_added_up_and_said(tmp_path: Path) -> None:
    paths = [day_costs(tmp_path / "a.csv", "1.5"), day_costs(tmp_path / "b.csv", "2"),
             day_costs(tmp_path / "c.csv", "2")]  # fmt: skip
    found = read_bill(paths)
    assert sum(line.amount or 0 for line in found.lines) == D("3.5")
    assert found.notes == (
        "The bills of anthropic in a.csv and b.csv differ on 2026-10-05: they are added up.",
        "The bills of anthropic in b.csv and c.csv are equal on 2026-10-05: they are counted once.",
    )
    with using(Style("es")):
        assert said(found.notes[0]).endswith("son distintas el 2026-10-05: se suman.")


def test_costs_and_tokens_of_a_day_belong_together(tmp_path: Path) -> None:
    costs = bucket(5, {"amount": {"value": 1, "currency": "usd"}, "line_item": "gpt-4o, input"})
    usage = bucket(5, {"input_tokens": 9, "output_tokens": 1, "model": "gpt-4o"})
    for name, one in (("costs.json", costs), ("usage.json", usage)):
        (tmp_path / name).write_text(json.dumps({"data": [one]}), "utf-8")
    found = read_bill([str(tmp_path / "costs.json"), str(tmp_path / "usage.json")])
    assert (len(found.lines), found.notes) == (2, ())


def test_a_page_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    page = {"data": [bucket(5, {"amount": {"value": 1, "currency": "usd"}}), bucket(6)]}
    found = read(tmp_path, [page, page])
    assert [line.amount for line in found.lines] == [D(1)]
