"""Sessions whose files lack the system prompt and tools, with a handmade bill."""

from typing import Any

import pytest

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.advice.facts import PrefixFacts, prefix_facts
from tests.simulate.traffic import Log

HEAD, OWN, TURN = 27_000, 3_000, 5_600  # tokens: shared by all, per session, per turn
FAST: dict[str, Any] = {"ttft_ms": 100.0, "latency_ms": 200.0}


def session(log: Log, name: str, *, turns: int = 6, first_read: int = HEAD, at: float = 0) -> None:
    """Add a session; each call reads the previous call's whole prompt and writes the rest."""
    parts = [("user", f"Tidy {name}.", 6)]
    read = first_read
    for turn in range(turns):
        total = HEAD + OWN + TURN * turn
        log.call(
            parts, at + 20.0 * turn, session=name, conversation=name, model="claude-opus-4-8",
            billed={"input_uncached_tokens": 2, "cache_read_tokens": read,
                    "cache_write_5m_tokens": total - read}, **FAST,
        )  # fmt: skip
        parts = [*parts, ("assistant", f"call {turn}", 13), ("tool", f"{name}{turn} " * 900, 6300)]
        read = total


def facts(log: Log) -> PrefixFacts:
    return prefix_facts(*log.tables(), compare=False)


def test_a_head_that_the_log_lacks_is_inferred_and_found_again() -> None:
    log = Log()
    session(log, "one")
    found = facts(log)
    requests, _ = log.tables()
    billed = requests.select(INPUT_CLASSES).sum().row(0)
    simulated = found.as_is.classes.select(INPUT_CLASSES).sum().row(0)
    assert simulated == pytest.approx(billed, rel=0.005, abs=50)
    (unread,) = [item for row in found.templates for item in row.breakers]
    assert unread.kind == "write_only"  # the last call's write, which nothing reads
    assert unread.lost_tokens == pytest.approx(TURN, abs=20)
    assert any("lack their system prompt" in note for note in found.notes)


def test_sessions_share_the_part_of_the_head_that_both_read() -> None:
    log = Log()
    session(log, "one")
    session(log, "two", at=200.0)
    reads = facts(log).as_is.classes["cache_read_tokens"].to_list()
    assert reads[0] == reads[6] == pytest.approx(HEAD, abs=20)


def test_a_first_call_that_read_nothing_is_cold() -> None:
    log = Log()
    session(log, "one", first_read=0)
    reads = facts(log).as_is.classes["cache_read_tokens"].to_list()
    assert reads[0] == 0
    assert reads[1] == pytest.approx(HEAD + OWN, abs=20)


def test_prompts_that_show_their_head_are_left_alone() -> None:
    log = Log()
    for number in range(3):
        log.call([("system", "s", 40_000, "5m"), ("user", "q", 10)], 10.0 * number, session="a",
                 **FAST)  # fmt: skip
    assert facts(log).as_is.classes["cache_read_tokens"].to_list() == [0, 40_000, 40_000]
