"""Snippets change only markers: if run again, on clients' objects, and on older markers."""

import copy
import datetime
import json
from typing import Any

import httpx2
import pytest

from costaudit.simulate.prefix.advice.markers import EXPLICIT, IMPLICIT, Plan
from costaudit.simulate.prefix.advice.snippets import BodyForm, Spot, snippet
from costaudit.simulate.prefix.rules.rules import named_rules
from tests.simulate.prefix.recording import posted

TODAY = datetime.date(2026, 11, 20)
MOST = 4  # the maximum number of markers at Anthropic, Bedrock and OpenAI
SPOTS = [Spot("system", -1), Spot("system", 0), Spot("tools", -1),
         Spot("examples", 0, 0), Spot("examples", -1, 0), Spot("documents", 3, 5)]  # fmt: skip
MARK = {"cache_control": {"type": "ephemeral"}}
POINT = {"cachePoint": {"type": "default"}}
BREAK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


# What an application sends today in each form, with more markers than a provider accepts.
TURN: dict[str, Any] = {"role": "user", "content": [text("a document", **MARK), text("q", **MARK)]}
CLAUDE: dict[str, Any] = {
    "tools": [{"name": "t", "description": "d", "input_schema": {"type": "object"}, **MARK}],
    "system": [text("rules", **MARK), text("now", **MARK)],
    "messages": [TURN],
}
CHAT: dict[str, Any] = {
    "tools": [{"type": "function", "function": {"name": "t", "parameters": {}}}],
    "messages": [{"role": "system", "content": [text("rules", **MARK), text("now")]}, TURN],
}
CONVERSE: dict[str, Any] = {
    "toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}, POINT]},
    "system": [{"text": "rules"}, POINT, {"text": "now"}],
    "messages": [{"role": "user", "content": [{"text": "a document"}, POINT, {"text": "q"}]}],
}
OPENAI: dict[str, Any] = {
    "tools": CHAT["tools"],
    "messages": [{"role": "developer", "content": [text("rules", **BREAK), text("now")]},
                 {"role": "user", "content": [text("a document", **BREAK), text("q", **BREAK)]}],
}  # fmt: skip
RESPONSES: dict[str, Any] = {
    "input": [
        {"role": "developer", "content": [{"type": "input_text", "text": "rules", **BREAK}]},
        {"role": "user", "content": [{"type": "input_text", "text": "q", **BREAK}]},
        {"type": "function_call", "call_id": "c", "name": "t", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "5"},
    ]
}
FORMS: list[tuple[str, BodyForm, dict[str, Any], tuple[Plan, ...]]] = [
    ("anthropic", "anthropic", CLAUDE, EXPLICIT),
    ("bedrock", "anthropic", CLAUDE, EXPLICIT),  # InvokeModel
    ("anthropic", "chat", CHAT, EXPLICIT),
    ("bedrock", "converse", CONVERSE, EXPLICIT),
    ("openai", "chat", OPENAI, IMPLICIT),
    ("openai", "responses", RESPONSES, IMPLICIT),
]


def code(rules: str, plan: Plan, form: BodyForm, spot: Spot) -> str:
    today = frozenset({"tools", "system", "user"})
    return snippet(plan, spot, named_rules(rules, "claude-opus-5", TODAY), form, today)


def bare(value: Any) -> Any:
    """Return a request without its markers."""
    if isinstance(value, dict):
        marks = ("cache_control", "prompt_cache_breakpoint", "prompt_cache_options")
        return {k: bare(v) for k, v in value.items() if k not in marks}
    if isinstance(value, list):
        return [bare(one) for one in value if one != {} and "cachePoint" not in one]
    return value


