"""What a sample takes is known before it is drawn."""

import numpy as np
import pytest

from costaudit.pipeline.semantic.effort import Effort, effort_of
from costaudit.simulate.semantic.sample import core_size
from tests.simulate.semantic.streams import make_stream


def test_effort_is_a_sum_by_hand() -> None:
    """A tenth of the texts share a partition with a core text, and 10,000 texts have 1,000.

    Topics take 2,400 texts more.
    """
    effort = Effort(1_000_000, 1e-4, 2e-3, read_s=1e-6, listed_s=1e-5, pair_s=1e-6)
    assert core_size(10_000) == 1_000
    assert effort.seconds(10_000) == pytest.approx(20 + 4.8 + 1 + 1 + 0.1)
    whole = Effort(1_000_000, 1.0, 0.0, read_s=1e-6, listed_s=1e-5, pair_s=1e-7)
    assert whole.seconds(10_000) == pytest.approx(1 + 10 + 100)


def test_as_many_texts_as_fit_are_affordable() -> None:
    effort = Effort(1_000_000, 1.0, 1e-3, read_s=1e-6, listed_s=1e-5, pair_s=1e-7)
    for seconds in (12.0, 40.0, 111.0):
        texts = effort.affordable(seconds, 20_000)
        assert effort.seconds(texts) <= seconds < effort.seconds(texts + 1)
    assert effort.affordable(1e6, 20_000) == 20_000
    assert effort.affordable(0.5, 20_000) == effort.affordable(-1.0, 20_000) == 0


def test_few_texts_are_not_tried() -> None:
    place = np.arange(500, dtype=np.int32)
    stream = make_stream(place, place * 0, place * 0, place, place * 0)
    assert effort_of(stream, 0.25, 400).seconds(400) == 100 + 50  # of the topics' 200 texts


def test_many_texts_are_tried() -> None:
    """What it takes by the clock depends on what else runs, so only its sign is checked."""
    place = np.arange(30_000, dtype=np.int32)
    stream = make_stream(place, place * 0, place * 0, place, place * 0)
    effort = effort_of(stream, 0.25, 400)
    assert (effort.texts, effort.together, effort.embed_s) == (30_000, 1.0, 0.25)
    assert effort.seconds(400) >= 150
