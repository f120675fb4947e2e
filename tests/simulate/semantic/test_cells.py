"""Looking into a part of the texts: exact where it is all of them, measured where it is not."""

import numpy as np
from hypothesis import given, settings

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.cells import approximation_errors, make_cells
from costaudit.simulate.semantic.sweep import sweep
from tests.simulate.semantic.test_sweep import make_stream, random_vectors, streams

POLICIES = [SemanticPolicy(min_similarity=t) for t in (0.5, 0.7, 0.9)]


@settings(max_examples=25, deadline=None)
@given(streams())
def test_looking_into_every_cell_is_exact(drawn) -> None:
    stream, vectors = drawn
    cells = make_cells(vectors, count=4, probes=4)
    exact = sweep(stream, vectors, POLICIES)
    found = sweep(stream, vectors, POLICIES, cells=cells)
    np.testing.assert_array_equal(found.served, exact.served)


def test_the_error_is_that_of_the_hit_shares() -> None:
    rng = np.random.default_rng(1)
    count = 600
    vectors = random_vectors(rng, count, coarse=False)
    stream = make_stream(range(count), [0] * count, [0] * count, range(count), [0] * count)
    few = make_cells(vectors, count=40, probes=1)
    quick = sweep(stream, vectors, POLICIES, cells=few)
    exact = sweep(stream, vectors, POLICIES)
    expected = (quick.served >= 0).mean(axis=1) - (exact.served >= 0).mean(axis=1)
    errors = approximation_errors(stream, vectors, POLICIES, few)
    np.testing.assert_allclose(errors, expected)
    assert (errors < 0).all()  # one cell of forty hides many neighbours
    more = approximation_errors(stream, vectors, POLICIES, make_cells(vectors, count=40, probes=12))
    assert (np.abs(more) < np.abs(errors)).all()
