"""Sessions compared with an independent simulation that goes through the calls one by one."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.progress import SilentProgress
from costaudit.simulate.prefix.advice.facts import prefix_facts
from costaudit.simulate.prefix.sessions.facts import SessionFacts, session_facts
from costaudit.simulate.prefix.tree.prompts import read_prompts
from tests.ingest.conftest import write_lines

DATA = Path(os.environ.get("COSTAUDIT_DATA", Path(__file__).parents[4] / "shared" / "data"))
SESSIONS = DATA / "agent_sessions" / "sessions.jsonl.gz"
MODEL = "claude-sonnet-4-5-20250929"


def facts_of(log: Path, folder: Path) -> SessionFacts:
    run = RunDir(folder / "run")
    ingest([str(log)], run, IngestOptions(), SilentProgress())
    requests, blocks = run.requests(), run.blocks()
    facts = session_facts(requests, read_prompts(requests, blocks))
    assert facts is not None
    return facts


def session(name: str, calls: list[dict[str, Any]], size: int = 64) -> dict[str, Any]:
    return {
        "id": name, "models": [MODEL], "block_size": size, "hash_id_scope": "local",
        "tool_tokens": 0, "system_tokens": 0, "requests": calls,
    }  # fmt: skip


def call(at: float, ids: list[int], more: int = 0, **changes: Any) -> dict[str, Any]:
    return {"t": at, "type": "n", "model": MODEL, "in": 64 * len(ids) + more, "out": 5,
            "hash_ids": ids, **changes}  # fmt: skip


def read_by_hand(sessions: list[dict[str, Any]], ttl: float | None) -> int:
    """Return the tokens read: the longest prefix whose blocks were all used within the lifetime."""
    total = 0
    for one in sessions:
        last_used: dict[tuple[int, ...], float] = {}
        for sent in sorted(one["requests"], key=lambda each: float(each["t"])):
            ids, now, hits = sent["hash_ids"], sent["t"], 0
            for end in range(1, len(ids) + 1):
                used = last_used.get(tuple(ids[:end]))
                if used is None or (ttl is not None and now - used > ttl):
                    break
                hits = end
            total += 64 * hits
            for end in range(1, len(ids) + 1):
                last_used[tuple(ids[:end])] = now
    return total


IDS = st.lists(st.integers(1, 4), min_size=1, max_size=8)
CALLS = st.lists(st.tuples(st.integers(0, 4000), IDS), min_size=1, max_size=12)


@settings(max_examples=25)
@given(made=st.lists(CALLS, min_size=1, max_size=3))
def test_lifetimes_are_those_of_an_independent_simulation(
    made: list[list[tuple[int, list[int]]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Block ids repeat within prompts and across sessions; prompts fork and end anywhere."""
    sessions = [
        session(f"s{n}", [call(float(at), ids, 7) for at, ids in sorted(calls)])
        for n, calls in enumerate(made)
    ]
    folder = tmp_path_factory.mktemp("sessions")
    facts = facts_of(write_lines(folder / "log.jsonl", sessions), folder)
    for (name, shared), ttl in zip(facts.shared, (300, 3600, None), strict=True):
        found = int(shared[facts.threads.session >= 0].sum())
        assert found == read_by_hand(sessions, ttl), name


def test_what_a_call_paid_is_divided_without_rest(tmp_path: Path) -> None:
    grown = [call(30.0 * n, list(range(1, 60 + n)), 9) for n in range(20)]
    facts = facts_of(write_lines(tmp_path / "log.jsonl", [session("a", grown)]), tmp_path)
    calls = facts.calls
    assert (calls.read + calls.missed + calls.new == facts.billed.sum(axis=1)).all()
    split = calls.split(facts.billed)
    sums = np.bincount(split["row"].to_numpy(), weights=split["tokens"].to_numpy())
    assert (sums == facts.billed.sum(axis=1)).all()


