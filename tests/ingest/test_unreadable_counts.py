"""An unreadable count is never 0: it is taken from elsewhere, missing, or its call is skipped."""

import csv
import io
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from tests.ingest.conftest import Ingest, chat, write_lines
from tests.ingest.variants import (
    FORMATS,
    SAMPLES,
    Text,
    at,
    encoded,
    number_leaves,
    records_of,
    replaced,
)

COUNTED = [sample for sample in SAMPLES if sample.stem != "daily_totals"]
WRONG: tuple[Any, ...] = (
    [2000], "about two thousand", 2000.5, -5e9, {"a": "x"}, Text("1e400"), Text("-Infinity"), True,
)  # fmt: skip
SIMILAR = 0.1  # a count taken from elsewhere (another tokenizer) may differ by this share
WRONG_CELLS = ("about two thousand", "2000.5", "-5e9", "1e400", "[2000]", "{}")


class Told(NamedTuple):
    """A file's tokens and doubts."""

    tokens: int
    doubts: tuple[int, int, int]  # calls without counts, calls without cache detail, skipped


def told(run: Any) -> dict[str, Told]:
    """Add up the tokens and doubts of each file of a run."""
    source, convention = pl.col("usage_source"), pl.col("usage_convention")
    calls = run.requests().group_by("source_file").agg(
        pl.sum_horizontal(TOKEN_CLASSES).sum().alias("tokens"),
        source.is_in(["missing", "estimated"]).sum().alias("uncounted"),
        convention.str.contains("without cache detail").sum().alias("undetailed"),
    )  # fmt: skip
    skipped = run.skips().filter(fate="skipped").group_by("source_file").len("skipped")
    table = calls.join(skipped, on="source_file", how="full", coalesce=True).fill_null(0)
    return {name: Told(tokens, tuple(doubts)) for name, tokens, *doubts in table.iter_rows()}


def write(path: Path, sample: Path, records: Sequence[Any]) -> None:
    if sample.suffix != ".csv":
        start = "data: " if sample.suffix == ".sse" else ""
        path.write_text("".join(f"{start}{encoded(record)}\n" for record in records), "utf-8")
        return
    separator = ";" if sample.read_text("utf-8").partition("\n")[0].count(";") > 2 else ","
    text = io.StringIO()
    table = csv.DictWriter(text, list(records[0]), delimiter=separator)
    table.writeheader()
    table.writerows(records)
    path.write_text(text.getvalue(), "utf-8")


class Change(NamedTuple):
    """The records of a sample with one number replaced."""

    what: str
    number: int
    records: list[Any]


def variants(sample: Path, count: int | None, seed: str) -> Iterator[Change]:
    """Yield changes of one number each: `count` of them drawn with `seed`, or all."""
    records = records_of(sample)
    places = [(n, path) for n, record in enumerate(records) for path in number_leaves(record)]
    wrong = WRONG_CELLS if sample.suffix == ".csv" else WRONG
    changes = [(n, path, value) for n, path in places for value in wrong]
    if count is not None:
        changes = random.Random(seed).sample(changes, min(count, len(changes)))
    for n, path, value in changes:
        changed = [*records[:n], replaced(records[n], path, value), *records[n + 1 :]]
        old = int(at(records[n], path))
        yield Change(f"{'.'.join(map(str, path))} of {n}: {old} is {value!r:.40}", old, changed)


def check(ingested: Ingest, folder: Path, sample: Path, count: int | None, seed: str = "") -> None:
    """Assert that no changed number lowers the token total without a reported doubt."""
    logs = folder / sample.stem
    logs.mkdir()
    suffix = ".jsonl" if sample.suffix == ".json" else sample.suffix
    write(logs / f"whole{suffix}", sample, records_of(sample))
    done = {}
    for number, change in enumerate(variants(sample, count, seed or sample.name)):
        done[f"{number}{suffix}"] = change
        write(logs / f"{number}{suffix}", sample, change.records)
    mapping = FORMATS / f"{sample.stem}.map.toml"
    maps = (str(mapping),) if mapping.exists() else ()
    run, _ = ingested(logs, into=f"run-{sample.stem}", dedupe=False, maps=maps)
    found = told(run)
    whole = found[f"whole{suffix}"]
    lost = [
        (change.what, found[name], whole)
        for name, change in done.items()
        if whole.tokens - found[name].tokens > max(change.number * SIMILAR, 2)
        and all(now <= before for now, before in zip(found[name].doubts, whole.doubts, strict=True))
    ]
    assert not lost