@pytest.mark.parametrize(("rules", "form", "request_", "plans"), FORMS)
@pytest.mark.parametrize("spot", SPOTS, ids=str)
def test_called_again_it_sets_the_same_markers_and_changes_nothing_else(
    rules: str, form: BodyForm, request_: dict[str, Any], plans: tuple[Plan, ...], spot: Spot
) -> None:
    for plan in plans:
        lines = code(rules, plan, form, spot)
        names = copy.deepcopy(request_)
        given = {name: names[name] for name in request_}  # the application's own lists
        before = copy.deepcopy(given)
        sent = []
        for _ in range(3):
            exec(lines, names)
            set_ = (*request_, "cache_control", "prompt_cache_options")
            sent.append(copy.deepcopy({key: names[key] for key in set_ if key in names}))
        assert sent[0] == sent[1] == sent[2]
        assert given == before  # the application's objects are unchanged
        if not lines:
            continue
        found = json.dumps(sent[0])
        kinds = ("cache_control", "cachePoint", "prompt_cache_breakpoint")
        assert sum(found.count(f'"{kind}"') for kind in kinds) <= MOST
        wanted, got = bare(before), bare({k: v for k, v in sent[0].items() if k in before})
        if spot.part == "tools" and form in ("chat", "responses") and plans is IMPLICIT:
            place = "input" if form == "responses" else "messages"
            got[place] = got[place][-len(wanted[place]) :]  # after the guide to the tools
        assert got == wanted


@pytest.mark.parametrize(("rules", "form"), [("bedrock", "anthropic"), ("bedrock", "converse")])
def test_both_markers_of_a_first_turn_stay(rules: str, form: BodyForm) -> None:
    """The first message's document is cached for an hour, its question for five minutes."""
    request_ = copy.deepcopy(CLAUDE if form == "anthropic" else CONVERSE)
    exec(code(rules, Plan(static="1h", last="5m"), form, Spot("documents", 0, 0)), request_)
    content = request_["messages"][0]["content"]
    if form == "anthropic":
        assert [block["cache_control"].get("ttl") for block in content] == ["1h", None]
    else:
        assert [one.get("cachePoint", {}).get("ttl") for one in content] == [None, "1h", None, None]
        assert len(content) == 4 and "cachePoint" in content[3]


@pytest.mark.parametrize(("rules", "form"), [("bedrock", "anthropic"), ("bedrock", "converse")])
def test_where_two_markers_meet_the_longer_one_stays(rules: str, form: BodyForm) -> None:
    request_ = copy.deepcopy(CLAUDE if form == "anthropic" else CONVERSE)
    exec(code(rules, Plan(static="1h", last="5m"), form, Spot("question", -1, 0)), request_)
    content = request_["messages"][0]["content"]
    marks = [one for block in content for key, one in block.items() if key.startswith("cache")]
    assert [mark.get("ttl") for mark in marks] == ["1h"]


@pytest.mark.parametrize(("rules", "form"), [("bedrock", "anthropic"), ("bedrock", "converse")])
def test_markers_of_today_give_way_to_those_of_the_plan(rules: str, form: BodyForm) -> None:
    names = copy.deepcopy(CLAUDE if form == "anthropic" else CONVERSE)
    exec(code(rules, Plan(tools="1h", static="1h"), form, Spot("system", -1)), names)
    held = [names["tools"] if form == "anthropic" else names["toolConfig"]["tools"]]
    for blocks in (*held, names["system"]):
        marks = [one for block in blocks for key, one in block.items() if key.startswith("cache")]
        assert [mark.get("ttl") for mark in marks] == ["1h"]


def test_a_plan_without_markers_takes_off_those_of_today() -> None:
    for rules, form, request_, plans in FORMS[:4]:
        assert Plan() in plans
        names = copy.deepcopy(request_)
        exec(code(rules, Plan(), form, Spot("", -1)), names)
        text_ = json.dumps({key: names[key] for key in request_})
        assert "cache_control" not in text_ and "cachePoint" not in text_


