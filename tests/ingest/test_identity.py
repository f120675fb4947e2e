"""Two calls with one id count twice and one call logged twice counts once, in any order."""

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costaudit.costing.logged import logged_usd
from tests.ingest.conftest import Ingest, chat, write_lines


def named(number: int, own_id: str, question: str, sent: int) -> dict[str, Any]:
    record = chat(number, question, tokens=(sent, 0, 20))
    record["response"]["id"] = own_id
    return record


@pytest.mark.parametrize("seed", range(3))
def test_an_id_names_a_call_only_with_its_prompt_and_tokens(
    seed: int, tmp_path: Path, ingested: Ingest
) -> None:
    records = [
        named(1, "chatcmpl-512", "Where is order 118?", 1_000),
        named(1, "chatcmpl-512", "Where is order 118?", 1_000),  # logged twice
        named(2, "chatcmpl-512", "Refund for 7?", 1_000),  # another prompt
        named(3, "chatcmpl-512", "Where is order 118?", 1_300),  # other tokens
    ]
    random.Random(seed).shuffle(records)
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", records))
    assert (summary.kept, summary.merged) == (3, 1)
    assert run.requests()["input_uncached_tokens"].sum() == 3_300


def test_a_call_with_billed_units_is_merged_with_them(tmp_path: Path, ingested: Ingest) -> None:
    spoken = named(1, "chatcmpl-9", "Where is order 118?", 1_000)
    spoken["response"]["usage"]["prompt_tokens_details"] = {"audio_tokens": 300}
    records = [spoken, spoken, named(2, "chatcmpl-10", "Refund for 7?", 500)]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", records))
    assert (summary.kept, summary.merged) == (2, 1)
    units = [{"unit": "audio_input_token", "quantity": 300.0}]
    for table in (run.requests().head(1), run.merged()):
        (found,) = table["billed_units"].to_list()
        assert [{name: each[name] for name in ("unit", "quantity")} for each in found] == units


def test_polls_of_one_response_are_one_call(tmp_path: Path, ingested: Ingest) -> None:
    polled = [named(n, "resp_q", "Summarise the news", 1_000) for n in range(3)]
    for early in polled[:2]:
        del early["response"]["usage"]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", polled))
    assert (summary.kept, summary.merged) == (1, 2)
    assert run.requests()["input_uncached_tokens"].to_list() == [1_000]


def test_the_input_includes_what_it_hardly_exceeds(tmp_path: Path, ingested: Ingest) -> None:
    observation = {
        "id": "o1", "traceId": "t", "startTime": "2026-11-02T15:00:00Z", "type": "GENERATION",
        "model": "gpt-4o", "input": "Where is it?", "output": "Here.",
        "usageDetails": {"input": 17_903, "input_cached_tokens": 17_817, "output": 100,
                         "total": 35_820},
    }  # fmt: skip
    rows = ingested(write_lines(tmp_path / "log.jsonl", [observation]))[0].requests()
    assert rows["input_uncached_tokens"].to_list() == [86]
    assert rows["cache_read_tokens"].to_list() == [17_817]


def test_a_batch_result_of_vertex_is_batch(tmp_path: Path, ingested: Ingest) -> None:
    record = chat(1, processed_time="2026-11-02T18:00:01+00:00")
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    assert rows["is_batch"].to_list() == [True]


def test_a_poll_that_holds_the_tokens_belongs_to_the_row_that_holds_the_prompt(
    tmp_path: Path, ingested: Ingest
) -> None:
    asked, done = named(1, "resp_q", "Summarise the news", 1_000), named(2, "resp_q", "", 1_000)
    del asked["response"]["usage"], done["request"]["messages"]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", [asked, done]))
    assert (summary.kept, summary.merged) == (1, 1)
    assert run.requests()["input_uncached_tokens"].to_list() == [1_000]
    assert run.requests()["segments"].list.len().to_list() == [2]


def test_equal_start_prompt_model_and_tokens_are_one_call_whatever_the_ids(
    tmp_path: Path, ingested: Ingest
) -> None:
    twice = [named(1, f"chatcmpl-{n}", "Where is it?", 1_000) for n in range(2)]
    later = named(2, "chatcmpl-9", "Where is it?", 1_000)
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", [*twice, later]))
    assert len(run.requests()) == 2
    assert summary.skip_reasons == {"same-start": 1}


@pytest.mark.parametrize("change", ["answer", "latency", "dates", "user", "tenant"])
def test_two_calls_at_one_moment_stay_two(change: str, tmp_path: Path, ingested: Ingest) -> None:
    one, other = (named(1, f"chatcmpl-{n}", "Where is it?", 1_000) for n in range(2))
    if change == "answer":
        other["response"]["choices"][0]["message"]["content"] = "In transit."
    elif change == "latency":
        other["latency_ms"] = 911
    elif change in ("user", "tenant"):
        one[change], other[change] = "u-10", "u-11"
    else:
        one["timestamp"] = other["timestamp"] = "2026-10-05T00:00:00Z"
    run, _ = ingested(write_lines(tmp_path / "log.jsonl", [one, other]))
    assert len(run.requests()) == 2


def test_a_copy_that_names_nobody_is_one_call_with_the_one_that_does(
    tmp_path: Path, ingested: Ingest
) -> None:
    one, other = (named(1, f"chatcmpl-{n}", "Where is it?", 1_000) for n in range(2))
    one["user"] = "u-10"
    other.pop("user", None)
    run, _ = ingested(write_lines(tmp_path / "log.jsonl", [one, other]))
    assert len(run.requests()) == 1


