"""A stream with many scopes, guards that other processes can load, and a comparison of results."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from costaudit.answers.traps.signatures import Signatures, TrapGuard
from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.pairs import Sizes
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import Decisions
from tests.simulate.semantic.streams import make_stream, odd_sum, random_vectors

DIVIDED = {n: Sizes(together=0, divided_pairs=0.0, parts=n, block=97) for n in (1, 2, 7)}


@dataclass(frozen=True)
class FatalGuard:
    """Refuses what `odd_sum` does, and kills the first other process that asks it."""

    told: Path  # a file that says that it killed one
    spared: int  # a process that it doesn't kill

    def __call__(self, asked: np.ndarray, held: np.ndarray) -> np.ndarray:
        if os.getpid() != self.spared and not self.told.exists():
            self.told.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return odd_sum(asked, held)


def many_scopes() -> tuple[Stream, np.ndarray, list[SemanticPolicy], TrapGuard | None]:
    """Return 2,000 requests in nine pools of unequal size, some of two partitions, and a guard."""
    rng = np.random.default_rng(11)
    requests, texts = 2_000, 160
    partition = np.minimum(rng.geometric(0.2, size=requests) - 1, 12)
    text = rng.integers(-1, texts, size=requests)
    text[0] = texts - 1
    ts = np.cumsum(rng.choice([0.0, 0.5, 1.0, 3.0], size=requests))
    latency = rng.choice([0.0, 0.5, 2.0, 9.0], size=requests)
    stream = make_stream(text, partition, np.minimum(partition, 8), ts, latency)
    policies = [SemanticPolicy(t) for t in (0.5, 0.8, 0.95, 1.01)]
    policies += [SemanticPolicy(0.7, ttl_s=30.0, ttl_kind=kind) for kind in ("fixed", "sliding")]
    policies += [
        SemanticPolicy(0.8, max_entries=5, eviction=kind, ttl_s=ttl)
        for kind in ("fifo", "lru", "lfu")
        for ttl in (None, 60.0)
    ]
    named = [f"Is order {n % 5} from {2020 + n % 3} late?" for n in range(texts)]
    vectors = random_vectors(rng, texts, coarse=False)
    return stream, vectors, policies, TrapGuard(Signatures(named), ["all"])


def equal(found: Decisions, expected: Decisions) -> bool:
    """Return whether two sweeps have the same decisions, to the last bit."""
    pairs = [(found.served, expected.served), (found.peak_entries, expected.peak_entries)]
    pairs += [
        (getattr(found.refusals, name), getattr(expected.refusals, name))
        for name in ("policy", "request", "entry")
    ]
    pairs.append((found.similarity.view(np.int32), expected.similarity.view(np.int32)))
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)
