"""Poor logs and bills end with the right exit code and one clear sentence, whatever they lack."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.conftest import records, write_log
from tests.conftest import Said

Run = Callable[..., Said]
Record = dict[str, Any]
BILL = "start_time_iso,amount_value,amount_currency,line_item\n"
FILES = {
    "euros.csv": f'{BILL}2026-10-01T00:00:00Z,2.50,eur,"gpt-4o-2024-08-06, input"\n',
    "mixed.csv": f'{BILL}2026-10-01T00:00:00Z,2.50,eur,"gpt-4o-2024-08-06, input"\n'
    '2026-10-01T00:00:00Z,2.50,usd,"gpt-4o-2024-08-06, output"\n',
    "credits.csv": f'{BILL}2026-10-05T00:00:00Z,-2.50,usd,"gpt-4o-2024-08-06, input"\n',
    "august.csv": f'{BILL}2026-08-05T00:00:00Z,2.50,usd,"gpt-4o-2024-08-06, input"\n',
}


def same_time(record: Record) -> None:
    record["timestamp"] = "2026-10-05T09:00:00Z"


def untimed(record: Record) -> None:
    record.pop("timestamp", None)


def failed(record: Record) -> None:
    record["status_code"] = 500
    record["error"] = {"message": "overloaded"}
    record["response"] = None


def costs(record: Record) -> None:
    """Log what the tokens cost, 100 at 2.50 and 20 at 10 dollars a million, in euros or dollars."""
    is_even = len(record["request"]["messages"][-1]["content"]) % 2 == 0
    record["cost"], record["currency"] = (0.00045, "USD") if is_even else (0.00041, "EUR")


def unknown(record: Record) -> None:
    record["request"]["model"] = "nobody-knows-7b"
    if record.get("response"):
        record["response"]["model"] = "nobody-knows-7b"


class Case(NamedTuple):
    """A poor log or bill, and how the command ends."""

    lines: list[Record]
    options: str = ""
    code: int = 0
    words: str = ""  # in the error


CASES = {
    "one day": Case(records()),
    "one request": Case(records()[:1]),
    "no times": Case(records(untimed)),
    "one burst": Case(records(same_time)),
    "all failures": Case(records(failed)),
    "all unpriced": Case(records(unknown)),
    "an invoice in another currency": Case(records(), "--invoice euros.csv", 2, "in EUR"),
    "an invoice of two currencies": Case(records(), "--invoice mixed.csv", 2, "EUR"),
    "a negative invoice": Case(records(), "--invoice-usd -5", 2, "'-5'"),
    "an invoice of nothing": Case(records(), "--invoice-usd 0", 2, "'0'"),
    "an invoice of credits alone": Case(records(), "--invoice credits.csv"),
    "an invoice of other days": Case(records(), "--invoice august.csv"),
    "costs in two currencies": Case(records(costs)),
    "a larger invoice": Case(records(), "--invoice-usd 500"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_poor_log_ends_with_one_clear_sentence(costaudit: Run, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    write_log(tmp_path / "log.jsonl", case.lines)
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    said = costaudit("analyze", "log.jsonl", "--format", "json", "--quiet", *case.options.split())
    assert said.code == case.code and "Traceback" not in said.err
    if case.code:
        error = said.err.splitlines()[-2]
        assert re.fullmatch(r"costaudit: .+[.?]", error) and case.words in error
        return
    audit = json.loads(said.out)
    headline = audit["verdict"]["headline"]
    assert headline.endswith(".") and len(headline) < 400
    assert audit["month"]["period"] != "month"  # a day or less is scaled to no month
    if audit["spend"]["unpriced_share"] == 1:
        assert not re.search(r"\$0(?!\.?\d)", headline)
    if case.lines == records(costs):  # euros are not read as dollars
        assert audit["spend"]["total"]["total_usd"] == "0.0036"
    if "--invoice " in case.options:
        codes = {finding["code"] for finding in audit["findings"]}
        assert "invoice-unused" in codes and "invoice-agrees" not in codes
    if audit["spend"]["invoice_usd"]:
        assert "invoice" in json.dumps(audit["verdict"]).lower()


def later(record: Record) -> None:
    record["timestamp"] = record["timestamp"].replace("2026-10-05", "2026-10-06")
    record["response"]["id"] += "-later"


def test_an_invoice_of_a_part_of_the_period_is_compared_with_that_part(
    costaudit: Run, tmp_path: Path
) -> None:
    """Each of the log's two days costs $0.0036; the invoice has the first one, at $0.0040."""
    write_log(tmp_path / "log.jsonl", [*records(), *records(later)])
    row = '2026-10-05T00:00:00Z,0.0040,usd,"gpt-4o-2024-08-06, input"\n'
    (tmp_path / "half.csv").write_text(BILL + row)
    told = costaudit("spend", "log.jsonl", "-q", "--invoice", "half.csv", "--format", "json")
    found = json.loads(told.out)
    assert found["total"]["total_usd"] == "0.0072"
    assert found["invoice"]["gap_share"] == pytest.approx(0.1)
    days = {row["day"]: row["difference_usd"] for row in found["invoice"]["days"]}
    assert days == {"2026-10-05": "0.000400", "2026-10-06": None}
    assert found["invoice"]["only_log"] == ["2026-10-06"]
    said = costaudit("spend", "log.jsonl", "-q", "--invoice", "half.csv").out
    assert "10.0% less than it" in said
    assert "2026-10-06" in said
