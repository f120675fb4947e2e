"""Request settings other than text: scopes, modes and lifetimes of the cache."""

from typing import Any

import polars as pl
import pytest

from costaudit.contracts.policies import PrefixPolicy
from costaudit.simulate.prefix.advice.facts import prefix_facts
from costaudit.simulate.prefix.advice.policy_run import simulate_prefix
from costaudit.simulate.prefix.breakers.breakers import BreakerFacts
from tests.simulate.traffic import Log

FAST: dict[str, Any] = {"ttft_ms": 100.0, "latency_ms": 200.0}
RULES = " ".join(f"rule{number}" for number in range(800))


def reads(log: Log) -> list[int]:
    classes = simulate_prefix(*log.tables(), PrefixPolicy()).classes
    return classes["cache_read_tokens"].to_list()


def breakers(log: Log) -> dict[str, BreakerFacts]:
    found = prefix_facts(*log.tables(), compare=False)
    return {item.kind: item for row in found.templates for item in row.breakers}


def saved(item: BreakerFacts) -> int:
    """Return the input tokens that a mend saves, weighted 1 : 0.1 : 1.25 : 2 by class."""
    weight = {
        "cache_read_tokens": -0.9,
        "cache_write_5m_tokens": 0.25,
        "cache_write_1h_tokens": 1.0,
        "cache_write_other_tokens": 0.25,
        "input_uncached_tokens": 0.0,
    }
    paid = item.saved.with_columns(pl.col("paid", "instead").replace_strict(weight))
    return int(paid.select(((pl.col("paid") - pl.col("instead")) * pl.col("tokens")).sum()).item())


TALK = [("system", RULES, 3000, "5m"), ("user", "q", 2000, "5m")]


@pytest.mark.parametrize(
    ("field", "values", "kept"),
    [
        ("tool_choice", (None, '{"type":"any"}'), 3000),
        ("thinking", ('{"type":"enabled","budget_tokens":1024}', None), 3000),
        ("response_format", (None, '{"type":"json_schema"}'), 0),
    ],
)
def test_a_setting_that_changes_keeps_what_stands_before_it(
    field: str, values: tuple[str | None, str | None], kept: int
) -> None:
    """Tool choice and thinking invalidate the messages; a format also the system prompt."""
    log = Log()
    for number in range(4):
        changed: dict[str, Any] = {field: values[number % 2]}
        log.call(TALK, 10.0 * number, **changed, **FAST)
    assert reads(log) == [0, kept, 5000, 5000]
    assert breakers(log)[field].lost_tokens == 5000 - kept


@pytest.mark.parametrize(
    ("model", "field", "values"),
    [
        ("claude-sonnet-4-5", "tool_choice", (None, '{"type":"auto"}')),
        ("claude-sonnet-4-5", "thinking", (None, '{"type":"disabled"}')),
        ("gpt-4o", "tool_choice", ('"none"', '"required"')),
    ],
)
def test_settings_that_do_not_enter_the_prefix_part_nothing(
    model: str, field: str, values: tuple[str | None, str]
) -> None:
    log = Log()
    for number in range(4):
        vendor = "openai" if "gpt" in model else "anthropic"
        changed: dict[str, Any] = {field: values[number % 2]}
        log.call(TALK, 10.0 * number, model=model, provider=vendor, **changed, **FAST)
    assert min(reads(log)[1:]) >= 4992


def test_the_effort_of_openai_s_models_parts_everything() -> None:
    log = Log()
    for number in range(4):
        effort = ('{"effort":"low"}', '{"effort":"high"}')[number % 2]
        log.call(TALK, 10.0 * number, model="gpt-5.1", provider="openai", thinking=effort, **FAST)
    assert reads(log)[:2] == [0, 0]
    assert "thinking" in breakers(log)


@pytest.mark.parametrize("column", ["account", "cache_key"])
def test_accounts_and_keys_do_not_share_a_cache(column: str) -> None:
    log = Log()
    for number in range(4):
        changed: dict[str, Any] = {column: "ab"[number % 2]}
        log.call(TALK, 10.0 * number, **changed, **FAST)
    assert reads(log) == [0, 0, 5000, 5000]


@pytest.mark.parametrize(("ttl", "expected"), [("5m", 0), ("1h", 5000)])
def test_automatic_caching_lives_as_long_as_it_asks(ttl: str, expected: int) -> None:
    log = Log()
    for number in range(3):
        log.call([("system", RULES, 3000), ("user", "q", 2000)], 1200.0 * number,
                 auto_cache_ttl=ttl, **FAST)  # fmt: skip
    assert reads(log) == [0, expected, expected]


