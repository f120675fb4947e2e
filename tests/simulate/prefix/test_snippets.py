"""Snippets run in a loop, and the real clients send their markers in each form of body."""

import datetime
import json
from typing import Any

import httpx2
import pytest

from costaudit.simulate.prefix.advice.markers import Plan
from costaudit.simulate.prefix.advice.snippets import BodyForm, Spot, snippet
from costaudit.simulate.prefix.advice.template_facts import describe
from costaudit.simulate.prefix.rules.rules import named_rules
from tests.simulate.prefix.recording import posted

TODAY = datetime.date(2026, 11, 20)
PLAN = Plan(tools="1h", static="5m", last="5m")
TURNS = 6
SYSTEM = Spot("system", -1)


def code(name: str, plan: Plan, form: BodyForm, spot: Spot = SYSTEM) -> str:
    return snippet(plan, spot, named_rules(name, "claude-opus-5", TODAY), form)


def looped(text: str, request: dict[str, Any], turns: str = "messages") -> list[dict[str, Any]]:
    """Run a snippet before each call of a growing conversation; return the bodies to send."""
    sent = []
    names = dict(request)
    for number in range(TURNS):
        exec(text, names)
        sent.append({key: names[key] for key in (*request, "cache_control",
                     "prompt_cache_options") if key in names})  # fmt: skip
        content: Any = [{"text": f"q{number}"}] if "toolConfig" in request else f"q{number}"
        names[turns] = [
            *names[turns],
            {"role": "assistant", "content": content},
            {"role": "user", "content": content},
        ]
    return sent


def marks(body: Any, name: str) -> int:
    """Count markers at any depth."""
    return json.dumps(body).count(f'"{name}"')


TOOL = {"name": "t", "description": "d", "input_schema": {"type": "object"}}
BLOCK = {"type": "text", "text": "rules"}


@pytest.mark.parametrize("system", ["rules", [BLOCK], [{**BLOCK, "cache_control": {}}]])
@pytest.mark.parametrize("automatic", [True, False])
def test_anthropic_s_client_sends_the_marks(system: Any, automatic: bool) -> None:
    """The Messages API accepts one top-level marker; InvokeModel takes the same body without it."""
    import anthropic

    rules = "anthropic" if automatic else "bedrock"
    request = {"tools": [TOOL], "system": system, "messages": [{"role": "user", "content": "q"}]}
    handled: list[Any] = []
    client = anthropic.Anthropic(api_key="k", max_retries=0, http_client=posted(httpx2, handled))
    for body in looped(code(rules, PLAN, "anthropic"), request):
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(model="claude-opus-5", max_tokens=9, **body)
        sent = json.loads(handled[-1].content)
        assert marks(sent, "cache_control") == 3
        assert sent["tools"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
        assert sent["system"][-1]["cache_control"] == {"type": "ephemeral"}
        last = sent if automatic else sent["messages"][-1]["content"][-1]
        assert last["cache_control"] == {"type": "ephemeral"}
    assert len(handled) == TURNS


def test_claude_behind_chat_completions_has_its_marks_on_parts() -> None:
    import openai

    request = {
        "messages": [{"role": "system", "content": "rules"}, {"role": "user", "content": "q"}]
    }
    handled: list[Any] = []
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=posted(httpx2, handled))
    for body in looped(code("anthropic", Plan(static="1h", last="5m"), "chat"), request):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="claude-opus-5", **body)
        sent = json.loads(handled[-1].content)
        assert marks(sent, "cache_control") == 2
        assert sent["messages"][0]["content"][-1]["cache_control"]["ttl"] == "1h"
        assert "cache_control" in sent["messages"][-1]["content"][-1]


@pytest.mark.parametrize(("block", "place"), [(-1, 2), (0, 1)])
def test_converse_takes_cache_points(block: int, place: int) -> None:
    import boto3
    from botocore.stub import Stubber

    request = {
        "toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}]},
        "system": [{"text": "s"}, {"text": "moving"}],
        "messages": [{"role": "user", "content": [{"text": "q"}]}],
    }
    client = boto3.client("bedrock-runtime", region_name="us-east-1", aws_access_key_id="a",
                          aws_secret_access_key="b")  # fmt: skip
    with Stubber(client) as stub:
        for body in looped(code("bedrock", PLAN, "converse", Spot("system", block)), request):
            stub.add_client_error("converse", expected_params={"modelId": "m", **body})
            with pytest.raises(client.exceptions.ClientError):
                client.converse(modelId="m", **body)  # validated by the service's own model
            assert marks(body, "cachePoint") == 3
            assert body["toolConfig"]["tools"][1]["cachePoint"] == {"type": "default", "ttl": "1h"}
            assert body["system"][place] == {"cachePoint": {"type": "default"}}
            assert body["messages"][-1]["content"][-1] == {"cachePoint": {"type": "default"}}


@pytest.mark.parametrize(("own", "mode"), [(True, "implicit"), (False, "explicit")])
@pytest.mark.parametrize("part", ["system", "tools"])
def test_openai_s_breakpoint_stands_on_a_content_part(own: bool, mode: str, part: str) -> None:
    """Tools can't carry one, so a constant message after them carries it."""
    import openai

    first = [{"role": "developer", "content": "rules"}] if part == "system" else []
    plan = Plan(static="30m", own=own)
    tool = {"type": "function", "function": {"name": "t", "parameters": {}}}
    handled: list[Any] = []
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=posted(httpx2, handled))
    request = {"tools": [tool], "messages": [*first, {"role": "user", "content": "q"}]}
    for body in looped(code("openai", plan, "chat", Spot(part, -1)), request):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="gpt-5.6-sol", **body)
        sent = json.loads(handled[-1].content)
        assert marks(sent, "prompt_cache_breakpoint") == 1
        (marked,) = sent["messages"][0]["content"]
        assert marked["prompt_cache_breakpoint"] == {"mode": "explicit"}
        assert sent["prompt_cache_options"] == {"mode": mode, "ttl": "30m"}
        assert [m["role"] for m in sent["messages"]].count("developer") == 1


def test_the_responses_api_is_marked_in_its_own_words() -> None:
    import openai

    request = {"input": [{"role": "developer", "content": "rules"}]}
    handled: list[Any] = []
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=posted(httpx2, handled))
    text = code("openai", Plan(static="30m"), "responses")
    for body in looped(text, request, "input"):
        with pytest.raises(openai.BadRequestError):
            client.responses.create(model="gpt-5.6-sol", **body)
        sent = json.loads(handled[-1].content)
        assert marks(sent, "prompt_cache_breakpoint") == 1
        assert sent["input"][0]["content"][0]["type"] == "input_text"


def test_there_is_nothing_to_set_where_caching_is_automatic_or_stays_as_it_is() -> None:
    assert code("gemini", PLAN, "anthropic") == ""
    assert code("anthropic", Plan(keep=True), "anthropic") == ""


def test_plans_in_words() -> None:
    words = (
        "after the tools (1h), after block 2 of the system prompt (5m), after the last message (5m)"
    )
    assert describe(PLAN, "system", 1) == words
    assert describe(Plan(own=True), "", -1) == "the provider's own at the end"
    assert describe(Plan(), "", -1) == "none"
    assert describe(Plan(keep=True), "", -1) == "as now"
