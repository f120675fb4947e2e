"""Searching some cells of texts: exact if all are searched, otherwise with a measured error."""

import numpy as np
from hypothesis import given, settings

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.division import Search
from costaudit.simulate.semantic.inverted_file import make_cells, why_exact
from costaudit.simulate.semantic.sweep import approximation_errors, sweep
from tests.simulate.semantic.streams import Drawn, make_stream, random_vectors, streams

POLICIES = [SemanticPolicy(min_similarity=t) for t in (0.5, 0.7, 0.9)]


@settings(max_examples=25)
@given(streams())
def test_looking_into_every_cell_is_exact(drawn: Drawn) -> None:
    stream, vectors = drawn
    cells = make_cells(vectors, count=4, probes=4)
    exact = sweep(stream, vectors, POLICIES)
    found = sweep(stream, vectors, POLICIES, search=Search(cells))
    np.testing.assert_array_equal(found.served, exact.served)


def test_the_error_is_that_of_the_hit_shares() -> None:
    rng = np.random.default_rng(1)
    count = 600
    vectors = random_vectors(rng, count, coarse=False)
    stream = make_stream(range(count), [0] * count, [0] * count, range(count), [0] * count)
    few = make_cells(vectors, count=40, probes=1)
    quick = sweep(stream, vectors, POLICIES, search=Search(few))
    exact = sweep(stream, vectors, POLICIES)
    expected = (quick.served >= 0).mean(axis=1) - (exact.served >= 0).mean(axis=1)
    checked, errors = approximation_errors(stream, vectors, POLICIES, few)
    assert checked == count
    np.testing.assert_allclose(errors, expected)
    assert max(errors) < 0  # one cell of forty hides many neighbours
    wide = make_cells(vectors, count=40, probes=12)
    more = approximation_errors(stream, vectors, POLICIES, wide)[1]
    assert (np.abs(more) < np.abs(errors)).all()


def test_the_error_is_measured_under_the_guard() -> None:
    rng = np.random.default_rng(2)
    count = 300
    vectors = random_vectors(rng, count, coarse=False)
    text = rng.permutation(count)
    stream = make_stream(text, [0] * count, [0] * count, range(count), [0] * count)
    cells = make_cells(vectors, count=40, probes=1)

    def odd_pairs(asked: np.ndarray, held: np.ndarray) -> np.ndarray:
        refused: np.ndarray = (asked + held) % 2 == 1
        return refused

    exact = sweep(stream, vectors, POLICIES, odd_pairs)
    quick = sweep(stream, vectors, POLICIES, odd_pairs, search=Search(cells))
    expected = (quick.served >= 0).mean(axis=1) - (exact.served >= 0).mean(axis=1)
    found = approximation_errors(stream, vectors, POLICIES, cells, odd_pairs)[1]
    np.testing.assert_allclose(found, expected)


def test_few_texts_are_swept_exactly() -> None:
    assert "5,000" in why_exact(5_000)
    assert why_exact(20_000) == ""
