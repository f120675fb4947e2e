"""Streams, vectors, policies and a judge for the simulator's tests."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import strategies as st

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.stream import Stream

Drawn = tuple[Stream, np.ndarray]  # requests, and a vector for each text


Numbers = Sequence[float] | np.ndarray


def make_stream(
    text: Numbers, partition: Numbers, pool: Numbers, ts: Numbers, latency: Numbers
) -> Stream:
    """Build a stream whose answers are ready `latency` seconds after `ts`; text -1 is a bypass."""
    count = max([*text, -1]) + 1
    ts_s = np.array(ts, dtype=np.float64)
    return Stream(
        texts=pl.DataFrame(
            {"text_id": [f"{i:032x}" for i in range(count)], "text": [str(i) for i in range(count)]}
        ),
        text=np.array(text, dtype=np.int32),
        partition=np.array(partition, dtype=np.int32),
        pool=np.array(pool, dtype=np.int32),
        ts_s=ts_s,
        ready_s=ts_s + np.array(latency, dtype=np.float64),
        bypass=(np.array(text) < 0).astype(np.int8),
        timed=True,
    )


def random_vectors(rng: np.random.Generator, count: int, *, coarse: bool) -> np.ndarray:
    """Return unit vectors in a few directions, with all similarities; `coarse` ones tie often."""
    centres = rng.normal(size=(4, 8))
    raw = centres[rng.integers(4, size=count)] + rng.normal(size=(count, 8)) * 0.6
    if coarse:
        raw = rng.choice([0.0, 0.0, 0.0, 1.0], size=(count, 8))
        raw[(raw == 0).all(axis=1), 0] = 1.0
    unit: np.ndarray = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    return unit


@st.composite
def streams(draw: st.DrawFn) -> Drawn:
    """Draw a stream with repeated texts and answers that overlap in time, and its vectors."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    requests, texts = draw(st.integers(1, 120)), draw(st.integers(1, 40))
    partitions = draw(st.integers(1, 4))
    text = rng.integers(-1 if draw(st.booleans()) else 0, texts, size=requests)
    text[0] = texts - 1
    partition = rng.integers(partitions, size=requests)
    pool = partition // draw(st.sampled_from([1, 2, 4]))
    ts = np.cumsum(rng.choice([0.0, 0.5, 1.0, 3.0], size=requests))
    latency = rng.choice([0.0, 0.5, 2.0, 9.0], size=requests) * draw(st.sampled_from([0, 1]))
    vectors = random_vectors(rng, texts, coarse=draw(st.booleans()))
    return make_stream(text, partition, pool, ts, latency), vectors


POLICIES = st.builds(
    SemanticPolicy,
    min_similarity=st.sampled_from([0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.01]),
    ttl_s=st.sampled_from([None, 1.0, 5.0, 30.0]),
    ttl_kind=st.sampled_from(["fixed", "sliding"]),
    max_entries=st.sampled_from([None, None, 1, 2, 5]),
    eviction=st.sampled_from(["lru", "lfu", "fifo"]),
)


def odd_sum(wanted: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return the refusals of an arbitrary guard."""
    refused: np.ndarray = (wanted + 2 * held) % 3 == 0
    return refused


def odd_verdict(asked: int, matched: int) -> int:
    """Return an arbitrary verdict: mostly right, sometimes wrong, sometimes unknown."""
    return (1, 1, 1, 0, 1, 1, -1)[(5 * asked + 3 * matched) % 7]


def odd_verdicts(asked: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """Return the arbitrary verdict on each pair."""
    pairs = zip(asked.tolist(), matched.tolist(), strict=True)
    return np.array([odd_verdict(*pair) for pair in pairs], dtype=np.int8)
