"""The chatbot's sweep decides like a plain loop, and its wrong hits are near the truth."""

import csv
import gzip
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest

from costaudit.contracts.audit import Audit, read_audit
from costaudit.contracts.requests import check_outcomes
from costaudit.contracts.run_dir import RunDir
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.pipeline.loaded import load
from costaudit.pipeline.semantic.policies import Trials
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.simulate.semantic.sweep import Decisions, to_outcomes
from tests.conftest import ROOT, ChatbotRun
from tests.simulate.semantic.oracle import BYPASS, MISS, replay

pytestmark = pytest.mark.timeout(1_800)  # the first test embeds the log
EXACT = 1.01
BEFORE_EXACT = 30  # thresholds of the default sweep, which precede exact matching


@dataclass(frozen=True)
class Swept:
    """The default sweep of the chatbot's log, from the stages and as the audit reports it."""

    run: SemanticRun
    decisions: Decisions  # at the audit's thresholds, then at EXACT
    audit: Audit

    @property
    def section(self) -> SemanticSection:
        """The audit's semantic section."""
        assert self.audit.semantic is not None
        return self.audit.semantic

    @cached_property
    def recommended(self) -> SweepPoint:
        """The recommended point."""
        return next(point for point in self.section.points if point.recommended)

    @cached_property
    def answers(self) -> np.ndarray:
        """Per request: the answer that is right, by the ground truth."""
        path = ROOT / "tests/data/support_chatbot_truth.csv.gz"
        truth = list(csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines()))
        lines = np.argsort(np.argsort(self.run.log.requests["source_offset"].to_numpy()))
        rows = [truth[line] for line in lines]
        return np.array([f"{row['answer_id']} in {row['language']}" for row in rows])

    def is_wrong(self, served: np.ndarray) -> np.ndarray:
        """Return which requests get another answer than the right one."""
        wrong: np.ndarray = (served >= 0) & (self.answers[served] != self.answers)
        return wrong

    @cached_property
    def wrong(self) -> np.ndarray:
        """Per policy: number of wrong hits."""
        wrong: np.ndarray = self.is_wrong(self.decisions.served).sum(axis=1)
        return wrong


@pytest.fixture(scope="module")
def swept(chatbot_run: ChatbotRun) -> Swept:
    options = AnalyzeOptions()
    audit = read_audit(chatbot_run.path / "audit.json")
    run = SemanticRun(load(RunDir(chatbot_run.path), options), options, SilentProgress())
    assert audit.semantic is not None
    tried = [*(point.min_similarity for point in audit.semantic.points), EXACT]
    decisions = run.swept([replace(options.policy, min_similarity=each) for each in tried])
    return Swept(run, decisions, audit)


def test_the_audit_tells_what_was_decided(swept: Swept) -> None:
    points = [*swept.section.points, swept.section.exact]
    assert len(points) == BEFORE_EXACT + 1
    hits = (swept.decisions.served >= 0).sum(axis=1)
    assert [point.hits for point in points if point] == hits.tolist()


@pytest.mark.parametrize("similarity", [0.70, 0.79, "recommended", EXACT], ids=str)
def test_every_decision_is_that_of_a_plain_loop(swept: Swept, similarity: float | str) -> None:
    at = swept.recommended.min_similarity if isinstance(similarity, str) else similarity
    place = [p.min_similarity for p in swept.decisions.policies].index(at)
    stream, policy = swept.run.stream, swept.decisions.policies[place]
    expected = np.full(len(stream.text), BYPASS)
    similarities = np.full(len(stream.text), np.nan, np.float32)
    peak = 0
    for partition in np.unique(stream.partition):  # without a capacity, they are independent
        rows = np.flatnonzero(stream.partition == partition)
        told = replay(
            stream.text[rows].tolist(),
            stream.partition[rows].tolist(),
            stream.pool[rows].tolist(),
            stream.ts_s[rows].tolist(),
            stream.ready_s[rows].tolist(),
            swept.run.vectors,
            policy,
        )
        served = np.array(told.served)
        expected[rows] = np.where(served >= 0, rows[np.maximum(served, 0)], served)
        similarities[rows] = told.similarity
        peak += told.peak
    found = swept.decisions.served[place]
    assert (found == expected).all()
    assert (found >= 0).sum() > 1_000
    assert (found == MISS).sum() > 1_000
    hit = found >= 0
    assert (swept.decisions.similarity[place][hit] == similarities[hit]).all()
    assert swept.decisions.peak_entries[place] == peak  # nothing expires, so entries only grow


def test_outcomes_obey_the_laws_of_conservation(swept: Swept) -> None:
    requests = swept.run.log.requests
    for place in (0, BEFORE_EXACT):
        outcomes = to_outcomes(swept.decisions, place, swept.run.stream, requests)
        check_outcomes(outcomes, len(requests))
        assert (outcomes["result"] == "hit").sum() == (swept.decisions.served[place] >= 0).sum()


def test_wrong_answers_at_the_recommended_point_are_within_their_bound(swept: Swept) -> None:
    point = swept.recommended
    wrong = swept.wrong[swept.section.points.index(point)] / 12_000
    unsafe = point.unsafe_served_share
    assert unsafe is not None and unsafe.low is not None and unsafe.high is not None
    assert unsafe.low <= wrong <= unsafe.high <= swept.section.max_wrong_share == 0.01


def test_other_policies_are_judged_near_the_truth(swept: Swept) -> None:
    trials = swept.section.trials
    assert trials is not None
    rated = swept.run.rated(swept.decisions.served)
    tried, left_out = Trials(swept.run, swept.decisions, rated, 0.01).tried()
    assert [one.kind for one in tried] == [row.kind for row in trials.rows]
    assert len(tried) == 6 and not left_out
    counted = swept.run.counted.block % 2 == 1
    assert trials.requests == counted.sum()
    for policy, row in zip(tried, trials.rows, strict=True):
        hits = (policy.served >= 0) & counted
        wrong = (swept.is_wrong(policy.served) & counted).sum() / counted.sum()
        unsafe = row.unsafe_served_share
        assert row.hits == hits.sum()
        assert unsafe.low is not None and unsafe.high is not None
        assert unsafe.low <= wrong <= unsafe.high, policy.kind
        assert wrong <= 0.01  # what was promised for thresholds chosen by the other half
    right = {
        one.kind: ((one.served >= 0) & counted & ~swept.is_wrong(one.served)).sum() for one in tried
    }
    assert right["topic"] >= 1.2 * right["one"]  # 885 and 706
    assert right["one"] > right["entry"] > right["exact"]


def test_a_looser_threshold_would_break_the_limit(swept: Swept) -> None:
    place = swept.section.points.index(swept.recommended)
    for looser in swept.section.points[: place - 2]:
        assert (
            looser.unsafe_served_share is not None and looser.unsafe_served_share.high is not None
        )
        assert looser.unsafe_served_share.high > 0.01
    assert swept.wrong[0] / 12_000 > 0.05  # at 0.70, more than one answer in twenty would be wrong


def test_estimated_wrong_answers_are_near_the_true_ones(swept: Swept) -> None:
    inside = 0
    for point, wrong in zip(swept.section.points, swept.wrong / 12_000, strict=False):
        unsafe = point.unsafe_served_share
        assert unsafe is not None and unsafe.low is not None and unsafe.high is not None
        assert unsafe.value == pytest.approx(wrong, rel=0.06, abs=0.0012), point.min_similarity
        inside += unsafe.low <= wrong <= unsafe.high
    assert inside >= 0.95 * BEFORE_EXACT  # 95 % intervals contain the truth as often as promised
