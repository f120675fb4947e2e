"""The accelerator's code path, run on torch's CPU device, compared with the numpy path."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import BackendError, UsageError
from costaudit.simulate.semantic.division import Search
from costaudit.simulate.semantic.pairs import DeviceTiles, Sizes, upper_bounds, whole_bounds
from costaudit.simulate.semantic.stream import nodes_of
from costaudit.simulate.semantic.sweep import Decisions, sweep
from tests.simulate.semantic.banking import WEEK_S, embedded, questions, zipf
from tests.simulate.semantic.streams import POLICIES, Drawn, make_stream, odd_sum, streams


def same(found: Decisions, expected: Decisions) -> None:
    np.testing.assert_array_equal(found.served, expected.served)
    np.testing.assert_array_equal(found.similarity, expected.similarity)
    np.testing.assert_array_equal(found.peak_entries, expected.peak_entries)
    np.testing.assert_array_equal(found.refusals.request, expected.refusals.request)
    np.testing.assert_array_equal(found.refusals.entry, expected.refusals.entry)


@settings(max_examples=60)
@given(streams(), st.lists(POLICIES, min_size=1, max_size=6), st.booleans(), st.booleans())
def test_a_device_changes_no_decision(
    drawn: Drawn, policies: list[SemanticPolicy], guarded: bool, dense: bool
) -> None:
    stream, vectors = drawn
    guard = odd_sum if guarded else None
    sizes = Sizes(device_tile=(7, 11))
    if dense:  # search pairs again for each block of a few requests
        sizes = replace(sizes, listed_pairs=-1, look_ahead=17)
    expected = sweep(stream, vectors, policies, guard, Search(sizes=sizes))
    by_device = Search(bounds=whole_bounds(vectors, "cpu"), sizes=sizes)
    same(sweep(stream, vectors, policies, guard, by_device), expected)


def clusters(texts: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a few dense clusters with many identical vectors."""
    centres = rng.normal(size=(5, width))
    noise = rng.normal(size=(texts, width)) * rng.choice([0.0, 0.01, 0.3], size=(texts, 1))
    vectors = centres[rng.integers(5, size=texts)] + noise
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("width", [3, 40, 384])
def test_dense_clusters_and_identical_vectors(width: int, listed: bool) -> None:
    rng = np.random.default_rng(width)
    vectors = clusters(1_500, width, rng)
    rows = rng.permutation(np.concatenate([np.arange(1_500), rng.integers(1_500, size=900)]))
    tenant = rng.integers(3, size=len(rows))
    ts = np.sort(rng.uniform(0, WEEK_S, len(rows)))
    stream = make_stream(rows, tenant, tenant // 2, ts, rng.uniform(0, 60, len(rows)))
    policies = [
        SemanticPolicy(min_similarity=t, ttl_s=ttl)
        for t in (0.5, 0.9, 0.999, 1.0)
        for ttl in (None, 86_400.0)
    ]
    expected = sweep(stream, vectors, policies)
    sizes = Sizes(device_tile=(4_096, 500)) if listed else Sizes(-1, device_tile=(4_096, 500))
    by_device = Search(bounds=whole_bounds(vectors, "cpu"), sizes=sizes)
    found = sweep(stream, vectors, policies, search=by_device)
    same(found, expected)
    identical = (vectors[rows[found.served[6]]] == vectors[rows]).all(axis=1)
    assert (identical & (rows[found.served[6]] != rows) & (found.served[6] >= 0)).sum() > 100


@pytest.mark.slow
@pytest.mark.parametrize("listed", [True, False])
def test_real_questions_are_decided_alike(
    tmp_path_factory: pytest.TempPathFactory, listed: bool
) -> None:
    rng = np.random.default_rng(5)
    texts = questions()[np.sort(rng.choice(len(questions()), 900, replace=False))]
    vectors = embedded(texts, tmp_path_factory.getbasetemp() / "device-tiles")
    rows = np.concatenate([np.arange(900), zipf(900, 1_500, 0.8, rng)])
    ts = np.sort(rng.uniform(0, WEEK_S, len(rows)))
    stream = make_stream(rng.permutation(rows), ts * 0, ts * 0, ts, ts * 0)
    policies = [SemanticPolicy(min_similarity=t) for t in np.linspace(0.7, 0.99, 30).tolist()]
    expected = sweep(stream, vectors, policies)
    sizes = Sizes() if listed else Sizes(listed_pairs=-1)
    by_device = Search(bounds=whole_bounds(vectors, "cpu"), sizes=sizes)
    same(sweep(stream, vectors, policies, search=by_device), expected)
    assert (expected.similarity[0] < 1).sum() > 300


@pytest.mark.parametrize("room_bytes", [None, 0])
@pytest.mark.parametrize("below", [True, False])
def test_no_pair_is_missed_and_few_are_near_in_vain(room_bytes: int | None, below: bool) -> None:
    rng = np.random.default_rng(9)
    vectors = clusters(300, 384, rng)
    partition = rng.integers(2, size=300)
    stream = make_stream(np.arange(300), partition, partition, np.arange(300.0), np.zeros(300))
    nodes = nodes_of(stream)
    bounds = whole_bounds(vectors, "cpu")
    tiles = DeviceTiles(vectors, nodes, "cpu", room_bytes)
    rows, columns = np.arange(0, 300, 2), np.arange(50, 300)
    least = np.float32(0.9)
    reach = np.full(len(columns), least - np.float32(bounds.margin))
    found = np.zeros((len(rows), len(columns)), dtype=bool)
    found[tuple(tiles.near(rows, columns, reach, below=below))] = True
    wide = vectors[nodes.text].astype(np.float64)
    exact = wide[rows] @ wide[columns].T
    allowed = nodes.partition[rows][:, None] == nodes.partition[columns]
    allowed &= columns < rows[:, None] if below else columns != rows[:, None]
    assert found[allowed & (exact >= least)].all()
    assert not found[~allowed | (exact < least - 2 * bounds.margin)].any()
    assert found.sum() > 1_000


def test_many_texts_go_to_an_accelerator_that_is_there() -> None:
    vectors = clusters(200, 384, np.random.default_rng(0))
    assert upper_bounds(vectors, 0.7, find=lambda: "cuda").device is None
    from_200 = Sizes(device_texts=200)
    many = upper_bounds(vectors, 0.7, from_200, lambda: "cuda")
    assert many.device == "cuda"
    assert many.vectors is vectors
    assert upper_bounds(vectors, 0.7, from_200, lambda: "mps").device is None


def test_without_a_driver_a_sweep_does_not_load_torch() -> None:
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from functools import partial\n"
        "from costaudit.engine.device import accelerator\n"
        "from costaudit.simulate.semantic.pairs import Sizes, upper_bounds\n"
        "vectors, find = np.eye(3, dtype=np.float32), partial(accelerator, ['/no/such/driver'])\n"
        "assert upper_bounds(vectors, 0.7, Sizes(device_texts=1), find).device is None\n"
        "assert 'torch' not in sys.modules"
    )
    plain = {name: value for name, value in os.environ.items() if name != "COSTAUDIT_DEVICE"}
    subprocess.run([sys.executable, "-c", code], check=True, env=plain)


def test_a_device_that_was_named_in_vain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clusters(20, 40, np.random.default_rng(0))
    stream = make_stream(range(20), [0] * 20, [0] * 20, range(20), [0] * 20)
    missing = "cuda" if torch.backends.mps.is_available() else "mps"
    monkeypatch.setenv("COSTAUDIT_DEVICE", missing)
    from_20 = Search(sizes=Sizes(device_texts=20))
    with pytest.raises(UsageError, match="COSTAUDIT_DEVICE"):
        sweep(stream, vectors, [SemanticPolicy(min_similarity=0.8)], search=from_20)


def test_a_device_that_fails_says_what_to_do() -> None:
    vectors = clusters(20, 40, np.random.default_rng(0))
    stream = make_stream(range(20), [0] * 20, [0] * 20, range(20), [0] * 20)
    policy = SemanticPolicy(min_similarity=0.8)
    with pytest.raises(BackendError, match="on meta") as caught:  # a device without data
        sweep(stream, vectors, [policy], search=Search(bounds=whole_bounds(vectors, "meta")))
    assert "COSTAUDIT_DEVICE=cpu" in caught.value.hint
