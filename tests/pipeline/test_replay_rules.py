"""If a cache follows another rule than simulated, the rule and its effect are found."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.run_dir import RunDir
from costaudit.errors import UsageError
from costaudit.pipeline.loaded import ingested
from costaudit.pipeline.replaying.rules import Explained, duration, explained
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.simulate.semantic.keys import REASONS
from costaudit.simulate.semantic.sweep import sweep, to_outcomes

POLICY = SemanticPolicy(0.9, scope=("tenant",))
THINGS = (
    "parcel", "invoice", "refund", "password", "gift card", "address", "receipt", "contract",
    "newsletter", "delivery slot", "return label", "warranty", "discount code", "account name",
    "phone number", "order number", "payment", "pick-up point", "catalogue", "size chart",
)  # fmt: skip
FORMS = (
    "Where do I find my {0}?", "Where can I find my {0}?", "How do I change my {0}?",
    "Please cancel my {0}.", "Who can help me with my {0}?",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SemanticRun:
    """Ingest 1,500 chats of three tenants in about three days that repeat a hundred questions."""
    folder = tmp_path_factory.mktemp("rules")
    rng = np.random.default_rng(3)
    questions = [form.format(thing) for thing in THINGS for form in FORMS]
    weights = 1 / np.arange(1, len(questions) + 1) ** 0.7
    created = 1_767_000_000 + np.cumsum(rng.exponential(170, 1500))
    lines = []
    for n, place in enumerate(rng.choice(len(questions), 1500, p=weights / weights.sum())):
        tenant = f"tenant{rng.integers(3)}"
        message = {"role": "assistant", "content": f"{tenant} says: page {place} of {n}."}
        asked = [{"role": "user", "content": questions[place]}]
        if rng.random() < 0.3:
            before = f"Hello, this is about {THINGS[int(rng.integers(8))]}."
            asked = [
                {"role": "user", "content": before}, {"role": "assistant", "content": "Yes?"},
                *asked,
            ]  # fmt: skip
        lines.append({
            "id": f"r{n}", "created": int(created[n]), "model": "gpt-4o", "user": f"u{n % 40}",
            "metadata": {"tenant": tenant}, "latency_ms": 1500,
            "messages": [{"role": "system", "content": f"You help {tenant}."}, *asked],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 15},
        })  # fmt: skip
    log = folder / "log.jsonl"
    log.write_text("\n".join(json.dumps(line) for line in lines))
    options = AnalyzeOptions(policy=POLICY)
    loaded = ingested([str(log)], RunDir(Path(folder / "run")), options, SilentProgress())
    return SemanticRun(loaded, options, SilentProgress())


def outcomes(run: SemanticRun, policy: SemanticPolicy, *, one_pool: bool = False) -> pl.DataFrame:
    """Simulate a cache with another rule, using code that doesn't know about variants."""
    own = SemanticRun(run.log, replace(run.options, policy=policy), SilentProgress())
    stream = own.stream
    if one_pool:
        stream = replace(stream, pool=np.zeros_like(stream.pool))
    return to_outcomes(sweep(stream, own.vectors, [policy]), 0, stream, run.log.requests)


def found(
    run: SemanticRun, real: SemanticPolicy, *, one_pool: bool = False, other_texts: bool = False
) -> tuple[Explained, int]:
    """Explain a replay of a cache with the real rules; return also how many decisions differ."""
    predicted, measured = outcomes(run, POLICY), outcomes(run, real, one_pool=one_pool)
    differ = int((predicted["result"] != measured["result"]).sum())
    return explained(run, POLICY, predicted, measured, other_texts=other_texts), differ


@pytest.mark.parametrize(
    ("kind", "rule", "real"),
    [
        ("TTL", "TTL 1 h, fixed", replace(POLICY, ttl_s=3600.0)),
        ("TTL", "TTL 1 h, sliding", replace(POLICY, ttl_s=3600.0, ttl_kind="sliding")),
        ("threshold", "identical text only", replace(POLICY, min_similarity=1.01)),
        ("threshold", "similarity 0.7", replace(POLICY, min_similarity=0.7)),
        ("scope", "tenant does not separate", replace(POLICY, scope=())),
        ("scope", "user separates", replace(POLICY, scope=("tenant", "user"))),
        (
            "scope",
            "tenant is compared with the nearest entry only",
            replace(POLICY, scope=(), scope_after=("tenant",)),
        ),
        ("key", "it compares the last user message alone", replace(POLICY, key="last_user")),
    ],
)
def test_the_rule_that_differs_is_found_and_explains_every_decision(
    run: SemanticRun, kind: str, rule: str, real: SemanticPolicy
) -> None:
    result, differ = found(run, real)
    assert differ > 40
    first = result.changes[0]
    assert (first.kind, first.rule, first.taken) == (kind, rule, 1)
    assert (first.explains, first.breaks) == (differ, 0)
    assert len(result.request_ids) == differ
    assert [one.taken for one in result.changes[1:]] == [0] * (len(result.changes) - 1)


