"""`costaudit spend` prices a log or a run, and shows who and what causes the cost."""

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.conftest import records, write_log
from tests.conftest import Said

Run = Callable[..., Said]
# Eight gpt-4o calls with 100 tokens in and 20 out: 100 x 2.50 + 20 x 10 = 450 / 10^6 each.
SPENT = Decimal("0.0036")


def test_a_log_is_priced(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit("spend", "log.jsonl", "--format", "json", "--quiet")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert Decimal(found["total"]["total_usd"]) == SPENT
    assert sum(Decimal(row["cost"]["total_usd"]) for row in found["daily"]) == SPENT


def test_a_run_stands_for_its_log_and_tables_say_the_same(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl", [{**r, "tenant": "acme"} for r in records()])
    costaudit("ingest", "log.jsonl", "--out", "run")
    said = costaudit("spend", "run", "--quiet")
    assert said.code == 0
    assert said.out.startswith("$0.0036 for 8 requests.")
    assert "Spend by tenant" in said.out and "gpt-4o-2024-08-06" in said.out
    sheet = costaudit("spend", "run", "--quiet", "--format", "csv").out
    rows = [row for row in csv.reader(sheet.splitlines()) if row[:2] == ["Spend by tenant", "acme"]]
    assert rows[0][2] == "8" and rows[0][6] == "$0.0036"


def test_estimated_counts_are_said(costaudit: Run, tmp_path: Path) -> None:
    made = records()
    del made[0]["response"]["usage"], made[5]["response"]["usage"]
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("spend", "log.jsonl", "--quiet").out.partition("\n\n")[0].replace("\n", " ")
    assert "Estimated by a tokenizer, as the log has no plausible counts: 2 requests." in said
    write_log(tmp_path / "log.jsonl")
    assert "Estimated" not in costaudit("spend", "log.jsonl", "--quiet").out


def test_own_prices_and_an_invoice_are_taken(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    (tmp_path / "prices.toml").write_text('[[discount]]\nprovider = "*"\nmultiplier = "0.5"\n')
    said = costaudit(
        "spend", "log.jsonl", "--quiet", "--prices", "prices.toml", "--invoice-usd", "0.002"
    )
    # Half of 0.0036 is 0.0018, which is 10 % below 0.002.
    assert said.out.startswith("$0.0018 for 8 requests; 10.0% below the invoice of $0.0020.")


def test_an_unknown_format_is_refused_before_anything_is_read(costaudit: Run) -> None:
    said = costaudit("spend", "nowhere.jsonl", "--format", "html")
    assert said.code == 2 and "Choose from terminal, md, csv, json" in said.err


def test_a_part_of_a_log_is_read_but_not_cut_out_of_a_run(costaudit: Run, tmp_path: Path) -> None:
    write_log(
        tmp_path / "log.jsonl",
        [{**record, "tenant": "ab"[n % 2]} for n, record in enumerate(records())],
    )
    since = ("--since", "2026-10-05T09:00:04Z")  # the calls are one second apart, from 09:00:00
    last = costaudit("spend", "log.jsonl", "--quiet", *since)
    assert last.out.startswith("$0.0018 for 4 requests.")
    part = (*since, "--where", "tenant=b")
    said = costaudit("spend", "log.jsonl", "--quiet", *part, "--out", "costaudit-log")
    assert said.out.startswith("$0.00090 for 2 requests.")
    again = costaudit("spend", "costaudit-log", "--quiet", *since, "--where", "tenant=b")
    assert again.out == said.out
    refused = costaudit("spend", "costaudit-log", "--quiet", "--where", "tenant=a")
    assert refused.code == 2 and "finished run" in refused.err and "--out" in refused.err


def test_other_groups_add_up_to_the_same_money(costaudit: Run, tmp_path: Path) -> None:
    """Of eight equal calls, three are by ann and five by bob; two have their own system prompt."""
    lines = [{**record, "user": "ann" if n < 3 else "bob"} for n, record in enumerate(records())]
    for line in lines[:2]:
        line["request"]["messages"][0]["content"] = "Translate what follows into French."
    write_log(tmp_path / "log.jsonl", lines)
    said = costaudit("spend", "log.jsonl", "--quiet", "--by", "user,template", "--format", "json")
    found = json.loads(said.out)
    assert list(found["by"]) == ["user", "template"]
    user, template = found["by"].values()
    assert [(row["group"], row["cost"]["requests"]) for row in user] == [("bob", 5), ("ann", 3)]
    assert [row["cost"]["requests"] for row in template] == [6, 2]
    for rows in (user, template):
        assert sum(Decimal(row["cost"]["total_usd"]) for row in rows) == SPENT
    ids = {row["group"].split()[0] for row in template}
    prefix = json.loads(costaudit("prefix", "log.jsonl", "--quiet", "--format", "json").out)
    assert ids == {row["template_id"] for row in prefix["templates"]}
    table = costaudit("spend", "log.jsonl", "--quiet", "--by", "user").out
    assert "Spend by user" in table and "Spend by model" not in table
    assert "'colour'" in costaudit("spend", "log.jsonl", "--by", "colour").err


def test_a_call_that_is_told_twice_is_priced_once(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl", [*records(), records()[0]])
    said = costaudit("spend", "log.jsonl", "--quiet")
    assert said.out.startswith("$0.0036 for 8 requests. Not counted again: 1 record of $0.00045")


def test_an_invoice_of_files_is_compared_by_model_and_day(costaudit: Run, tmp_path: Path) -> None:
    """The log's 8 gpt-4o calls cost $0.0036 on one day; twice that is billed."""
    write_log(tmp_path / "log.jsonl")
    run = costaudit("spend", "log.jsonl", "--quiet", "--format", "json")
    (day,) = json.loads(run.out)["daily"]
    text = "start_time_iso,amount_value,amount_currency,line_item\n"
    total = Decimal(day["cost"]["total_usd"])
    assert total == SPENT
    rows = f'{day["day"]}T00:00:00+00:00,{total * 2},usd,"{day["model"]}, input"\n'
    (tmp_path / "bill.csv").write_text(text + rows, "utf-8")
    said = costaudit("spend", "log.jsonl", "--quiet", "--invoice", "bill.csv")
    assert "50.0% less than it" in said.out
    assert "Invoice and log, by model and day" in said.out
    told = costaudit("spend", "log.jsonl", "-q", "--invoice", "bill.csv", "--format", "json")
    invoice = json.loads(told.out)["invoice"]
    assert Decimal(invoice["rows"][0]["difference_usd"]) == total
    assert invoice["gap_share"] == 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--invoice bill.csv --invoice-usd 3", "exclude each other"),
        ("--invoice euros.csv", "The invoice is in EUR"),
        ("--invoice nothing.csv", "There is no file"),
        ("--invoice log.jsonl", "no usage or cost report"),
        ("--invoice bill.csv --invoice-rate EUR=x", "'x' is not an amount"),
    ],
)
def test_an_invoice_that_cannot_be_compared_is_refused(
    costaudit: Run, tmp_path: Path, options: str, said: str
) -> None:
    text = "start_time_iso,amount_value,amount_currency,line_item\n2026-10-05T00:00:00Z,1,{},\n"
    (tmp_path / "bill.csv").write_text(text.format("usd"), "utf-8")
    (tmp_path / "euros.csv").write_text(text.format("eur"), "utf-8")
    write_log(tmp_path / "log.jsonl")
    found = costaudit("spend", "log.jsonl", "--quiet", *options.split())
    assert (found.code, found.out) == (2, "")
    assert said in found.err


@pytest.mark.parametrize("verb", ["spend", "analyze", "doctor"])
def test_a_report_of_totals_says_what_it_is_for(costaudit: Run, tmp_path: Path, verb: str) -> None:
    text = "usage_date_utc,model,cost_usd\n2026-10-05,claude-opus-4-5,3\n"
    (tmp_path / "costs.csv").write_text(text, "utf-8")
    found = costaudit(verb, "costs.csv", "--quiet")
    assert "daily totals of usage or costs, not calls" in found.out + found.err
    assert "--invoice FILE" in found.out + found.err


def test_a_misspelled_provider_in_the_prices_is_told(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    wrong = '[[discount]]\nprovider = "opennai"\nmultiplier = "0.5"\n'
    (tmp_path / "prices.toml").write_text(wrong)
    said = costaudit("spend", "log.jsonl", "--quiet", "--prices", "prices.toml", "--format", "md")
    assert "\\[\\[discount\\]\\] 1" in said.out and "did you mean openai?" in said.out
