"""The replay of OpenAI's caches since GPT-5.6 agrees with plain loops, request by request."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.policies import PrefixPolicy
from costaudit.simulate.prefix.advice.policy_run import simulate_prefix
from tests.simulate.prefix.openai_oracle import openai
from tests.simulate.prefix.oracle import Call, Part
from tests.simulate.prefix.strategies import words
from tests.simulate.traffic import Log

_GAPS = [0.0, 0.5, 1.0, 30.0, 1799.0, 1800.0, 1801.0, 43_199.0, 43_200.0]
_ROLES = ["system", "user", "user", "tool", "assistant"]


@st.composite
def prompts(draw: st.DrawFn) -> tuple[Part, ...]:
    """Draw tools, developer messages, turns with tool answers and late developer messages."""
    roles = ["tools"] * draw(st.integers(0, 1)) + ["system"] * draw(st.integers(0, 2))
    roles += draw(st.lists(st.sampled_from(_ROLES), min_size=1, max_size=7))
    drawn = []
    for role in roles:
        text = draw(words)
        kind = {"tools": "tool_definition", "tool": "tool_result"}.get(role, "text")
        marker = "" if role == "tools" else draw(st.sampled_from(["", "", "30m", "12h"]))
        tokens = draw(st.sampled_from([150, 400, 1024])) + sum(map(ord, text)) % 97
        drawn.append(Part(role, kind, text, tokens, marker))
    return tuple(drawn)


@st.composite
def traffic(draw: st.DrawFn) -> list[tuple[Call, bool]]:
    """Draw calls in order of time with their modes; many extend one of a few prompts."""
    pool = draw(st.lists(prompts(), min_size=1, max_size=3))
    calls, now = [], 0.0
    for _ in range(draw(st.integers(2, 10))):
        now += draw(st.sampled_from(_GAPS))
        base = draw(st.sampled_from(pool))
        prompt = base[: draw(st.integers(1, len(base)))] + draw(st.sampled_from(pool))[-2:]
        if draw(st.booleans()):
            prompt = tuple(replace(part, marker="") for part in prompt)
        to_first = draw(st.sampled_from([0.25, 1.0, 40.0]))
        call = Call(now, prompt, to_first, to_first + 1, "gpt-5.6-sol")
        calls.append((call, draw(st.booleans()) and any(part.marker for part in prompt)))
    return calls


def logged(calls: list[tuple[Call, bool]]) -> Log:
    """Return calls as a log; a bill without cached tokens despite markers shows explicit mode."""
    log = Log()
    for call, explicit in calls:
        cached = 0 if explicit else call.total
        log.call(
            [(p.role, p.text, p.tokens, p.marker or None, p.kind) for p in call.parts],
            call.at,
            billed={
                "input_uncached_tokens": call.total - cached,
                "cache_write_other_tokens": cached,
            },
            provider="openai",
            model=call.scope,
            ttft_ms=call.to_first * 1000,
            latency_ms=call.took * 1000,
        )
    return log


@given(traffic())
@settings(max_examples=80)
def test_it_equals_the_plain_loop(calls: list[tuple[Call, bool]]) -> None:
    classes = simulate_prefix(*logged(calls).tables(), PrefixPolicy()).classes
    found = classes.select(
        "input_uncached_tokens", "cache_read_tokens", "cache_write_other_tokens"
    ).rows()
    assert found == openai([call for call, _ in calls], [explicit for _, explicit in calls])


def _turns(count: int, markers: dict[int, str]) -> Call:
    """Build a prompt of `count` user messages, each followed by an answer."""
    parts = []
    for turn in range(count):
        letter = "abcdefghijklmnopqrstuvwxyz"[turn % 26] + "abcdefg"[turn // 26]
        parts.append(Part("user", "text", (letter, "u"), 1100, markers.get(turn, "")))
        parts.append(Part("assistant", "text", (letter, "v"), 10))
    return Call(0.0, tuple(parts), 1.0, 2.0, "gpt-5.6-sol")


def _after(first: Call, second: Call) -> int:
    """Return the tokens that the second reads 10 s after the first, both in implicit mode."""
    calls = [(first, False), (replace(second, at=10.0), False)]
    classes = simulate_prefix(*logged(calls).tables(), PrefixPolicy()).classes
    read = int(classes["cache_read_tokens"][1])
    assert read == openai([call for call, _ in calls], [False, False])[1][1]
    return read


def test_twenty_earlier_message_ends_are_looked_up() -> None:
    # The first turn ended at 1,100 and was written. With 21 turns, the 20 earlier ends reach it.
    assert _after(_turns(1, {}), _turns(21, {})) == 1100
    assert _after(_turns(1, {}), _turns(22, {})) == 0


def test_the_first_two_and_the_latest_fifty_markers_are_looked_up() -> None:
    # 54 marked turns: 0 and 1 are the first two, 4 to 53 the latest fifty, and the ends of 33 to
    # 52 are looked up as well. Turn n ends at 1,110 x n + 1,100.
    long = _turns(54, dict.fromkeys(range(54), "30m"))
    for turn, read in ((1, 2210), (2, 0), (3, 0), (4, 5540)):
        assert _after(_turns(turn + 1, {}), long) == read


def test_the_latest_three_markers_are_written_beside_the_end() -> None:
    # Turns 0 to 3 are marked, turn 4 is not: 1, 2 and 3 are written, 0 is not.
    marked = _turns(5, dict.fromkeys(range(4), "30m"))
    assert [_after(marked, _turns(turn + 1, {})) for turn in range(4)] == [0, 2210, 3320, 4430]