def test_automatic_caching_walks_back_from_thinking_and_is_unknown_on_bedrock() -> None:
    log = Log()
    parts = [("system", RULES, 3000), ("assistant", "hm", 50, None, "thinking")]
    for number in range(2):
        log.call(parts, 10.0 * number, auto_cache_ttl="5m", **FAST)
    assert reads(log) == [0, 3000]
    elsewhere = Log()
    for number in range(2):
        elsewhere.call(parts, 10.0 * number, auto_cache_ttl="5m", provider="aws",
                       model="anthropic.claude-sonnet-4-5-20250929-v1:0", **FAST)  # fmt: skip
    assert reads(elsewhere) == [0, 0]


GPT: dict[str, Any] = {"provider": "openai", "model": "gpt-5.6-sol", **FAST}


def test_mode_explicit_without_a_breakpoint_caches_nothing_and_is_named() -> None:
    log = Log()
    for number in range(4):
        log.call([("system", RULES, 3000), ("user", "q", 100)], 10.0 * number,
                 cache_options='{"mode":"explicit","ttl":"30m"}', **GPT)  # fmt: skip
    assert reads(log) == [0, 0, 0, 0]
    found = breakers(log)["explicit_mode"]
    assert saved(found) == int(3 * 3100 * 0.9 - 3100 * 0.25)  # one write, three reads


@pytest.mark.parametrize(
    ("options", "marker", "expected"),
    [
        ('{"mode":"explicit"}', "12h", 3000),
        ('{"mode":"explicit"}', "30m", 0),
        ('{"mode":"implicit","ttl":"12h"}', None, 3100),
        ('{"mode":"implicit"}', None, 0),
        ("not json", "12h", 3000),
    ],
)
def test_openai_s_longer_lifetime_is_taken_from_marker_and_options(
    options: str, marker: str | None, expected: int
) -> None:
    log = Log()
    for number in range(2):
        question = f"q{number}" if marker else "q"
        log.call([("system", RULES, 3000, marker), ("user", question, 100)],
                 7200.0 * number, cache_options=options, **GPT)  # fmt: skip
    assert reads(log)[1] == expected


def test_another_template_s_lifetime_changes_no_verdict() -> None:
    """Pauses outlast /a's cache, whatever lifetime two calls of /b request."""
    alone, mixed = Log(), Log()
    for log in (alone, mixed):
        for number in range(20):
            log.call([("system", RULES, 3000, "5m"), ("user", f"q{number}", 10)], 600.0 * number,
                     endpoint="/a", **FAST)  # fmt: skip
    for number in range(2):
        mixed.call([("system", "other " * 2000, 3000, "1h"), ("user", f"q{number}", 10)],
                   5.0 + 600.0 * number, endpoint="/b", **FAST)  # fmt: skip
    found, same = breakers(alone), breakers(mixed)
    assert set(found) == set(same) == {"ttl_gap", "write_only"}
    assert same["ttl_gap"].lost_tokens == found["ttl_gap"].lost_tokens == 19 * 3000
    assert saved(same["ttl_gap"]) == saved(found["ttl_gap"]) > 0


DOCUMENT = " ".join(f"clause{number}" for number in range(1500))


def test_an_identifier_before_a_document_in_the_first_user_message_is_found_there() -> None:
    log = Log()
    for number in range(20):
        text = f"Request {number:08x}-5ab1-3179-1a04-7be09e3420ac\n\n{DOCUMENT}"
        log.call([("system", "Answer briefly.", 5), ("user", text, 4000)], 10.0 * number,
                 model="gpt-4o", provider="openai", **FAST)  # fmt: skip
    found = breakers(log)["uuid"]
    assert found.where.startswith("message, block 2, character ")
    # Read at half the price from the second request on, in steps of 128 tokens.
    assert found.lost_tokens == pytest.approx(19 * 4000, rel=0.03)


def test_texts_that_take_turns_are_variants() -> None:
    log = Log()
    for number in range(20):
        style = ("Be brief.", "Be friendly and thorough, with one example.")[number // 3 % 2]
        log.call([("user", f"{style}\n{DOCUMENT}", 4000, "5m"), ("assistant", "ok", 5),
                  ("user", f"q{number}", 10)], 400.0 * number, **FAST)  # fmt: skip
    found = breakers(log)
    assert {"variant", "ttl_gap"} & set(found)
