"""The halo of core texts, compared with plain loops over all pairs."""

import numpy as np
import pytest

from costaudit.simulate.semantic.halo.neighbours import frame_of, halo_of
from costaudit.simulate.semantic.stream import Stream
from tests.simulate.semantic.streams import make_stream

LISTED = 256  # of each core text


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def in_time(stream: Stream, core: np.ndarray) -> list[set[int]]:
    """Return what was asked in a partition of each core text before its last request there."""
    found: dict[int, set[int]] = {int(text): set() for text in core}
    for partition in np.unique(stream.partition):
        text = stream.text[stream.partition == partition]
        for one in np.intersect1d(text, core):
            last = int(np.flatnonzero(text == one)[-1])
            found[int(one)] |= set(text[:last].tolist()) - {int(one)}
    return [found[int(text)] for text in core]


def plain_halo(stream: Stream, cheap: np.ndarray, core: np.ndarray, known: np.ndarray) -> list[int]:
    """Return the halo by its definition, one core text after the other, in float64."""
    cheap, known = cheap.astype(float), known.astype(float)
    drawn = cheap[core]
    weights = np.linalg.solve(drawn.T @ drawn + np.eye(drawn.shape[1]), drawn.T @ known)
    predicted = cheap @ weights
    predicted /= np.linalg.norm(predicted, axis=1, keepdims=True)
    ranked = []
    for place, texts in enumerate(in_time(stream, core)):
        rows = np.array(sorted(texts), dtype=np.int64)
        likely = (cheap[rows] @ drawn[place] + predicted[rows] @ known[place]) / 2
        best = np.argsort(-likely, kind="stable")[:LISTED]
        ranked += [(rank, -likely[one], int(rows[one])) for rank, one in enumerate(best)]
    inside = set(core.tolist())
    return [one for one in dict.fromkeys(text for *_, text in sorted(ranked)) if one not in inside]


@pytest.mark.parametrize(
    ("texts", "partitions", "core"),
    [
        (9_500, [1.0], 30),  # more than are read at once, and lists that are cut
        (1_500, [1.0], 1_200),  # more core texts than are compared at once
        (9_500, [0.93, 0.05, 0.02], 60),
        (600, [1 / 150] * 150, 80),  # small partitions, and texts in several
    ],
)
def test_a_halo_is_that_of_plain_loops(texts: int, partitions: list[float], core: int) -> None:
    rng = np.random.default_rng(texts)
    vectors = rng.normal(size=(texts, 24))
    text = np.concatenate([rng.permutation(texts), rng.integers(texts, size=texts // 2)])
    text = rng.permutation(text)
    partition = rng.choice(len(partitions), size=len(text), p=partitions)
    stream = make_stream(text, partition, partition, range(len(text)), [0] * len(text))
    cheap = unit(vectors + rng.normal(size=vectors.shape) * 0.5)
    frame = frame_of(stream)
    drawn = np.sort(rng.permutation(frame.texts)[:core])
    known = unit(vectors[drawn])
    found = halo_of(frame, cheap, drawn, known, texts)
    wanted = plain_halo(stream, cheap, drawn, known)
    assert sorted(found.tolist()) == sorted(wanted)
    assert np.mean(found == np.array(wanted)) > 0.99  # rounding may swap two that are as near
    assert halo_of(frame, cheap, drawn, known, 20).tolist() == found[:20].tolist()


def test_of_equal_texts_the_first_are_listed() -> None:
    """All similarities are the same number, without rounding; only 256 of 3,000 are listed."""
    stream = make_stream(range(3_000), [0] * 3_000, [0] * 3_000, range(3_000), [0] * 3_000)
    vectors = np.ones((3_000, 1), np.float32)
    core = np.array([2_999])
    found = halo_of(frame_of(stream), vectors, core, vectors[core], 2_000)
    assert found.tolist() == list(range(LISTED))


def test_what_stands_alone_in_its_partition_is_left_out() -> None:
    # texts 0 and 1 share partition 0; 2 and 3 are alone in 1 and 2; 1 is also alone in 3
    stream = make_stream([0, 2, 1, 3, 1, 0], [0, 1, 0, 2, 3, 0], [0] * 6, range(6), [0] * 6)
    frame = frame_of(stream)
    assert frame.texts.tolist() == [0, 1]
    assert frame.first.tolist() == [0, 2]
    assert frame.last.tolist() == [5, 2]


def test_a_halo_holds_only_what_could_have_answered() -> None:
    """Of five equal texts, those in another partition or asked later can't have answered."""
    stream = make_stream([0, 1, 2, 3, 4], [0, 0, 1, 0, 1], [0] * 5, range(5), [0] * 5)
    vectors = unit(np.ones((5, 8)))
    found = halo_of(frame_of(stream), vectors, np.array([1]), vectors[[1]], 4)
    assert found.tolist() == [0]  # 3 came after 1's last request; 2 and 4 are in another partition


def test_nearest_neighbours_come_first() -> None:
    rng = np.random.default_rng(5)
    vectors = unit(rng.normal(size=(400, 16)))
    stream = make_stream(range(400), [0] * 400, [0] * 400, range(400), [0] * 400)
    core = np.array([399])
    nearest = np.argsort(-(vectors[:399] @ vectors[399]))[:20]
    found = halo_of(frame_of(stream), vectors, core, vectors[core], 20)
    assert found[0] == nearest[0]
    assert len(np.intersect1d(found, nearest)) >= 18  # the map from one text is approximate
