"""A log that is too large for an exact sweep has its topics from a sample."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costaudit.cli.analyze import Asked
from costaudit.contracts.audit import Audit, encode_audit
from costaudit.contracts.grades import Estimate
from costaudit.contracts.run_dir import RunDir
from costaudit.contracts.semantic import SampledClusters, SemanticSection
from costaudit.embed.embedder import EmbedderSpec
from costaudit.pipeline.analyze import analyze, analyze_and_write, audit_of
from costaudit.pipeline.loaded import ingested
from costaudit.pipeline.semantic.store import centres_of
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.report.compare import compare
from costaudit.report.reporters import render
from costaudit.report.tables.table import render_tables
from costaudit.report.tables.topics import cluster_tables
from costaudit.simulate.semantic.pairs import Sizes
from tests.ingest.conftest import chat, write_lines

WORDS = ("parcel", "password", "invoice", "holiday")
SHARES = (0.5, 0.3, 0.15, 0.05)  # of the texts
ANSWER_TOKENS = (20, 20, 200, 20)  # so that the third topic costs more than the second
QUESTIONS, REPEATS = 2_000, 400


class Planted:
    """Questions with the same first word point in nearly the same direction."""

    spec = EmbedderSpec(name="plan", revision="1", dimensions=32, max_tokens=100, batch_tokens=512)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text.split()) for text in texts], np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 32))
        for row, text in zip(rows, texts, strict=True):
            word, *rest = text.split()
            row[WORDS.index(word)] = 1
            row += np.random.default_rng(int(rest[-1])).normal(0, 0.05, 32)
        unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit.astype(np.float32)


def calls() -> list[tuple[int, str]]:
    """Return each call's topic and question; the second topic's first question is repeated."""
    rng = np.random.default_rng(5)
    topic = rng.choice(len(WORDS), QUESTIONS, p=SHARES).tolist()
    asked = [(one, f"{WORDS[one]} question of number {n}") for n, one in enumerate(topic)]
    repeated = next(one for one in asked if one[0] == 1)
    return [*asked, *[repeated] * REPEATS]


@pytest.fixture
def analyzed(tmp_path: Path) -> Callable[..., Audit]:
    """Return a function that audits the log with a sample, in a run of its own."""
    path = write_lines(
        tmp_path / "log.jsonl",
        [
            chat(n, text, answer="Yes.", tokens=(100, 0, ANSWER_TOKENS[topic]))
            for n, (topic, text) in enumerate(calls())
        ],
    )

    def run(name: str, *, seed: int = 0, write: bool = False, **given: Any) -> Audit:
        asked = Asked(embedder="tests.pipeline.test_sampled_topics:Planted", seed=seed).options()
        options: AnalyzeOptions = replace(asked, sizes=Sizes(most_nodes=1_999), **given)
        folder = RunDir(tmp_path / name)
        return (analyze_and_write if write else analyze)(
            [str(path)], folder, options, SilentProgress()
        )

    return run


def section_of(audit: Audit) -> tuple[SemanticSection, SampledClusters]:
    section = audit.semantic
    assert section is not None and section.sampled_clusters is not None
    assert section.points == () and section.clusters == ()
    return section, section.sampled_clusters


def within(found: Estimate, truth: float) -> bool:
    assert found.low is not None and found.high is not None and found.grade == "estimated"
    assert found.low < found.high
    return found.low <= truth <= found.high


def test_planted_topics_are_found_and_their_shares_are_in_the_intervals(
    analyzed: Callable[..., Audit],
) -> None:
    """By dollars the order is not that of the requests; each has its own repeats."""
    topic = np.array([one for one, _ in calls()])
    usd = np.array([(100 * 2.5 + ANSWER_TOKENS[one] * 10) / 1e6 for one in topic])
    truth = {
        word: (
            float((topic == number).mean()),
            float(usd[topic == number].sum() / usd.sum()),
            REPEATS / (topic == 1).sum() if number == 1 else 0.0,
        )
        for number, word in enumerate(WORDS)
    }
    missed = 0
    for seed in range(3):
        section, found = section_of(analyzed(f"run{seed}", seed=seed))
        assert section.distinct_texts == QUESTIONS and found.embedded_texts < QUESTIONS
        named = {row.label.split(",")[0]: row for row in found.rows}
        assert set(named) <= {*WORDS, "number", "question"} and len(found.rows) == len(WORDS)
        by_cost = [float(row.cost.usd) for row in found.rows]
        assert by_cost == sorted(by_cost, reverse=True)
        assert sum(row.share.value for row in found.rows) == pytest.approx(1)
        assert sum(by_cost) == pytest.approx(usd.sum(), rel=1e-6)
        assert sum(row.sampled_texts for row in found.rows) == found.embedded_texts
        for word, (requests, cost, hits) in truth.items():
            row = named[word]
            missed += not within(row.request_share, requests)
            missed += not within(row.share, cost)
            assert row.cost.low_usd is not None and row.cost.high_usd is not None
            missed += not within(row.hit_share, hits)
            assert row.tightness > 0.9
    assert missed <= 3  # of 36


def test_two_runs_write_the_same_bytes_and_all_forms_say_where_topics_come_from(
    analyzed: Callable[..., Audit],
) -> None:
    one, two = analyzed("one"), analyzed("two")
    assert encode_audit(one) == encode_audit(two)
    section, found = section_of(one)
    told = f"Topics come from {found.embedded_texts:,} of 2,000 distinct texts"
    page = re.sub(r"\s+", " ", unescape(render(one, "html").decode()))
    assert told in page and "Questions that people repeat, by cost, estimated from a sample" in page
    assert all(row.label in page for row in found.rows)
    written = render_tables(cluster_tables(section), "terminal", None, "").decode()
    assert told in re.sub(r"\s+", " ", written) and found.rows[0].cluster_id in written
    rows = json.loads(encode_audit(one))["semantic"]["sampled_clusters"]["rows"]
    assert [row["cluster_id"] for row in rows] == [row.cluster_id for row in found.rows]
    csv = render(one, "csv").decode()
    for measure in ("request_share,share", "share,share", "hit_share,share", "cost,usd"):
        lines = re.findall(rf"^cluster,.*,{measure},.*,estimated\r?$", csv, re.M)
        assert len(lines) == len(found.rows) > 0


def test_a_topic_has_its_central_question_with_show_prompts(
    analyzed: Callable[..., Audit],
) -> None:
    asked = {text for _, text in calls()}
    _, found = section_of(analyzed("run", show_prompts=True))
    assert {row.label for row in found.rows} <= asked
    assert {row.label.split()[0] for row in found.rows} == set(WORDS)


def test_runs_know_the_topics_of_another_sample_by_their_centres(
    analyzed: Callable[..., Audit], tmp_path: Path
) -> None:
    """Other texts are drawn, so ids and terms differ."""
    one, two = (analyzed(name, seed=n, write=True) for n, name in enumerate(("one", "two")))
    sections = section_of(one)[0], section_of(two)[0]
    held = centres_of(tmp_path / "one", sections[0]), centres_of(tmp_path / "two", sections[1])
    assert held[0] is not None and held[1] is not None and len(held[0].ids) == len(WORDS)
    assert sections[0].cluster_labels.keys() <= set(held[0].ids)
    assert not sections[0].cluster_labels.keys() & sections[1].cluster_labels.keys()
    found = compare(one, two, centres=held)
    assert found.new_clusters == found.gone_clusters == ()


def test_an_exact_sweep_has_no_sampled_topics(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "log.jsonl", [chat(n, text) for n, (_, text) in enumerate(calls())]
    )
    options = Asked(embedder="tests.pipeline.test_sampled_topics:Planted").options()
    log = ingested([str(path)], RunDir(tmp_path / "run"), options, SilentProgress())
    section = audit_of(log, options, SilentProgress()).semantic
    assert section is not None and section.sampled_clusters is None
    assert len(section.clusters) == len(WORDS)
