"""Which requests are compared: keys, scopes, eligibility and times in handmade logs."""

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.policies import ScopeField, SemanticPolicy
from costaudit.errors import UsageError
from costaudit.simulate.semantic.keys import REASONS, keys_of
from costaudit.simulate.semantic.stream import Stream, keyed_stream, rescoped
from costaudit.simulate.templates import system_templates
from tests.simulate.traffic import Log

EVERYTHING = SemanticPolicy(min_similarity=0.9, scope=())


def stream_of(log: Log, policy: SemanticPolicy = EVERYTHING) -> Stream:
    requests, blocks = log.tables()
    return keyed_stream(requests, blocks, policy, system_templates(requests, blocks))


def texts_of(stream: Stream) -> list[str | None]:
    texts = stream.texts["text"].to_list()
    return [texts[row] if row >= 0 else None for row in stream.text]


def test_the_three_keys_compare_different_texts() -> None:
    log = Log()
    log.call([("system", "Be brief.", 2), ("user", "Hi", 1)])
    log.call([("user", "Hi", 1), ("assistant", "Hello", 1), ("user", "Where is it?", 3)])
    log.call([("user", "Hey", 1), ("assistant", "Hello", 1), ("user", "Where is it?", 3)])
    log.call([("user", "One", 1), ("user", "two", 1), ("tool", "42", 1, None, "tool_result")])
    conversation = stream_of(log)
    assert texts_of(conversation) == ["Hi", "Where is it?", "Where is it?", "One\ntwo"]
    a, b, c, d = conversation.partition.tolist()
    assert len({a, b, c, d}) == 4  # no history, two histories, one with a tool result
    assert set(conversation.pool.tolist()) == {0}  # the size limit applies across histories
    last_user = stream_of(log, SemanticPolicy(min_similarity=0.9, scope=(), key="last_user"))
    assert texts_of(last_user) == texts_of(conversation)
    assert set(last_user.partition.tolist()) == {0}
    full = stream_of(log, SemanticPolicy(min_similarity=0.9, scope=(), key="full"))
    assert texts_of(full) == [
        "Hi", "Hi\nHello\nWhere is it?", "Hey\nHello\nWhere is it?", "One\ntwo\n42",
    ]  # fmt: skip
    assert set(full.partition.tolist()) == {0}


def test_texts_are_distinct_in_order_of_appearance() -> None:
    log = Log()
    for text in ("b", "a", "b", "ä", "a"):
        log.call([("user", text, 1)])
    stream = stream_of(log)
    assert stream.texts["text"].to_list() == ["b", "a", "ä"]
    assert stream.text.tolist() == [0, 1, 0, 2, 1]


@pytest.mark.parametrize(
    ("scope", "groups"),
    [
        ((), [0, 0, 0, 0, 0]),
        (("tenant",), [0, 1, 0, 2, 2]),  # two requests without tenant share one partition
        (("model",), [0, 0, 1, 0, 0]),
        (("system_raw",), [0, 0, 0, 1, 2]),
        (("system",), [0, 0, 0, 1, 1]),  # the date is a moving part, ignored
        (("tools",), [0, 0, 0, 0, 1]),
        (("tenant", "model", "tools"), [0, 1, 2, 3, 4]),
    ],
)
def test_a_scope_field_parts_what_differs_in_it(
    scope: tuple[ScopeField, ...], groups: list[int]
) -> None:
    log = Log()
    system = "You are the assistant of a bank and answer in two sentences at most. Today is {}."
    log.call([("user", "q", 1)], tenant="a", model="m")
    log.call([("user", "q", 1)], tenant="b", model="m")
    log.call([("user", "q", 1)], tenant="a", model="n")
    log.call([("system", system.format("2026-11-02"), 9), ("user", "q", 1)], model="m")
    log.call(
        [("tools", "{}", 1), ("system", system.format("2026-11-03"), 9), ("user", "q", 1)],
        model="m",
    )
    policy = SemanticPolicy(min_similarity=0.9, scope=scope)
    assert stream_of(log, policy).partition.tolist() == groups
    assert stream_of(log, policy).pool.tolist() == groups


