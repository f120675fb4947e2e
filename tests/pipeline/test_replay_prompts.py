"""A prompt is sent as logged: tools, tool calls with their results, and settings."""

import json

import polars as pl

from costaudit.pipeline.replaying.prompts import prompts_of
from costaudit.providers.call import CallSettings, Message, ToolCall
from costaudit.providers.openai import OpenAIClient
from tests.replay.model_server import Model, serving

TOOL = {"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}
BLOCKS = {
    "t": ("tool_definition", json.dumps(TOOL)),
    "s": ("text", "be brief"),
    "q": ("text", "where is it?"),
    "c": ("tool_use", '{"name":"track","input":{"id":7}}'),
    "r": ("tool_result", "in Oslo"),
    "a": ("text", "It is in Oslo."),
    "n": ("text", "and now?"),
}
ROLES = {"t": "tools", "s": "system", "q": "user", "c": "assistant", "r": "tool",
         "a": "assistant", "n": "user"}  # fmt: skip


def log() -> tuple[pl.DataFrame, pl.DataFrame]:
    segments = [{"role": ROLES[b], "kind": kind, "block_id": b} for b, (kind, _) in BLOCKS.items()]
    request = {
        "segments": segments, "model": "gpt-4o", "temperature": 0.2,
        "tool_choice": '"auto"', "response_format": '{"type":"json_object"}',
    }  # fmt: skip
    blocks = {"block_id": list(BLOCKS), "text": [text for _, text in BLOCKS.values()]}
    return pl.DataFrame([request]), pl.DataFrame(blocks)


def test_messages_calls_and_results_keep_their_order() -> None:
    (prompt,) = prompts_of(*log())
    assert prompt.messages == (
        Message("system", "be brief"),
        Message("user", "where is it?"),
        Message("assistant", "", (ToolCall("call_1", "track", '{"id":7}'),)),
        Message("tool", "in Oslo", call_id="call_1"),
        Message("assistant", "It is in Oslo."),
        Message("user", "and now?"),
    )
    assert json.loads(prompt.tools[0]) == TOOL


def test_what_is_sent_is_what_the_log_says_and_no_limit_is_invented() -> None:
    (prompt,) = prompts_of(*log())
    model = Model()
    with serving(model) as url:
        OpenAIClient(CallSettings(base_url=f"{url}/v1", bounded=False)).complete(prompt)
    (sent,) = model.requests
    assert sent["tools"] == [TOOL] and sent["tool_choice"] == "auto"
    assert sent["response_format"] == {"type": "json_object"} and sent["temperature"] == 0.2
    assert "max_tokens" not in sent
    assert [one["role"] for one in sent["messages"]] == [
        "system", "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip
    (call,) = sent["messages"][2]["tool_calls"]
    assert call["id"] == sent["messages"][3]["tool_call_id"]
    assert json.loads(call["function"]["arguments"]) == {"id": 7}