def test_claude_s_own_answers_are_sent_back() -> None:
    """Applications append an answer's blocks as the client returned them."""
    import anthropic
    from anthropic.types import TextBlock, ToolUseBlock

    answer = [TextBlock(type="text", text="a"),
              ToolUseBlock(type="tool_use", id="u", name="t", input={"x": 1})]  # fmt: skip
    result = [{"type": "tool_result", "tool_use_id": "u", "content": "5"}]
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": answer},
                {"role": "user", "content": result}]  # fmt: skip
    names: dict[str, Any] = {**CLAUDE, "messages": messages}
    posts: list[Any] = []
    client = anthropic.Anthropic(api_key="k", max_retries=0, http_client=posted(httpx2, posts))
    for _ in range(3):
        exec(code("bedrock", Plan(static="1h", last="5m"), "anthropic", SPOTS[0]), names)
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(model="claude-opus-5", max_tokens=9, system=names["system"],
                                   tools=names["tools"], messages=names["messages"])  # fmt: skip
    handled = [json.loads(post.content) for post in posts]
    assert handled[0] == handled[2]
    sent = handled[2]["messages"]
    assert sent[1]["content"][1]["input"] == {"x": 1}
    assert sent[2]["content"] == [{**result[0], **MARK}]
    assert json.dumps(handled[2]).count('"cache_control"') == 2


@pytest.mark.parametrize("rules", ["anthropic", "openai"])
def test_answers_and_tool_calls_of_chat_completions_are_sent_back(rules: str) -> None:
    import openai
    from openai.types.chat import ChatCompletionMessage

    call = {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}
    first = CHAT["messages"] if rules == "anthropic" else OPENAI["messages"]
    spoken = ChatCompletionMessage.model_validate({"role": "assistant", "tool_calls": [call]})
    messages = [*first, spoken, {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "5"}]  # fmt: skip
    names: dict[str, Any] = {"tools": CHAT["tools"], "messages": messages}
    plan = Plan(static="1h", last="5m") if rules == "anthropic" else Plan(static="30m", own=True)
    posts: list[Any] = []
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=posted(httpx2, posts))
    for _ in range(3):
        exec(code(rules, plan, "chat", SPOTS[0]), names)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(
                model="m", messages=names["messages"], tools=names["tools"]
            )
    handled = [json.loads(post.content) for post in posts]
    assert handled[0] == handled[2]
    sent = handled[2]["messages"]
    assert [one["role"] for one in sent][2:] == ["assistant", "assistant", "tool"]
    assert "content" not in sent[3] and sent[3]["tool_calls"] == [call]


def test_items_and_instructions_of_the_responses_api() -> None:
    import openai
    from openai.types.responses import ResponseFunctionToolCall

    item = ResponseFunctionToolCall(
        type="function_call", call_id="c", name="t", arguments="{}", id="f"
    )
    items = [{"role": "user", "content": "q"}, item, RESPONSES["input"][3]]
    names: dict[str, Any] = {"input": items, "instructions": "rules"}
    posts: list[Any] = []
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=posted(httpx2, posts))
    for _ in range(3):
        exec(code("openai", Plan(static="30m"), "responses", SPOTS[0]), names)
        with pytest.raises(openai.BadRequestError):
            client.responses.create(
                model="m", input=names["input"], prompt_cache_options=names["prompt_cache_options"]
            )
    handled = [json.loads(post.content) for post in posts]
    assert handled[0] == handled[2]
    sent = handled[2]["input"]
    assert sent[0]["content"] == [{"type": "input_text", "text": "rules", **BREAK}]
    assert [one.get("type") for one in sent[2:]] == ["function_call", "function_call_output"]
    assert "content" not in sent[2] and "content" not in sent[3]


def test_invoke_model_takes_the_body_as_json() -> None:
    import boto3
    from botocore.stub import Stubber

    names: dict[str, Any] = {**CLAUDE, "messages": [{"role": "user", "content": "q"}]}
    client = boto3.client("bedrock-runtime", region_name="us-east-1", aws_access_key_id="a",
                          aws_secret_access_key="b")  # fmt: skip
    plan = Plan(tools="1h", static="5m", last="5m")
    with Stubber(client) as stub:
        for _ in range(3):
            exec(code("bedrock", plan, "anthropic", SPOTS[0]), names)
            body = json.dumps({key: names[key] for key in CLAUDE})
            stub.add_client_error("invoke_model", expected_params={"modelId": "m", "body": body})
            with pytest.raises(client.exceptions.ClientError):
                client.invoke_model(modelId="m", body=body)
            assert body.count('"cache_control"') == 3
