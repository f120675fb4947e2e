"""Planted waste in prompts is found with its size; prompts without waste are left alone."""

import base64
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.levers.effects import placed_segments
from costaudit.levers.loops import loops
from costaudit.levers.prompt_text import (
    COMPACT_JSON,
    compact_json,
    repeated_blocks,
    rewritten,
    without_encoded,
    without_padding,
)
from costaudit.levers.tools import LEAST_CALLS, unused_tools
from tests.levers.logs import SYSTEM, blocks, log, segment

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


def characters(text: str) -> int:
    return len(text)


def cuts(effect: pl.DataFrame) -> list[Any]:
    return [None if row is None else row.to_list() for row in effect["cuts"]]


@given(VALUES.filter(lambda value: isinstance(value, list | dict)), st.sampled_from([None, 1, 4]))
def test_compact_json_keeps_every_value(value: object, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    compact = compact_json(f"Here it is:\n{text}\nThanks {'{'}")
    assert compact.startswith("Here it is:\n") and compact.endswith("\nThanks {")
    inside = compact.removeprefix("Here it is:\n").removesuffix("\nThanks {")
    assert json.loads(inside) == value
    assert len(inside) <= len(text)


def test_numbers_stay_as_they_were_written() -> None:
    assert compact_json('{ "a": 1.50, "b": 1e3, "c": 10000000000000000000001 }') == (
        '{"a":1.50,"b":1e3,"c":10000000000000000000001}'
    )
    assert compact_json("[ NaN ]") == "[ NaN ]"  # not JSON: left alone


def test_indented_json_is_priced_where_it_stands() -> None:
    text = json.dumps([{"id": i, "name": "x"} for i in range(20)], indent=4)
    saved = len(text) - len(compact_json(text))
    requests = log({"segments": [SYSTEM, segment("doc", len(text)), segment("q", 20)]}, {})
    known = blocks(doc=text, q="Where?")
    found = rewritten(requests, known, placed_segments(requests), characters, COMPACT_JSON)
    assert found is not None
    end = 2_000 + len(text)
    assert cuts(found.effect) == [[{"start": end - saved, "tokens": saved}], None]


@pytest.mark.parametrize("text", ["plain words", '{"a":1}', "[]\n", None, "{\n  broken"])
def test_text_that_is_compact_already_is_left_alone(text: str | None) -> None:
    requests = log({"segments": [segment("doc", 100)]})
    sent = placed_segments(requests)
    assert rewritten(requests, blocks(doc=text), sent, characters, COMPACT_JSON) is None


def test_a_document_that_stands_twice_is_cut_once() -> None:
    twice = [SYSTEM, segment("doc", 900), segment("q", 20), segment("doc", 900)]
    requests = log({"segments": twice}, {"segments": [SYSTEM, segment("doc", 900)]})
    found = repeated_blocks(requests, placed_segments(requests))
    assert found is not None
    assert cuts(found.effect) == [[{"start": 2_920, "tokens": 900}], None]


def test_short_phrases_and_the_models_own_words_may_repeat() -> None:
    rows = [segment("q", 20), segment("a", 900, "assistant"), segment("q", 20)]
    requests = log({"segments": [*rows, segment("a", 900, "assistant")]})
    assert repeated_blocks(requests, placed_segments(requests)) is None


def tools(*names: str) -> dict[str, str]:
    return {name: json.dumps({"name": name, "description": "d"}) for name in names}


def calling(name: str) -> dict[str, Any]:
    carried = [segment(tool, 50, "tools", "tool_definition") for tool in ("find", "mail")]
    return {
        "segments": [*carried, SYSTEM, segment("q", 20)],
        "answer_kind": "tool_use",
        "answer_id": f"call_{name}",
    }


def called(name: str) -> pl.DataFrame:
    used = blocks(**{f"call_{name}": f'Let me look.\n{{"name":"{name}","input":{{}}}}'})
    return pl.concat(
        [
            used.with_columns(kind=pl.lit("tool_use")),
            blocks(**tools("find", "mail")).with_columns(kind=pl.lit("tool_definition")),
        ]
    )


def test_a_tool_that_is_never_called_is_cut_at_its_place() -> None:
    requests = log(*[calling("find")] * LEAST_CALLS)
    found = unused_tools(requests, called("find"), placed_segments(requests))
    assert found is not None and "mail" in found.change and "find" not in found.change
    assert cuts(found.effect) == [[{"start": 50, "tokens": 50}]] * LEAST_CALLS
    (table,) = found.evidence  # 100 calls without a use: needed in at most 3 / 100 of them
    assert table.rows == (("mail", "1", "100", "5,000", "50", "3.0%"),)


def test_tools_are_judged_only_by_many_calls_whose_text_is_there() -> None:
    few = log(*[calling("find")] * (LEAST_CALLS - 1))
    assert unused_tools(few, called("find"), placed_segments(few)) is None
    many = log(*[calling("find")] * LEAST_CALLS)
    redacted = called("find").with_columns(text=pl.lit(None, pl.String))
    assert unused_tools(many, redacted, placed_segments(many)) is None
    silent = log(*[{**calling("find"), "answer_kind": "text", "answer_id": None}] * LEAST_CALLS)
    assert unused_tools(silent, called("find"), placed_segments(silent)) is None


SAID = {**calling("none"), "answer_kind": "text", "answer_id": "said"}
FORCED = json.dumps({"type": "tool", "name": "automate"})


@pytest.mark.parametrize(
    ("text", "odd", "unused"),
    [
        ("All done.", {}, ["find", "mail"]),
        ("All done.", {"finish_reason": "length", "answer_kind": "empty"}, ["find", "mail"]),
        ("All done.", {"status": "error", "answer_kind": "missing"}, ["find", "mail"]),
        ("All done.", {"tool_choice": '"auto"'}, ["find", "mail"]),
        (
            "All done.",
            {"tool_choice": '{"functionCallingConfig":{"mode":"AUTO"}}'},
            ["find", "mail"],
        ),
        # One answer may have called a tool that the log does not show.
        ("All done.", {"finish_reason": "tool_calls"}, []),
        ("All done.", {"finish_reason": None}, []),
        ("All done.", {"answer_kind": "empty", "answer_id": None}, []),
        ("All done.", {"answer_kind": "missing", "answer_id": None}, []),
        ("All done.", {"tool_choice": FORCED}, []),
        ("All done.", {"tool_choice": '"required"'}, []),
        (
            "All done.",
            {"segments": [*SAID["segments"], segment("r", 9, "tool", "tool_result")]},
            [],
        ),
        # A server that does not parse its model's calls leaves them in the text.
        ('<tool_call>{"name": "mail", "arguments": {}}</tool_call>', {}, ["find"]),
        ("<function=mail>", {}, ["find"]),
        ("Thought: ask.\nAction: find\nAction Input: x", {}, ["mail"]),
        (None, {}, []),  # redacted
    ],
)
def test_answers_that_are_all_texts_called_no_tool(
    text: str | None, odd: dict[str, Any], unused: list[str]
) -> None:
    requests = log(*[SAID] * LEAST_CALLS, {**SAID, **odd})
    known = pl.concat([called("find"), blocks(said=text)])
    found = unused_tools(requests, known, placed_segments(requests))
    assert ([row[0] for row in found.evidence[0].rows] if found else []) == unused


def test_texts_of_one_model_say_nothing_about_another() -> None:
    requests = log(*[SAID] * LEAST_CALLS, *[{**SAID, "model": "m", "finish_reason": None}] * 200)
    known = pl.concat([called("find"), blocks(said="All done.")])
    found = unused_tools(requests, known, placed_segments(requests))
    assert found is not None and found.effect["unit"].drop_nulls().unique().to_list() == [
        "chat | gpt-4o"
    ]


def agent(results: list[str], conversation: str | None = "c1") -> pl.DataFrame:
    """Return a conversation in which the same tool call is repeated."""
    rows, history = [], [SYSTEM, segment("q", 20)]
    for result in results:
        rows.append(
            {"segments": list(history), "answer_kind": "tool_use", "answer_id": "call",
             "conversation": conversation, "user": "u"}
        )  # fmt: skip
        history += [
            segment("call", 10, "assistant", "tool_use"),
            segment(result, 30, "tool", "tool_result"),
        ]
    rows.append({"segments": history, "conversation": conversation, "user": "u"})
    return log(*rows)


def test_the_third_equal_call_with_an_equal_result_is_a_loop() -> None:
    requests = agent(["same"] * 5)
    found = loops(requests, placed_segments(requests), blocks())
    assert found is not None
    assert found.effect["removed"].to_list() == [None, None, True, True, True, None]


def test_polling_that_changes_and_calls_without_a_conversation_are_no_loop() -> None:
    for requests in (agent(["a", "b", "c", "d"]), agent(["same"] * 5, None), agent(["same"] * 2)):
        assert loops(requests, placed_segments(requests), blocks()) is None


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("a   \nb\t\n", "a\nb\n"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("left          right", "left  right"),
        ("def f():\n    return  1\n", "def f():\n    return  1\n"),
        ("a\n\nb", "a\n\nb"),
    ],
)
def test_padding_goes_and_indentation_stays(text: str, short: str) -> None:
    assert without_padding(text) == short


def test_base64_goes_and_words_stay() -> None:
    data = base64.b64encode(bytes(range(256))).decode()
    assert without_encoded(f"see data:image/png;base64,{data} here") == "see  here"
    for text in ("a" * 400, "abcd" * 90, "/usr/lib/" * 60, "Fish1" * 80):
        assert without_encoded(text) == text
