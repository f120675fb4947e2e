"""Precision and recall of each detector on hand-written pairs in two languages."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.answers.traps.detectors import TRAP_NAMES
from costaudit.answers.traps.signatures import Signatures

PAIRS = pl.read_csv(Path(__file__).parent.parent / "data" / "trap_pairs.csv")
FLOOR = 0.85  # least precision and recall on the held-out split


def fired(pairs: pl.DataFrame, detector: str) -> np.ndarray:
    """Return which pairs a detector separates."""
    texts = [*pairs["first"], *pairs["second"]]
    rows = np.arange(len(pairs))
    mask = Signatures(texts).differs(rows, rows + len(pairs))
    return (mask >> TRAP_NAMES.index(detector) & 1).astype(bool)


def test_the_pairs_are_enough_in_both_languages() -> None:
    counts = PAIRS.group_by("detector", "differs", "language").len()
    assert set(counts["detector"]) == set(TRAP_NAMES)
    assert len(counts) == len(TRAP_NAMES) * 2 * 2
    assert min(counts["len"].to_list()) >= 13
    assert min(PAIRS.group_by("detector", "differs").len()["len"].to_list()) >= 25


@pytest.mark.parametrize("detector", TRAP_NAMES)
@pytest.mark.parametrize("language", ["en", "es"])
def test_precision_and_recall_on_the_report_split(detector: str, language: str) -> None:
    pairs = PAIRS.filter(detector=detector, language=language, split="report")
    found, differs = fired(pairs, detector), pairs["differs"].to_numpy() == 1
    assert (found & differs).sum() >= FLOOR * differs.sum()  # recall
    assert (found & differs).sum() >= FLOOR * found.sum()  # precision


@pytest.mark.parametrize("detector", TRAP_NAMES)
def test_a_detector_is_symmetric_and_never_fires_on_equal_texts(detector: str) -> None:
    texts = [*PAIRS["first"], *PAIRS["second"]]
    signatures = Signatures(texts)
    rows = np.arange(len(PAIRS))
    bit = TRAP_NAMES.index(detector)
    forward = signatures.differs(rows, rows + len(PAIRS)) >> bit & 1
    backward = signatures.differs(rows + len(PAIRS), rows) >> bit & 1
    assert (forward == backward).all()
    assert not (signatures.differs(rows, rows) >> bit & 1).any()