def test_pings_keep_a_prefix_alive_and_are_counted(tmp_path: Path) -> None:
    """A pause of 1,000 s needs three pings at 280 s; the last call is followed by all of them."""
    ids = list(range(1, 101))  # 6,400 tokens
    calls = [call(0.0, ids), call(1000.0, ids)]
    facts = facts_of(write_lines(tmp_path / "log.jsonl", [session("a", calls)]), tmp_path)
    runs = {(run.policy.ttl, run.policy.pings): run for run in facts.runs}
    assert runs["5m", 0].tokens[:, 1].tolist() == [0, 0]
    assert runs["1h", 0].tokens[:, 1].tolist() == [0, 6400]
    assert runs["5m", 2].tokens[:, 1].tolist() == [0, 0]  # alive until 2 x 280 + 300 s
    kept = runs["5m", 3]
    assert kept.tokens[:, 1].tolist() == [0, 6400]
    assert kept.pings.tolist() == [3, 3] and kept.ping_tokens.tolist() == [19200, 19200]


def elsewhere(log: Path, folder: Path) -> dict[str, float]:
    """Return the share of input read under each provider's rules with the best markers."""
    run = RunDir(folder / "run")
    ingest([str(log)], run, IngestOptions(), SilentProgress())
    facts = prefix_facts(run.requests(), run.blocks())
    return {one.label: one.read_tokens / one.input_tokens for one in facts.providers}


def test_a_growing_trace_is_read_up_to_its_last_full_block(tmp_path: Path) -> None:
    """Each call adds three blocks of 64 tokens and a rest of 7 that the next call fills up."""
    blocks = [100 + 3 * n for n in range(20)]
    calls = [call(30.0 * n, list(range(1, count + 1)), 7) for n, count in enumerate(blocks)]
    found = elsewhere(write_lines(tmp_path / "log.jsonl", [session("a", calls)]), tmp_path)
    share = sum(64 * count for count in blocks[:-1]) / sum(64 * count + 7 for count in blocks)
    assert found["Anthropic, 5-minute writes"] == pytest.approx(share)
    assert found["OpenAI, GPT-5.6 and later"] == pytest.approx(share)  # from the latest ending on


@pytest.mark.skipif(not SESSIONS.exists(), reason="agents' sessions are not beside the project")
def test_markers_read_nearly_what_one_cache_for_each_session_reads(tmp_path: Path) -> None:
    """The independent count ignores provider rules and uses one cache for all models."""
    found = elsewhere(SESSIONS, tmp_path)
    assert 0.9313 - 0.012 < found["Anthropic, 5-minute writes"] < 0.9313
    assert 0.9602 - 0.012 < found["Anthropic, 1-hour writes"] < 0.9602
    assert 0.93 < found["OpenAI, GPT-5.6 and later"] < 0.9653  # of the unlimited lifetime


@pytest.mark.skipif(not SESSIONS.exists(), reason="agents' sessions are not beside the project")
def test_real_sessions_are_counted_as_they_were_counted_independently(tmp_path: Path) -> None:
    from costaudit.pipeline.sessions.policies import lifetime_rows

    facts = facts_of(SESSIONS, tmp_path)
    rows, better = lifetime_rows(facts)
    assert [f"{100 * row.read_share:.2f}" for row in rows] == ["93.13", "96.02", "96.53"]
    units = [f"{row.units / 1e6:.3f}" for row in rows if row.units is not None]
    assert units == ["89.292", "87.602"]
    assert better is not None and f"{better / 1e6:.3f}" == "83.392"
    assert rows[0].sessions_best == 23
    assert int(facts.billed.sum()) == 498_710_109


def test_sessions_of_a_trace_with_broken_parts_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    """Repeated ids, counts that aren't numbers, more blocks than tokens, missing times."""
    calls = [
        call(0.0, [1, 1, 1, 1]),
        call(5.0, [1, 1, 1, 1, 2]),
        {**call(6.0, [1]), "in": "many"},
        {**call(7.0, [1, 1, 1, 1]), "in": 100},
        {**call(0.0, [1, 1]), "t": None},
        {"type": "subagent", "t": 3.0, "agent_id": "x", "requests": [call(1.0, [7, 8])]},
    ]
    facts = facts_of(
        write_lines(tmp_path / "log.jsonl", [session("a", calls), json.loads("{}")]), tmp_path
    )
    assert len(facts.billed) == 5  # one has an unreadable count
    assert int(facts.billed.sum()) == 64 * (4 + 5 + 2 + 2) + 100
