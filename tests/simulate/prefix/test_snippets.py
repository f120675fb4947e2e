"""The code to paste does what the plan says, in each provider's own words."""

import datetime

import pytest

from costaudit.simulate.prefix.advice.markers import Plan
from costaudit.simulate.prefix.advice.template_facts import describe, snippet
from costaudit.simulate.prefix.rules.rules import named_rules

TODAY = datetime.date(2026, 11, 20)
PLAN = Plan(tools="1h", static="5m", last="5m")


def code(name: str, plan: Plan, part: str = "system", block: int = -1) -> str:
    return snippet(plan, part, block, named_rules(name, "claude-opus-5", TODAY))


def test_anthropic_sets_three_markers() -> None:
    request = {
        "tools": [{"name": "a"}, {"name": "b"}],
        "system": [{"type": "text", "text": "s"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}],
    }
    exec(code("anthropic", PLAN), request)
    assert request["tools"][1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert request["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert request["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in request["tools"][0]


@pytest.mark.parametrize(("block", "place"), [(-1, 2), (0, 1)])
def test_bedrock_adds_cache_points(block: int, place: int) -> None:
    request = {
        "toolConfig": {"tools": [{"toolSpec": {}}]},
        "system": [{"text": "s"}, {"text": "moving"}],
        "messages": [{"role": "user", "content": [{"text": "q"}]}],
    }
    exec(code("bedrock", PLAN, block=block), request)
    assert request["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert request["system"][place] == {"cachePoint": {"type": "default"}}
    assert request["messages"][0]["content"][-1] == {"cachePoint": {"type": "default"}}


@pytest.mark.parametrize(("own", "mode"), [(True, "implicit"), (False, "explicit")])
def test_openai_sets_an_explicit_breakpoint(own: bool, mode: str) -> None:
    request = {"part": {"type": "input_text", "text": "s"}}
    exec(code("openai", Plan(static="30m", own=own)), request)
    assert request["part"]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert request["prompt_cache_options"] == {"mode": mode, "ttl": "30m"}


def test_there_is_nothing_to_set_where_caching_is_automatic_or_stays_as_it_is() -> None:
    assert code("gemini", PLAN) == ""
    assert code("anthropic", Plan(keep=True)) == ""


def test_plans_in_words() -> None:
    words = (
        "after the tools (1h), after block 2 of the system prompt (5m), after the last message (5m)"
    )
    assert describe(PLAN, "system", 1) == words
    assert describe(Plan(own=True), "", -1) == "the provider's own at the end"
    assert describe(Plan(), "", -1) == "none"
    assert describe(Plan(keep=True), "", -1) == "as now"
