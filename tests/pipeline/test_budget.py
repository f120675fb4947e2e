"""An audit with a budget samples what it can't embed; verbs that need no vectors make none."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from costaudit.cli.analyze import Asked
from costaudit.contracts.run_dir import RunDir
from costaudit.embed.embedder import EmbedderSpec
from costaudit.embed.store import VectorStore, named
from costaudit.errors import UsageError
from costaudit.pipeline.analyze import audit_of
from costaudit.pipeline.loaded import Loaded, ingested
from costaudit.pipeline.semantic.budget import new_texts
from costaudit.pipeline.semantic.section import swept
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.report.reporters import render
from costaudit.simulate.semantic.pairs import Sizes
from tests.ingest.conftest import chat, write_lines

QUESTIONS, TWICE = 1_500, 300
TEXT_S = 0.002


class Slow:
    """Takes two milliseconds for each text; equal words have equal vectors."""

    spec = EmbedderSpec(name="slow", revision="1", dimensions=32, max_tokens=100, batch_tokens=512)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text.split()) for text in texts], np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        time.sleep(TEXT_S * len(texts))
        rows = np.full((len(texts), 32), 0.01)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[sum(map(ord, word)) % 32] += 1
        unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit.astype(np.float32)


@pytest.fixture
def log(tmp_path: Path) -> tuple[Loaded, AnalyzeOptions]:
    """Return 1,800 calls with 1,500 questions, the first 300 of which are asked twice."""
    texts = [f"Where is parcel number {n} of the {n % 7}th" for n in range(QUESTIONS)]
    calls = [chat(n, text, answer="Page 3.") for n, text in enumerate(texts + texts[:TWICE])]
    path = write_lines(tmp_path / "log.jsonl", calls)
    options = Asked(embedder="tests.pipeline.test_budget:Slow").options()
    return ingested([str(path)], RunDir(tmp_path / "run"), options, SilentProgress()), options


def stored(log: Loaded) -> int:
    """Return how many vectors a run holds."""
    return sum(len(pl.read_parquet(one)) for one in log.run.vectors_path.rglob("*.parquet"))


def test_too_little_time_leaves_identical_questions_and_a_sample(
    log: tuple[Loaded, AnalyzeOptions],
) -> None:
    """Questions take 3 s, twice that with answers; of 8 s, at most 2.8 are left for vectors.

    A sample needs 0.4 s, so that a slow machine may take 6 s before it.
    """
    loaded, options = log
    options = replace(options, deadline_s=time.monotonic() + 8)
    found = swept(loaded, options, SilentProgress())
    assert found is not None
    section = found.section
    assert section.points == () and section.recommended is None
    assert section.exact is not None
    assert section.exact.raw_hit_share.value == pytest.approx(TWICE / (QUESTIONS + TWICE))
    assert "Vectors of all 1,500 questions take about" in section.recommended_why
    assert "A sample of " in section.recommended_why
    assert section.lacks == "time"
    assert 200 <= stored(loaded) < QUESTIONS
    assert found.chosen.hits.sum() == TWICE  # what the ledger prices


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"sizes": Sizes(most_nodes=1_499)}, "One scope has 1,500 different questions, more than"),
        ({"sweep_bytes": 1e5}, "An exact sweep of 1,500 questions needs 0.0 GB of memory or more"),
    ],
)
def test_a_scope_too_large_for_an_exact_sweep_is_sampled(
    log: tuple[Loaded, AnalyzeOptions], limits: dict[str, Any], why: str
) -> None:
    """The audit's page and the terminal say so, and why."""
    loaded, options = log
    audit = audit_of(loaded, replace(options, **limits), SilentProgress())
    section = audit.semantic
    assert section is not None and section.exact is not None and section.points == ()
    assert section.exact.raw_hit_share.value == pytest.approx(TWICE / (QUESTIONS + TWICE))
    assert section.recommended_why.startswith(why) and section.lacks == "room"
    (finding,) = [one for one in audit.findings if one.code == "no-texts"]
    assert "a narrower --scope" in finding.change and "--budget" not in finding.change
    assert re.search(r"A sample of [\d,]+ questions shows", section.recommended_why)
    for form in ("html", "terminal"):
        text = unescape(render(audit, form).decode())
        assert why in re.sub(r"\s+", " ", text)
    assert 200 <= stored(loaded) < QUESTIONS