@pytest.mark.parametrize("sample", COUNTED, ids=lambda p: p.name)
def test_a_count_that_can_not_be_read_is_not_0(
    ingested: Ingest, tmp_path: Path, sample: Path
) -> None:
    check(ingested, tmp_path, sample, 6)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("sample", COUNTED, ids=lambda p: p.name)
def test_no_count_that_can_not_be_read_is_0(ingested: Ingest, tmp_path: Path, sample: Path) -> None:
    check(ingested, tmp_path, sample, None)


def paid(**usage: Any) -> dict[str, Any]:
    """Return a Claude call with 1,000 uncached and 100 output tokens."""
    return {
        "ts": "2026-11-02T09:00:00Z",
        "request": {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": []},
        "response": {
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [],
            "usage": {"input_tokens": 1_000, "output_tokens": 100, **usage},
        },
    }


def inclusive(**details: Any) -> dict[str, Any]:
    record = chat(1, tokens=(1_000, 0, 100))
    record["response"]["usage"]["prompt_tokens_details"] = details
    record["request"]["messages"] = []
    return record


LOST: dict[str, tuple[dict[str, Any], str]] = {
    "writes within the input": (inclusive(cache_write_tokens="many"), "cache_write"),
    "audio": (inclusive(audio_tokens=[3]), "audio_input_token"),
    "images": (inclusive(image_tokens={"n": 3}), "image_input_token"),
    "nothing is lost": (inclusive(cached_tokens=0), ""),
    "searches": (paid(server_tool_use={"web_search_requests": "six"}), "web_search"),
    "tools": (paid(server_tool_use="six"), "web_search"),
    "another model": (
        paid(iterations=[{"type": "advisor_message", "model": "claude-opus-4-5",
                          "input_tokens": "many", "output_tokens": 20}]),
        "other_model_input_token",
    ),
    "a compaction": (
        paid(iterations=[{"type": "compaction", "input_tokens": 9, "output_tokens": "few"}]),
        "other_model_input_token",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LOST)
def test_a_count_that_is_lost_makes_the_price_a_lower_bound(
    what: str, ingested: Ingest, tmp_path: Path
) -> None:
    """A log of one call whose other counts are readable: these are priced, checked by hand."""
    record, name = LOST[what]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", [record]))
    requests = run.requests()
    found = spend(requests, price_requests(requests))
    gpt, claude = Decimal("0.0035"), Decimal("0.0045")  # 1,000 and 100 tokens at list prices
    is_claude = "claude" in record["response"]["model"]
    assert found.total.total_usd == (claude if is_claude else gpt)
    assert name in summary.unreadable_usage or not name
    assert bool(found.unpriced_requests) is bool(name)
    assert (found.unpriced_share == 1) is bool(name)
    assert found.unpriced_units == ()  # the price is known; the count is missing


def test_a_mapped_unit_that_is_lost_is_not_dropped(ingested: Ingest, tmp_path: Path) -> None:
    rows = ["ts,model,in,out,searches"]
    rows += [f"2026-11-02T09:0{n}:00Z,gpt-4o,1000,100,{text}" for n, text in
             enumerate(("", "0", "3", "-", "three"))]  # fmt: skip
    (tmp_path / "log.csv").write_text("\n".join(rows), "utf-8")
    (tmp_path / "map.toml").write_text(
        'ts="ts"\nmodel="model"\ninput_tokens="in"\noutput_tokens="out"\nweb_search="searches"\n'
    )
    run, summary = ingested(tmp_path / "log.csv", maps=(str(tmp_path / "map.toml"),))
    units = run.requests()["billed_units"].to_list()
    assert units[:2] == [None, None] and units[3] is None
    assert units[2] == [{"unit": "web_search", "quantity": 3.0, "model": None}]
    assert units[4] == [{"unit": "web_search", "quantity": None, "model": None}]
    assert summary.unreadable_usage == {"web_search": 1}


def test_a_number_in_a_text_that_nothing_reads_is_said(ingested: Ingest, tmp_path: Path) -> None:
    record = paid(novel_cache_tokens="1,200", request_id="77", note="of 3 tokens")
    _, summary = ingested(write_lines(tmp_path / "log.jsonl", [record]))
    assert summary.unread_usage == {"novel_cache_tokens": (1, 1_200.0)}


def test_units_of_merged_records_are_priced(ingested: Ingest, tmp_path: Path) -> None:
    """A polled answer with a search, logged three times: MERGED has what each copy would cost."""
    record = paid(server_tool_use={"web_search_requests": 2})
    record["response"]["id"] = "msg_1"
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", [record] * 3))
    assert (summary.kept, summary.merged) == (1, 2)
    merged = pl.read_parquet(run.merged_path)
    assert [each[0]["quantity"] for each in merged["billed_units"].to_list()] == [2.0, 2.0]
