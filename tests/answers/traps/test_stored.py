"""Stored signatures equal those from reading the texts again."""

import itertools
from pathlib import Path

import msgspec
import numpy as np
import pytest

from costaudit.answers.traps import signatures
from costaudit.answers.traps.signatures import Signatures, stored_signatures

TEXTS = (
    "Can I cancel within 24 hours?", "Can I cancel after 48 hours?", "Is it not in stock?",
    "Is it in stock?", "Do you ship to Spain on 3 May?", "Do you ship to Peru on 5 May?",
    "Order A-1234 costs $5", "Order A-1235 costs 5 dollars", "Hello", "", "\ud800 alone",
)  # fmt: skip
PAIRS = np.array(list(itertools.product(range(len(TEXTS)), repeat=2))).T


def test_kept_signatures_flag_the_same_pairs(tmp_path: Path) -> None:
    fresh = Signatures(TEXTS)
    assert fresh.differs(*PAIRS).any() and fresh.contradicts(*PAIRS).any()
    for found in (stored_signatures(TEXTS, tmp_path), stored_signatures(TEXTS, tmp_path)):
        assert (found.differs(*PAIRS) == fresh.differs(*PAIRS)).all()
        assert (found.contradicts(*PAIRS) == fresh.contradicts(*PAIRS)).all()


def test_texts_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text!r} is read again")

    stored_signatures(TEXTS, tmp_path)
    monkeypatch.setattr(signatures, "Reading", refuse)
    stored_signatures(TEXTS, tmp_path)
    with pytest.raises(AssertionError, match="again"):
        stored_signatures(TEXTS[::-1], tmp_path)


def test_other_detectors_read_again(tmp_path: Path) -> None:
    stored_signatures(TEXTS, tmp_path)
    stored_signatures(TEXTS, tmp_path, b"another version")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    stored_signatures(TEXTS, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    stored_signatures(TEXTS, tmp_path)
    assert path.read_bytes() == whole


def test_no_text_is_no_signature(tmp_path: Path) -> None:
    for _ in range(2):
        assert (
            len(stored_signatures((), tmp_path).differs(np.array([], int), np.array([], int))) == 0
        )


def test_a_file_for_other_texts_is_made_again(tmp_path: Path) -> None:
    """Its name says which texts it is for, but somebody else may have written it."""
    stored_signatures(TEXTS, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    columns = msgspec.msgpack.decode(whole)
    outside = [[np.full(len(TEXTS), 99, np.int32).tobytes(), values] for _, values in columns]
    for forged in (Signatures(TEXTS[:3]).encoded(), msgspec.msgpack.encode(outside)):
        path.write_bytes(forged)
        stored_signatures(TEXTS, tmp_path)
        assert path.read_bytes() == whole