def test_the_sample_of_a_scope_that_is_too_large_fits_the_budget(
    log: tuple[Loaded, AnalyzeOptions],
) -> None:
    """Questions take 3 s without a limit; a third of 6 s is 2.1 s, for 1,050 of them."""
    loaded, options = log
    options = replace(
        options, sizes=Sizes(most_nodes=1_499), deadline_s=time.monotonic() + (budget_s := 6.0)
    )
    found = swept(loaded, options, SilentProgress())
    assert found is not None
    assert found.section.recommended_why.startswith("One scope has 1,500 different questions")
    assert "A sample of " in found.section.recommended_why
    assert 200 <= stored(loaded) <= 0.35 * budget_s / TEXT_S * 1.2  # some measure the speed


@pytest.mark.parametrize("left_s", [-1.0, 0.8])
def test_without_time_there_is_no_sample_and_the_sentence_says_so(
    log: tuple[Loaded, AnalyzeOptions], left_s: float
) -> None:
    loaded, options = log
    options = replace(options, sizes=Sizes(most_nodes=1_499), deadline_s=time.monotonic() + left_s)
    found = swept(loaded, options, SilentProgress())
    assert found is not None
    why = found.section.recommended_why
    assert why.startswith("One scope has 1,500 different questions")
    assert why.endswith("count as wrong. A sample takes longer than --budget leaves for it.")
    assert stored(loaded) < 200  # those that measure the speed


def test_large_scopes_are_swept_apart_but_not_together(tmp_path: Path) -> None:
    calls = [chat(n, f"Where is parcel number {n}", tenant=f"t{n % 2}") for n in range(600)]
    path = write_lines(tmp_path / "log.jsonl", calls)
    asked = Asked(embedder="tests.pipeline.test_budget:Slow", scope="tenant").options()
    asked = replace(asked, sizes=Sizes(most_nodes=300))
    loaded = ingested([str(path)], RunDir(tmp_path / "run"), asked, SilentProgress())
    found = swept(loaded, asked, SilentProgress())
    assert found is not None and len(found.section.points) == 30
    assert [row.partitions for row in found.section.scopes] == [2, 2]
    assert found.section.without_field == ()


def test_enough_time_leaves_nothing_out(log: tuple[Loaded, AnalyzeOptions]) -> None:
    loaded, options = log
    options = replace(options, deadline_s=time.monotonic() + 36_000)
    found = swept(loaded, options, SilentProgress())
    assert found is not None and len(found.section.points) == 30
    assert stored(loaded) == QUESTIONS


def planted(tmp_path: Path, count: int) -> tuple[pl.DataFrame, VectorStore, int]:
    """Return texts of which every third has a vector, their store, and the tokens of the others.

    Texts get longer by the number of questions before them, so the first ones don't stand for all.
    """
    rng = np.random.default_rng(count)
    words = rng.integers(1, 20, count) + 100 * np.arange(count) // count
    texts = pl.DataFrame({"text": [f"{n} " + "word " * int(k - 1) for n, k in enumerate(words)]})
    store = VectorStore(tmp_path, "slow", "1", 2)
    store.append(named(texts)["text_id"].gather_every(3), np.ones((-(-count // 3), 2), np.float32))
    new = np.arange(count) % 3 > 0
    return texts, store, int(np.minimum(words, 100)[new].sum())


@pytest.mark.parametrize("count", [20_001, 30_000, 70_001])
def test_a_part_of_many_texts_tells_the_tokens_of_all(tmp_path: Path, count: int) -> None:
    texts, store, total = planted(tmp_path, count)
    part, tokens, each = new_texts(texts, Slow(), store)
    assert len(part) == len(tokens) < 20_000
    assert each * tokens.sum() == pytest.approx(total, rel=0.03)
    again = new_texts(texts, Slow(), store)
    assert again[0].equals(part) and (again[1] == tokens).all()


def test_all_of_few_texts_are_counted(tmp_path: Path) -> None:
    texts, store, total = planted(tmp_path, 2_000)
    part, tokens, each = new_texts(texts, Slow(), store)
    assert (each, int(tokens.sum()), len(part)) == (1.0, total, 1_333)
    counts = np.minimum(Slow().token_counts(part["text"].to_list()), 100)
    assert (counts == tokens).all() and (np.diff(tokens) >= 0).all()


@pytest.mark.parametrize("budget", ["-5m", "soon", "0"])
def test_a_budget_that_is_no_time_is_refused(budget: str) -> None:
    with pytest.raises(UsageError, match="A budget of"):
        Asked(budget=budget).options()


def test_a_budget_ends_so_much_later() -> None:
    before = time.monotonic()
    deadline = Asked(budget="10m").options().deadline_s
    assert deadline is not None and before + 600 <= deadline <= time.monotonic() + 600
    assert Asked().options().deadline_s is None
