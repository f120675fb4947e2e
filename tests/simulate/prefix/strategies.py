"""Hypothesis strategies for traffic: calls that share prefixes, markers and times in many ways."""

from typing import Any

import polars as pl
from hypothesis import strategies as st

from tests.simulate.prefix.oracle import Call, Part
from tests.simulate.traffic import Log

words = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)
markers = st.sampled_from(["", "", "5m", "1h"])
sizes = st.sampled_from([300, 500, 900, 1024, 1500])
_KINDS = {
    "tools": ("tool_definition",),
    "system": ("text",),
    "user": ("text", "tool_result"),
    "assistant": ("text", "tool_use"),
}


@st.composite
def parts(draw: st.DrawFn, marked: bool = True) -> tuple[Part, ...]:
    """Draw a prompt: tools, a system prompt and turns."""
    roles = ["tools"] * draw(st.integers(0, 2)) + ["system"] * draw(st.integers(0, 2))
    for _ in range(draw(st.integers(1, 4))):
        roles += ["user"] * draw(st.integers(1, 2)) + ["assistant"] * draw(st.integers(0, 3))
    drawn = []
    for role in roles:
        text = draw(words)
        kind = draw(st.sampled_from(_KINDS[role]))
        tokens = 100 * len(text) + sum(map(ord, text))
        drawn.append(Part(role, kind, text, tokens, draw(markers) if marked else ""))
    return tuple(drawn)


@st.composite
def traffic(draw: st.DrawFn, marked: bool = True) -> list[Call]:
    """Draw calls in order of time; many repeat or extend one of a few prompts."""
    pool = draw(st.lists(parts(marked), min_size=1, max_size=4))
    calls, now = [], 0.0
    for _ in range(draw(st.integers(1, 12))):
        now += draw(st.sampled_from([0.0, 0.5, 1.0, 30.0, 200.0, 299.0, 300.0, 301.0, 4000.0]))
        base = draw(st.sampled_from(pool))
        prompt = base[: draw(st.integers(1, len(base)))] + draw(parts(marked))[-2:]
        to_first = draw(st.sampled_from([0.25, 1.0, 40.0]))
        scope = draw(st.sampled_from(["claude-sonnet-4-5", "claude-sonnet-4-5", "claude-opus-4-8"]))
        calls.append(Call(now, prompt, to_first, to_first + 1, scope))
    return calls


def tables(calls: list[Call], **fields: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return calls as REQUESTS and BLOCKS."""
    log = Log()
    for call in calls:
        log.call(
            [(p.role, p.text, p.tokens, p.marker or None, p.kind) for p in call.parts],
            call.at,
            **{
                "ttft_ms": call.to_first * 1000,
                "latency_ms": call.took * 1000,
                "model": call.scope,
                **fields,
            },
        )
    return log.tables()