@pytest.mark.parametrize("name", ["currency", "cost_currency"])
@pytest.mark.parametrize(
    ("said", "unit"), [("EUR", "eur"), ("€", "eur"), ({"code": "EUR"}, "unknown")]
)
def test_a_cost_in_another_currency_is_no_dollar(
    name: str, said: object, unit: str, tmp_path: Path, ingested: Ingest
) -> None:
    records = [chat(number, cost=2.5) for number in (1, 2, 3)]
    records[1][name], records[2][name] = said, "USD"
    run, _ = ingested(write_lines(tmp_path / "log.jsonl", records))
    assert run.requests()["cost_unit"].to_list() == ["usd", unit, "usd"]
    dollars = logged_usd(run.requests()).to_list()
    assert dollars == [Decimal("2.5"), None, Decimal("2.5")]


@pytest.mark.parametrize("call_type", ["aget_responses", "aretrieve_batch", "_adelete_file"])
def test_what_generates_nothing_is_no_call_though_it_has_a_cost(
    call_type: str, tmp_path: Path, ingested: Ingest
) -> None:
    row = {
        "request_id": "r", "call_type": "acompletion", "spend": 0.01, "api_key": "k",
        "startTime": "2026-11-02 16:00:00", "model": "gpt-4o", "custom_llm_provider": "openai",
        "prompt_tokens": 100, "completion_tokens": 10, "status": "success",
    }  # fmt: skip
    log = write_lines(tmp_path / "log.jsonl", [row, {**row, "call_type": call_type}])
    assert ingested(log)[1].kept == 1


def observation(own_id: str, minute: int, question: str, sent: int) -> dict[str, Any]:
    return {
        "id": own_id, "traceId": f"t{minute}", "startTime": f"2026-11-02T15:{minute:02d}:00Z",
        "type": "GENERATION", "model": "gpt-4o", "input": question, "output": "Here.",
        "usageDetails": {"input": sent, "output": 10},
    }  # fmt: skip


def generation(own_id: str, minute: int, question: str, sent: int) -> dict[str, Any]:
    return {
        "id": own_id, "created_at": f"2026-11-02T15:{minute:02d}:00Z", "model": "openai/gpt-4o",
        "native_tokens_prompt": sent, "native_tokens_completion": 10, "total_cost": 0.001,
    }  # fmt: skip


def spend_row(own_id: str, minute: int, question: str, sent: int) -> dict[str, Any]:
    moment = f"2026-11-02 15:{minute:02d}:00.120"
    return {
        "request_id": own_id, "call_type": "acompletion", "api_key": "k", "spend": 0.01,
        "prompt_tokens": sent, "completion_tokens": 10, "startTime": moment, "endTime": moment,
        "model": "gpt-4o", "custom_llm_provider": "openai", "status": "success",
        "metadata": '{"litellm_call_id": "one"}',
    }  # fmt: skip


@pytest.mark.parametrize("record", [observation, generation, spend_row])
def test_a_platforms_own_id_names_a_call_only_with_its_content(
    record: Any, tmp_path: Path, ingested: Ingest
) -> None:
    """Two calls with one id, the second logged twice: 1,000 and 1,300 tokens."""
    records = [
        record("row-1", 1, "Where is it?", 1_000),
        record("row-1", 9, "Refund?", 1_300),
        record("row-1", 9, "Refund?", 1_300),
    ]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", records))
    assert (summary.kept, summary.merged) == (2, 1)
    assert run.requests()["input_uncached_tokens"].sum() == 2_300


def test_a_later_state_of_a_platforms_record_is_the_same_call(
    tmp_path: Path, ingested: Ingest
) -> None:
    early, late = observation("o1", 1, "Where?", 40), observation("o1", 1, "Where?", 1_000)
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", [late, early]))
    assert (summary.kept, summary.merged) == (1, 1)
    assert run.requests()["input_uncached_tokens"].to_list() == [1_000]


def test_ids_that_are_used_again_prove_nothing(tmp_path: Path, ingested: Ingest) -> None:
    """60 rows share 7 ids; some have the same id and the same tokens at another time."""
    rows = [spend_row(f"c-{n % 7}", n, "", 1_000 + n % 3) | {"metadata": "{}"} for n in range(60)]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", [*rows, rows[3]]))
    assert (summary.kept, summary.merged) == (60, 1)
    assert run.requests()["input_uncached_tokens"].sum() == sum(1_000 + n % 3 for n in range(60))


def test_an_id_names_a_call_only_within_a_tenant_or_user(tmp_path: Path, ingested: Ingest) -> None:
    records = [
        named(1, "chatcmpl-1", "Where is it?", 1_000) | {"tenant": "acme"},
        named(9, "chatcmpl-1", "Where is it?", 1_000) | {"tenant": "globex"},  # counts from 1 too
        named(5, "chatcmpl-1", "Where is it?", 1_000) | {"tenant": "acme"},  # logged twice
        named(2, "chatcmpl-2", "Where is it?", 1_000) | {"user": "ann"},
        named(2, "chatcmpl-2", "Where is it?", 1_000),  # told again without the user
    ]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", records))
    assert (summary.kept, summary.merged) == (3, 2)
    assert sorted(run.requests()["tenant"].to_list(), key=str) == [None, "acme", "globex"]