def test_the_system_scope_needs_templates() -> None:
    log = Log()
    log.call([("user", "q", 1)])
    with pytest.raises(UsageError, match="templates"):
        keyed_stream(*log.tables(), SemanticPolicy(min_similarity=0.9))


def test_each_bypass_is_counted_under_its_reason() -> None:
    log = Log()
    question = [("user", "q", 1)]
    log.call(question)  # eligible
    log.call(question, answer_kind="missing")  # an unlogged answer is fine
    log.call(question, finish_reason="stop", answer_kind="text", temperature=1.0)
    log.call(question, kind="embedding")
    log.call(question, served_by="gateway_cache")
    log.call(question, status="error", answer_kind="empty")  # the first reason counts
    log.call([*question, ("user", None, 0, None, "image")])
    log.call([("assistant", "prefill", 1)])
    log.call([("user", "  \n", 1)])
    log.call([("user", None, 1)])  # redacted
    log.call([])
    log.call(question, truncated=True)
    log.call(question, temperature=1.5)
    log.call(question, answer_kind="tool_use")
    log.call(question, finish_reason="tool_calls")
    log.call(question, finish_reason="length")
    log.call(question, answer_kind="refusal")
    log.call(question, answer_kind="empty")
    log.call(question, at=None)
    stream = stream_of(log)
    assert (stream.text >= 0).tolist() == [True] * 3 + [False] * 16
    assert stream.bypassed() == {
        "not_chat": 1, "gateway_cache": 1, "status_error": 1, "images": 1, "no_prompt": 4,
        "truncated": 1, "temperature": 1, "tool_use": 2, "finish_reason": 1, "refusal": 1,
        "no_answer": 1, "no_time": 1,
    }  # fmt: skip
    assert set(stream.bypassed()) == set(REASONS) - {""}


def test_an_answer_can_be_served_once_it_has_arrived() -> None:
    log = Log()
    for at, latency in ((0.0, 1500.0), (2.0, None), (3.0, -5.0)):
        log.call([("user", "q", 1)], at=at, latency_ms=latency)
    stream = stream_of(log)
    assert stream.timed
    np.testing.assert_allclose(stream.ready_s - stream.ts_s[0], [1.5, 2.0, 3.0])
    at_once = SemanticPolicy(min_similarity=0.9, scope=(), visible_after="request")
    np.testing.assert_array_equal(stream_of(log, at_once).ready_s, stream.ts_s)


def test_a_log_without_times_goes_by_its_order() -> None:
    log = Log()
    for _ in range(3):
        log.call([("user", "q", 1)], at=None, latency_ms=9_000.0)
    stream = stream_of(log)
    assert not stream.timed
    assert stream.bypassed() == {}
    assert stream.ts_s.tolist() == stream.ready_s.tolist() == [0.0, 1.0, 2.0]


def test_an_empty_log_makes_an_empty_stream() -> None:
    stream = stream_of(Log())
    assert len(stream.texts) == len(stream.text) == 0
    assert stream.texts.schema == pl.Schema({"text": pl.String})


@pytest.mark.parametrize("scope", [(), ("system",), ("model", "system_raw"), ("tenant", "tools")])
def test_another_scope_gives_the_stream_that_is_keyed_anew(scope: tuple[ScopeField, ...]) -> None:
    log = Log()
    for model, tenant, prompt in (("a", "x", "Be brief."), ("b", "x", "Be kind."), ("a", "y", "")):
        log.call([("system", prompt, 2), ("user", "Hi", 1)], model=model, tenant=tenant)
    requests, blocks = log.tables()
    templates = system_templates(requests, blocks)
    policy = SemanticPolicy(min_similarity=0.9, scope=scope)
    keys = keys_of(requests, blocks, EVERYTHING.key)
    base = keyed_stream(requests, blocks, EVERYTHING, templates, keys)
    narrow = rescoped(base, requests, policy, templates, keys)
    anew = keyed_stream(requests, blocks, policy, templates)
    for name in ("text", "partition", "pool", "ts_s", "ready_s", "bypass"):
        assert np.array_equal(getattr(narrow, name), getattr(anew, name)), name
    assert narrow.texts.equals(anew.texts)