@pytest.mark.parametrize("eviction", ["fifo", "lru"])
def test_a_size_limit_over_all_scopes_is_found(run: SemanticRun, eviction: str) -> None:
    real = replace(POLICY, max_entries=50, eviction=eviction)  # type: ignore[arg-type]
    result, differ = found(run, real, one_pool=True)
    first = result.changes[0]
    assert (first.rule, first.taken) == (f"at most 50 entries, {eviction}", 1)
    assert (first.explains, first.breaks) == (differ, 0)


@pytest.mark.slow
def test_a_cache_that_embeds_whole_prompts_is_found_where_its_texts_are_its_own(
    run: SemanticRun,
) -> None:
    real = replace(POLICY, key="prompt", scope=())
    result, differ = found(run, real, other_texts=True)
    taken = [one.rule for one in result.changes if one.taken]
    assert "it compares the whole prompt, system text first" in taken
    assert len(result.request_ids) >= 0.9 * differ
    without, _ = found(run, real)
    assert len(without.request_ids) < len(result.request_ids)


def test_two_rules_that_differ_are_taken_in_turn(run: SemanticRun) -> None:
    result, differ = found(run, replace(POLICY, ttl_s=3600.0, scope=()))
    taken = {one.rule for one in result.changes if one.taken}
    assert taken == {"TTL 1 h, fixed", "tenant does not separate"}
    assert len(result.request_ids) == differ


def test_a_ttl_of_no_round_number_is_found_by_the_ages_of_what_was_missed(
    run: SemanticRun,
) -> None:
    result, differ = found(run, replace(POLICY, ttl_s=4_000.0))
    first = result.changes[0]
    assert first.kind == "TTL" and first.taken == 1
    assert first.explains >= 0.9 * differ and first.breaks <= 0.05 * differ


def test_chance_is_no_rule(run: SemanticRun) -> None:
    predicted = outcomes(run, POLICY)
    rng = np.random.default_rng(0)
    flipped = rng.random(len(predicted)) < 0.03
    hit = (predicted["result"] == "hit").to_numpy()
    result = pl.Series(np.where(flipped & hit, "miss", predicted["result"].to_numpy()))
    measured = predicted.with_columns(
        result=result, matched_id=pl.when(result == "hit").then("matched_id")
    )
    assert explained(run, POLICY, predicted, measured, other_texts=False).request_ids == frozenset()
    assert explained(run, POLICY, predicted, predicted, other_texts=False) == Explained()


def test_a_bypass_that_the_cache_does_not_know_is_part_of_the_policy(run: SemanticRun) -> None:
    hot = run.log.requests.with_columns(temperature=pl.lit(1.8))
    log = replace(run.log, requests=hot)
    options = replace(run.options, policy=POLICY)
    cold = SemanticRun(log, options, SilentProgress())
    assert set(cold.stream.bypass) == {REASONS.index("temperature")}
    open_to_all = replace(options, policy=replace(POLICY, no_bypass=("temperature",)))
    assert SemanticRun(log, open_to_all, SilentProgress()).eligible.all()
    assert "no_bypass=temperature" in open_to_all.policy.policy_id
    assert SemanticPolicy.named(open_to_all.policy.policy_id) == open_to_all.policy
    assert "no_bypass" not in POLICY.policy_id
    with pytest.raises(UsageError, match="bypass 'hurry'"):
        replace(POLICY, no_bypass=("hurry",))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60.0, "1 min"),
        (3600.0, "1 h"),
        (86400.0, "1 d"),
        (4000.0, "about 66.7 min"),
        (7.5, "7.5 s"),
    ],
)
def test_times_are_written_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
