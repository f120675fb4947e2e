"""A live cache's hits are judged one by one, and the audit's numbers are for its own policy."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.grades import Estimate
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.replay import JudgedHits
from costaudit.contracts.requests import OUTCOMES
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline.loaded import ingested
from costaudit.pipeline.replaying.judging import (
    NO_HIT,
    UNKNOWN,
    crossed_hits,
    judge_live_hits,
    served_rows,
)
from costaudit.pipeline.replaying.replay import (
    audited_point,
    differing_settings,
    replay_cost,
    unsafe_origin,
)
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from tests.report.sample_semantic import SEMANTIC

POLICY = SemanticPolicy(0.93)
AUDITED = replace(SEMANTIC, policy_id=SemanticPolicy(0.9).policy_id)
TOPICS = {
    "parcel": ("Where is my parcel?", "Track it on the orders page under the parcel's number."),
    "refund": ("How do I get a refund?", "Send the goods back; money returns within ten days."),
    "hours": ("When are you open?", "The shop opens at nine and closes at six every weekday."),
    "password": ("I forgot my password.", "Press the reset link; a mail with a code comes."),
}


def test_a_threshold_is_no_other_policy_but_every_other_setting_is() -> None:
    assert differing_settings(SemanticPolicy(0.5).policy_id, POLICY) == ()
    other = SemanticPolicy(0.93, max_entries=5, guard=("numbers",), scope=("tenant", "model"))
    assert differing_settings(other.policy_id, POLICY) == ("scope", "max_entries", "guard")


def test_the_point_of_the_same_threshold_is_found() -> None:
    first = AUDITED.points[0]
    point = audited_point(AUDITED, replace(POLICY, min_similarity=first.min_similarity))
    assert point == first
    assert audited_point(AUDITED, replace(POLICY, min_similarity=0.123)) is None
    assert audited_point(AUDITED, replace(POLICY, ttl_s=60.0)) is None
    assert audited_point(AUDITED, replace(POLICY, min_similarity=1.01)) is AUDITED.exact
    assert audited_point(None, POLICY) is None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SemanticRun:
    """Ingest a log of four topics, each asked 40 times by two tenants and with its own answer."""
    folder = tmp_path_factory.mktemp("judged")
    lines = []
    for n in range(160):
        question, answer = list(TOPICS.values())[n % 4]
        message = {"role": "assistant", "content": answer}
        lines.append(
            {
                "id": f"r{n}",
                "created": 1_767_000_000 + 60 * n,
                "model": "gpt-4o",
                "user": f"user{n % 8}",
                "metadata": {"tenant": f"tenant{n // 4 % 2}"},
                "messages": [{"role": "user", "content": question}],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 20, "completion_tokens": 15},
            }
        )
    log = folder / "log.jsonl"
    log.write_text("\n".join(json.dumps(line) for line in lines))
    options = AnalyzeOptions(policy=SemanticPolicy(0.9, scope=()))
    loaded = ingested([str(log)], RunDir(Path(folder / "run")), options, SilentProgress())
    return SemanticRun(loaded, options, SilentProgress())


def outcomes(run: SemanticRun, served: Mapping[int, int | None]) -> pl.DataFrame:
    """Return OUTCOMES that serve row `served[i]` to row i; None: an answer outside the log."""
    ids = run.log.requests["request_id"].to_list()
    matched = [
        None if i not in served else ("" if served[i] is None else ids[served[i] or 0])
        for i in range(len(ids))
    ]
    rows = {
        "policy_id": ["p"] * len(ids),
        "request_id": ids,
        "result": ["miss" if one is None else "hit" for one in matched],
        "matched_id": matched,
    }
    return pl.DataFrame(
        {name: rows.get(name, [None] * len(ids)) for name in OUTCOMES}, schema=OUTCOMES
    )


def test_a_replay_is_priced_against_all_calls_of_the_log(run: SemanticRun) -> None:
    # Each call costs 20 x 2.50 + 15 x 10 = 200 dollars per million; 160 calls cost 0.032. With 100
    # predicted hits, 60 calls are paid; with 120 measured hits, 40. Before, all 160 were paid.
    predicted, measured = (dict.fromkeys(range(first, 160), 0) for first in (60, 40))
    money = replay_cost(run.log, outcomes(run, predicted), outcomes(run, measured), is_live=False)
    each = Decimal("0.0002")
    assert (money.before_usd, money.predicted_usd, money.after_usd) == (
        160 * each, 60 * each, 40 * each,
    )  # fmt: skip


def test_every_hit_is_judged_by_the_answers_of_its_own_pair(run: SemanticRun) -> None:
    # Rows 40 to 159 hit. The first 60 of them get another topic's answer.
    wrong = {i: (i + 1) % 4 for i in range(40, 100)}
    right = {i: i % 4 for i in range(100, 160)}
    found = judge_live_hits(run, outcomes(run, right), outcomes(run, {**wrong, **right}))
    assert (found.hits.hits, found.hits.right, found.hits.wrong, found.hits.untold) == (
        120, 60, 60, 0,
    )  # fmt: skip
    assert found.right.to_list() == [None] * 40 + [False] * 60 + [True] * 60
    unsafe = found.hits.unsafe_served_share
    assert unsafe is not None and unsafe.grade in ("estimated", "assumed")
    assert unsafe.value == pytest.approx(60 / 160, abs=0.03)
    assert found.predicted_unsafe is not None
    assert found.predicted_unsafe.value == pytest.approx(0, abs=0.03)


def test_an_answer_that_the_log_lacks_widens_the_interval(run: SemanticRun) -> None:
    right: dict[int, int | None] = {i: i % 4 for i in range(60, 160)}
    some = {**right, **dict.fromkeys(range(40, 60))}
    sure = judge_live_hits(run, outcomes(run, right), outcomes(run, right)).hits
    unsure = judge_live_hits(run, outcomes(run, right), outcomes(run, some)).hits
    assert unsure.untold == 20 and unsure.right == 100
    one, other = sure.unsafe_served_share, unsure.unsafe_served_share
    assert one is not None and other is not None
    assert other.low == pytest.approx(one.low, abs=0.01)
    assert other.high is not None and one.high is not None
    assert other.high - one.high == pytest.approx(20 / 160, abs=0.01)


def test_answers_of_another_tenant_are_counted(run: SemanticRun) -> None:
    # Tenants change every four rows: 12 to 15 belong to tenant1, 0 to 3 to tenant0.
    served = served_rows(run.log.requests, outcomes(run, {12: 0, 13: 1, 16: 0, 21: 5, 30: None}))
    assert served[[11, 12, 21, 30]].tolist() == [NO_HIT, 0, 5, UNKNOWN]
    crossed = crossed_hits(run.log.requests, served)
    assert crossed.tenant == 2
    assert crossed.user == 2  # users repeat every eight rows
    nobody = run.log.requests.with_columns(tenant=pl.lit(None, pl.String))
    assert crossed_hits(nobody, np.array([NO_HIT] * len(nobody), np.int32)).tenant is None


def test_where_nothing_is_known_it_is_said() -> None:
    assert "no hit" in unsafe_origin(JudgedHits(0, 0, 0, 0, None))
    assert "no answers to compare" in unsafe_origin(JudgedHits(5, 0, 0, 5, None))
    said = unsafe_origin(JudgedHits(9, 4, 3, 2, Estimate(0.1, "estimated", 0.0, 0.2)))
    assert "9 hits" in said and "3 wrong" in said and "2 are unknown" in said
