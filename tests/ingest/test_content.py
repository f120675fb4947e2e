"""Equal content becomes one block, whatever dialect and escapes it was logged in."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_128_hexdigest

from costaudit.ingest.calls.call import Prompt
from costaudit.ingest.content.interner import Interner
from costaudit.ingest.content.redaction import Redaction, Redactor

TEXT = st.text(st.characters(codec="utf-8"), min_size=1)
PIXEL = base64.b64encode(b"\x89PNG not really" * 20).decode()


def read(
    messages: list[Any], system: Any = None, tools: Any = None, *, ascii: bool = True
) -> list[tuple[str, str, str, str | None]]:
    """Return the role, kind, text and marker of each segment of a prompt."""
    interner = Interner(Redactor(Redaction()))
    encoded = [json.dumps(m, ensure_ascii=ascii).encode() for m in messages]
    prompt = Prompt(
        json.dumps(tools).encode() if tools else b"",
        json.dumps(system).encode() if system else b"",
        encoded,
    )
    found, _ = interner.prompt(prompt)
    segments = [interner.segments[index] for index in found]
    return [
        (role, interner.kinds[block], interner.texts[block], marker)
        for role, block, marker in segments
    ]


@given(TEXT)
def test_escapes_make_no_difference_and_the_id_is_the_hash(text: str) -> None:
    interner = Interner(Redactor(Redaction()))
    spellings = [
        json.dumps({"role": "user", "content": text}).encode(),
        json.dumps({"content": text, "role": "user"}, ensure_ascii=False, indent=1).encode(),
        json.dumps({"role": "user", "content": [{"type": "text", "text": text}]}).encode(),
        json.dumps({"role": "user", "parts": [{"text": text}]}).encode(),
        json.dumps({"role": "user", "parts": [{"type": "text", "content": text}]}).encode(),
    ]
    found, turns = interner.prompt(Prompt(messages=spellings))
    assert len(set(found)) == 1
    assert turns == 5
    assert interner.texts == [text]
    assert interner.names == [xxh3_128_hexdigest(b"text\0" + text.encode())]


SAME_MESSAGES: dict[str, list[list[dict[str, Any]]]] = {
    "a tool call": [
        [{"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function",
          "function": {"name": "get", "arguments": '{"id": 7}'}}]}],
        [{"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "get",
          "input": {"id": 7}}]}],
        [{"role": "assistant", "content": [{"toolUse": {"toolUseId": "x", "name": "get",
          "input": {"id": 7}}}]}],
        [{"role": "model", "parts": [{"functionCall": {"name": "get", "args": {"id": 7}}}]}],
        [{"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "get",
          "arguments": {"id": 7}}]}],
        [{"type": "function_call", "call_id": "c", "name": "get", "arguments": '{"id":7}'}],
    ],
    "a tool result": [
        [{"role": "tool", "tool_call_id": "c1", "content": "seven"}],
        [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1",
          "content": "seven"}]}],
        [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1",
          "content": [{"type": "text", "text": "seven"}]}]}],
        [{"role": "user", "content": [{"toolResult": {"toolUseId": "x",
          "content": [{"text": "seven"}]}}]}],
        [{"type": "function_call_output", "call_id": "c", "output": "seven"}],
        [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "c",
          "response": "seven"}]}],
    ],
    "a system text": [
        [{"role": "system", "content": "Be kind."}],
        [{"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]}],
        [{"lc": 1, "type": "constructor", "id": ["a", "SystemMessage"],
          "kwargs": {"content": "Be kind."}}],
        [{"type": "system", "data": {"content": "Be kind."}}],
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_MESSAGES)
def test_dialects_of_one_message_are_one_segment(name: str) -> None:
    first, *others = [read(messages) for messages in SAME_MESSAGES[name]]
    assert len(first) == 1
    for number, other in enumerate(others, 1):
        assert other == first, number


def test_dialects_of_one_tool_are_one_block() -> None:
    schema = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}}
    dialects: list[Any] = [
        [{"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}],
        [{"type": "function", "name": "f", "description": "d", "parameters": schema}],
        [{"name": "f", "description": "d", "input_schema": schema}],
        {
            "tools": [
                {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": schema}}}
            ]
        },
        [{"functionDeclarations": [{"name": "f", "description": "d", "parameters": schema}]}],
    ]
    found = [read([], tools=tools) for tools in dialects]
    assert all(each == found[0] for each in found)
    (role, kind, text, _), *_rest = found[0]
    assert (role, kind) == ("tools", "tool_definition")
    # key order is part of a prompt's prefix and is kept
    assert text == json.dumps(
        {"name": "f", "description": "d", "parameters": schema}, separators=(",", ":")
    )


IMAGES: list[dict[str, Any]] = [
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
]


def test_images_become_digests_that_are_equal_in_all_dialects() -> None:
    found = [read([{"role": "user", "content": [image]}]) for image in IMAGES]
    assert all(each == found[0] for each in found)
    ((_, kind, text, _),) = found[0]
    assert kind == "image"
    assert PIXEL not in text
    assert json.loads(text)["bytes"] == 15 * 20


def text(content: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **more}


def test_cache_markers_stand_on_the_segment_before_them() -> None:
    short, long = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
    anthropic = read(
        [{"role": "user", "content": [text("q", cache_control=short)]}],
        system=[text("s", cache_control=long)],
        tools=[
            {"name": "f", "input_schema": {}},
            {"name": "g", "input_schema": {}, "cache_control": short},
        ],
    )
    assert [(role, marker) for role, _, _, marker in anthropic] == [
        ("tools", None),
        ("tools", "5m"),
        ("system", "1h"),
        ("user", "5m"),
    ]
    converse = read(
        [{"role": "user", "content": [{"text": "q"}, {"cachePoint": {"type": "default"}}]}],
        system=[{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
    )
    assert [marker for _, _, _, marker in converse] == ["1h", "5m"]
    breakpoint = text("q", prompt_cache_breakpoint={"mode": "explicit"})
    assert read([{"role": "user", "content": [breakpoint]}])[0][3] == "30m"


def test_the_order_of_messages_and_blocks_is_kept() -> None:
    thought = {"type": "thinking", "thinking": "t"}
    found = read(
        [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [text("a"), IMAGES[0]]},
            {"role": "assistant", "content": [thought, text("b")]},
            {"role": "system", "content": "later"},
        ]
    )
    assert [(role, kind) for role, kind, _, _ in found] == [
        ("system", "text"),
        ("user", "text"),
        ("user", "image"),
        ("assistant", "thinking"),
        ("assistant", "text"),
        ("system", "text"),
    ]


ANSWERS: list[tuple[Any, str, str | None]] = [
    ({"role": "assistant", "content": "Hi", "refusal": None}, "text", "Hi"),
    ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}], "text", "Hi"),
    ({"role": "model", "parts": [{"text": "H"}, {"text": "i"}]}, "text", "Hi"),
    ({"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "text", "Hi"),
    ("Hi", "text", "Hi"),
    ({"role": "assistant", "content": "", "refusal": "No."}, "refusal", "No."),
    ({"role": "assistant", "content": ""}, "empty", None),
    ([], "empty", None),
    (None, "missing", None),
    (
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        "tool_use",
        '{"name":"f","input":{}}',
    ),
]


@pytest.mark.parametrize(("body", "kind", "text"), ANSWERS)
def test_answers_are_found_in_every_shape(body: Any, kind: str, text: str | None) -> None:
    interner = Interner(Redactor(Redaction()))
    block, found = interner.answer(json.dumps(body).encode())
    assert found == kind
    assert (interner.texts[block] if block >= 0 else None) == text
