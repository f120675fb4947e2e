"""Scope words, prefixes and swapped roles separate questions; other wordings don't.

The detectors were improved on the pairs of the split `dev`; those of `report` were written later.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.answers.traps.antonyms import find_orders
from costaudit.answers.traps.signatures import Signatures

PAIRS = pl.read_csv(Path(__file__).parent.parent / "data" / "swap_pairs.csv")
RECALL = {"dev": 0.9, "report": 0.8}


def separated(pairs: pl.DataFrame) -> np.ndarray:
    """Return which pairs any detector separates."""
    rows = np.arange(len(pairs))
    texts = [*pairs["first"], *pairs["second"]]
    return np.asarray(Signatures(texts).differs(rows, rows + len(pairs)) != 0)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("split", ["dev", "report"])
def test_traps_are_separated_and_wordings_are_not(split: str, language: str) -> None:
    pairs = PAIRS.filter(split=split, language=language)
    traps, same = pairs.filter(pl.col("kind") != "same"), pairs.filter(kind="same")
    assert len(traps) >= 17 and len(same) >= 6
    assert separated(traps).mean() >= RECALL[split]
    assert not separated(same).any()


def test_a_direction_is_read_with_its_articles_and_names_with_what_joins_them() -> None:
    assert find_orders("from the phone to my laptop", frozenset()) == {"laptop~phone=phone"}
    there, back = (
        find_orders(text, frozenset({"ana", "luis"}))
        for text in ("does ana owe luis anything", "does luis owe ana anything")
    )
    assert there == {"ana~luis=ana"} and back == {"ana~luis=luis"}
    assert find_orders("ana and luis pay", frozenset({"ana", "luis"})) == frozenset()


def test_an_axis_with_one_side_in_all_texts_can_not_separate_them() -> None:
    alone = Signatures(["convert euros to dollars", "send it to us"])
    assert all(not any(values) for values in alone.column("comparatives").sets)
    both = Signatures(["convert euros to dollars", "convert dollars to euros"])
    assert both.differs(np.array([0]), np.array([1]))[0]
