"""Centres of clusters are stored compactly, and only compared with those of their own kind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.contracts.run_dir import RunDir
from costaudit.contracts.semantic import ClusterCentres
from costaudit.pipeline.semantic.store import centres_of, write_centres
from tests.report.sample_audit import AUDIT

ROWS = AUDIT.semantic.clusters if AUDIT.semantic else ()
IDS = tuple(row.cluster_id for row in ROWS)


def unit(*rows: tuple[float, ...]) -> np.ndarray:
    made = np.array(rows, np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def random(seed: int, ids: tuple[str, ...] = IDS) -> ClusterCentres:
    rows = np.random.default_rng(seed).normal(size=(len(ids), 384))
    return ClusterCentres("minilm", "1", ids, unit(*map(tuple, rows.tolist())))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = random(1)
    write_centres(made, RunDir(tmp_path))
    read = centres_of(tmp_path, AUDIT.semantic)
    assert read is not None and read.ids == made.ids and read.comparable(made)
    assert (read.vectors * made.vectors).sum(axis=1).min() > 0.9999
    assert RunDir(tmp_path).centres_path.stat().st_size < 3_000 + 400 * len(IDS)


def test_a_cluster_matches_from_the_similarity_on() -> None:
    one = ClusterCentres("minilm", "1", ("a", "b"), unit((1, 0), (0, 1)))
    other = ClusterCentres("minilm", "1", ("c",), unit((4, 3)))  # cosines of 0.8 and 0.6
    assert one.matched(other, 0.79) == {"a"}
    assert one.matched(other, 0.81) == frozenset()
    assert one.matched(replace(other, ids=(), vectors=np.empty((0, 2), np.float32)), 0.1) == set()


def test_vectors_of_two_embedders_are_not_compared() -> None:
    assert not random(1).comparable(replace(random(1), embedder="mpnet"))
    assert not random(1).comparable(replace(random(1), revision="2"))
    assert random(1).comparable(random(2))


def test_an_audit_has_only_the_centres_of_its_own_run(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert centres_of(tmp_path, AUDIT.semantic) is None
    write_centres(random(1, ("other",)), run)  # of another analysis
    assert centres_of(tmp_path, AUDIT.semantic) is None
    write_centres(random(1), run)
    assert centres_of(run.audit_path, AUDIT.semantic) is None
    run.centres_path.write_bytes(b"no table")
    assert centres_of(tmp_path, AUDIT.semantic) is None
    write_centres(None, run)
    assert not run.centres_path.exists()


def test_no_text_is_stored(tmp_path: Path) -> None:
    write_centres(random(1), RunDir(tmp_path))
    frame = pl.read_parquet(RunDir(tmp_path).centres_path)
    assert frame.columns == ["cluster_id", "embedder", "revision", "vector"]
