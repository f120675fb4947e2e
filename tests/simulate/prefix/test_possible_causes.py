"""No cause of lost reads is named that can't be one: each needs something that the log has."""

import itertools
from typing import Any, NamedTuple

import pytest

from costaudit.contracts.sessions import CAUSES
from costaudit.simulate.prefix.sessions.facts import session_facts
from costaudit.simulate.prefix.tree.prompts import read_prompts
from tests.simulate.prefix.small_logs import FAST, facts
from tests.simulate.traffic import Log

COUNT = 12


class Kind(NamedTuple):
    """What a planted log has; its provider is a model's name in MODELS."""

    model: str
    tokens: int  # of the system prompt, which every call shares unless it moves
    gap: float | None  # seconds between calls; None without times
    is_marked: bool
    has_clock: bool  # the system prompt starts with a text that changes


class Rules(NamedTuple):
    """What the vendor documents say about the cache of a model."""

    provider: str
    minimum: int | None  # None: it has no prompt cache
    lifetimes: tuple[int, ...]  # in seconds; the first is the default
    has_markers: bool


MODELS = {
    "claude-sonnet-4-5": Rules("anthropic", 1024, (300, 3600), True),
    "gpt-4o": Rules("openai", 1024, (300,), False),
    "gemini-2.5-pro": Rules("google", 4096, (300,), False),
    "gpt-4-turbo": Rules("openai", None, (), False),
    "command-r-plus": Rules("cohere", None, (), False),
}
KINDS = [
    Kind(*each)
    for each in itertools.product(
        MODELS, (200, 4000), (0.001, 10.0, 900.0, 8000.0, None), (False, True), (False, True)
    )
    if MODELS[each[0]].has_markers or not each[3]
]
CONTENT = {"timestamp", "date", "counter", "text", "variant", "order"}


def log_of(kind: Kind) -> Log:
    log = Log()
    marker = "5m" if kind.is_marked else None
    for number in range(COUNT):
        clock = f"request number {number * 7919} of this day. " if kind.has_clock else ""
        rules = " ".join(f"rule{each}" for each in range(kind.tokens))
        log.call(
            [
                ("system", f"{clock}{rules}", kind.tokens, marker),
                ("user", f"What of {number}?", 20),
            ],
            None if kind.gap is None else number * kind.gap,
            provider=MODELS[kind.model].provider,
            model=kind.model,
            session="one",
            **FAST,
        )
    return log


def possible(kind: Kind) -> set[str]:
    """Return the causes that such a log can have, from what was planted and the vendor's rules."""
    rules = MODELS[kind.model]
    if rules.minimum is None:
        return set()
    found = set(CONTENT) if kind.has_clock else set()
    if kind.tokens + 20 < rules.minimum:
        return found | {"below_minimum"}
    if kind.gap is not None:
        if kind.gap < FAST["ttft_ms"] / 1000:
            found.add("parallel")
        if kind.gap > max(rules.lifetimes):
            found.add("lifetime")
        elif kind.gap > rules.lifetimes[0]:
            found.add("ttl_gap")
    if rules.has_markers:
        found |= {"marker_placement", "write_only"} if kind.is_marked else {"no_markers"}
    return found


def names(kind: Kind) -> set[str]:
    found = facts(log_of(kind))
    return {item.kind for row in found.templates for item in row.breakers}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind)))
def test_only_possible_causes_are_named(kind: Kind) -> None:
    assert names(kind) <= possible(kind)


def test_possible_causes_are_found() -> None:
    """Logs whose only cause is planted, so that naming nothing does not pass."""
    base: dict[str, Any] = {"tokens": 4000, "is_marked": True, "has_clock": False}
    for model, gap, cause in (
        ("claude-sonnet-4-5", 900.0, "ttl_gap"),
        ("claude-sonnet-4-5", 8000.0, "lifetime"),
        ("claude-sonnet-4-5", 0.001, "parallel"),
        ("gpt-4o", 900.0, "lifetime"),
    ):
        assert cause in names(Kind(model=model, gap=gap, **base))


def session_causes(kind: Kind) -> set[str]:
    requests, blocks = log_of(kind).tables()
    found = session_facts(requests, read_prompts(requests, blocks))
    assert found is not None
    return {CAUSES[code] for code in found.calls.cause[found.calls.missed > 0]}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind)))
def test_only_possible_causes_are_named_for_sessions(kind: Kind) -> None:
    """The calls are billed without reads or writes, so that all text of earlier calls is lost."""
    rules = MODELS[kind.model]
    can_be = {"system"} if kind.has_clock else set()
    if rules.minimum is None:
        can_be.add("not_cached")
    elif kind.tokens + 20 < rules.minimum:
        can_be.add("short")
    else:
        can_be.add("not_cached")  # the application switched it off
        if kind.gap is not None and kind.gap < FAST["ttft_ms"] / 1000:
            can_be.add("parallel")
        if kind.gap is not None and kind.gap > rules.lifetimes[0]:
            can_be.add("idle")
    assert session_causes(kind) <= can_be
