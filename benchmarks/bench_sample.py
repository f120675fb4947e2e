"""Measure how often the sampling estimator's intervals cover the full sweep's result, on BANKING77.

Run `python benchmarks/bench_sample.py [--draws 100] [--shares 0.05,0.1,0.2,0.4] [--store DIR]`.
The estimator's constants were chosen on the sample log and on every other intent of BANKING77
(--intents tuning). Results are reported for the other intents (--intents held-out) and for all.
There are two streams: each question once (unique), and popular questions repeatedly (zipf). Texts
are embedded once; a draw gets only the vectors of the texts that it asks for.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_semantic import ZIPF_EXPONENT, banking, questions, stream_of

from costaudit.contracts.policies import SemanticPolicy
from costaudit.embed.words import word_vectors
from costaudit.simulate.semantic.sample import LEAST_TEXTS, Draw, Vectors, sampled_hit_shares
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import sweep

THRESHOLDS = (0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
POLICIES = [SemanticPolicy(min_similarity=t) for t in THRESHOLDS]
REQUESTS_PER_QUESTION = 1.5  # in the zipf stream


def rows_of(intents: str) -> np.ndarray:
    """Return the rows of the questions with the chosen intents."""
    category = questions()["category"]
    names = sorted(category.unique().to_list())
    chosen = {"all": names, "tuning": names[::2], "held-out": names[1::2]}[intents]
    return np.flatnonzero(category.is_in(chosen).to_numpy())


def streams(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the questions in the order of each stream: once each, and by popularity."""
    rng = np.random.default_rng(0)
    order = rng.permutation(rows)
    weights = np.arange(1, len(rows) + 1) ** -ZIPF_EXPONENT
    count = round(REQUESTS_PER_QUESTION * len(rows))
    again = order[rng.choice(len(rows), count, p=weights / weights.sum())]
    return {"unique": order, "zipf": again}


def coverage(name: str, stream: Stream, vectors: np.ndarray, share: float, options: Any) -> None:
    """Draw samples, and print bias, spread, width and coverage for each threshold."""
    cheap = word_vectors(stream.texts["text"].to_list())
    truth = (sweep(stream, vectors, POLICIES).served >= 0).mean(axis=1)
    started = time.perf_counter()
    values = np.array(
        [
            [(one.value, one.low, one.high) for one in found.hit_share]
            for found in (
                sampled_hit_shares(
                    stream,
                    Vectors(cheap, lambda rows: vectors[rows]),
                    POLICIES,
                    Draw(round(share * len(vectors)), options.seed + draw),
                )
                for draw in range(options.draws)
            )
        ]
    )
    each = (time.perf_counter() - started) / options.draws
    value, low, high = np.moveaxis(values, 2, 0)
    covered = (low <= truth) & (truth <= high)
    print(
        f"{name}, {share:.0%} embedded: {options.draws} draws, {each:.2f} s each; coverage "
        f"{covered.mean():.3f}, mean width {(high - low).mean():.3f}"
    )
    lines = {
        "truth": truth,
        "bias": (value - truth).mean(axis=0),
        "spread": value.std(axis=0),
        "width": (high - low).mean(axis=0),
        "covered": covered.mean(axis=0),
    }
    print("  similarity " + " ".join(f"{t:7.2f}" for t in THRESHOLDS))
    for label, line in lines.items():
        print(f"  {label:<10} " + " ".join(f"{one:7.3f}" for one in line), flush=True)


def main() -> None:
    """Run both streams at all shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--shares", default="0.05,0.1,0.2,0.4")
    parser.add_argument("--streams", default="unique,zipf")
    parser.add_argument("--intents", choices=("all", "tuning", "held-out"), default="held-out")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--seed", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        vectors = banking(options.store or Path(temporary))
        text = questions()["text"]
        rows = rows_of(options.intents)
        for name, order in streams(rows).items():
            if name not in options.streams.split(","):
                continue
            stream, near = stream_of(order, vectors, seed=1, text=text)
            print(
                f"{name}: {len(order):,} requests, {len(near):,} texts, {options.intents} intents"
            )
            for share in options.shares.split(","):
                if round(float(share) * len(near)) < LEAST_TEXTS:
                    print(f"{name}, {float(share):.0%}: fewer than {LEAST_TEXTS} texts, refused")
                    continue
                coverage(name, stream, near, float(share), options)


if __name__ == "__main__":
    main()
