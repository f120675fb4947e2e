"""Check how well centres, and words, recognise the topics of another log of the same traffic.

`python benchmarks/cluster_matching.py [DRAWS]` splits questions of BANKING77 into two halves. Each
topic of the first half should be recognised in the second half. Then the questions of 25 intents
are removed from the first half: topics of the second half that only have these should be new.
"""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.embed.embedders import embedder_named
from costaudit.simulate.semantic.topics.clusters import Clusters, cluster_texts

TEXTS, HELD_OUT, BATCH = 4_000, 25, 64
LEAST = (0.65, 0.7, 0.75, 0.8, 0.85)  # similarity of two centres for one topic
SMALLEST = 5  # texts of a topic that counts


def nearest(of: Clusters, among: Clusters) -> np.ndarray:
    """Return the similarity of each topic's centre to the nearest one of another log."""
    return np.asarray((of.centres @ among.centres.T).max(axis=1))


def alike(of: Clusters, among: Clusters) -> np.ndarray:
    """Return the largest share of equal terms between each label and those of another log."""
    others = [set(label.split(", ")) for label in among.labels]
    found = [max(len(a & b) / len(a | b) for b in others)
             for a in (set(label.split(", ")) for label in of.labels)]  # fmt: skip
    return np.array(found)


def main() -> None:
    """Print, for each limit, how many old topics are called new, and how many new ones are."""
    path = Path(os.environ.get("COSTAUDIT_DATA", "../shared/data")) / "banking77" / "train.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    texts = [row["text"] for row in rows[:TEXTS]]
    intents = np.array([row["category"] for row in rows[:TEXTS]])
    embedder = embedder_named("minilm")
    vectors = np.concatenate(
        [embedder.encode(texts[at : at + BATCH]) for at in range(0, TEXTS, BATCH)]
    )

    def clusters(chosen: np.ndarray) -> Clusters:
        named = pl.DataFrame({"text_id": chosen, "text": [texts[at] for at in chosen]})
        named = named.with_columns(pl.col("text_id").cast(pl.String))
        return cluster_texts(named, vectors[chosen], np.ones(len(chosen)))

    kept: list[tuple[float, float]] = []  # (similarity, words) of topics in both halves
    new: list[tuple[float, float]] = []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 8):
        rng = np.random.default_rng(seed)
        first, second = np.split(rng.permutation(TEXTS), 2)
        held_out = rng.choice(np.unique(intents), HELD_OUT, replace=False)
        before, after = clusters(first), clusters(second)
        large = np.bincount(before.cluster) >= SMALLEST
        kept += zip(nearest(before, after)[large], alike(before, after)[large], strict=True)
        without = clusters(first[~np.isin(intents[first], held_out)])
        is_new = np.isin(intents[second], held_out).astype(np.float64)
        size = np.bincount(after.cluster)
        only_new = (np.bincount(after.cluster, is_new) / size > 0.9) & (size >= SMALLEST)
        new += zip(nearest(after, without)[only_new], alike(after, without)[only_new], strict=True)
    old_topics, new_topics = np.array(kept), np.array(new)
    sys.stdout.write(f"{len(kept)} old topics, {len(new)} new ones\n")
    for column, limit in [*((0, least) for least in LEAST), (1, 0.5)]:
        name = "words" if column else "centres"
        missed = (old_topics[:, column] < limit).mean()
        found = (new_topics[:, column] < limit).mean()
        sys.stdout.write(f"{name} {limit}: {missed:.1%} of old called new, {found:.1%} of new\n")


if __name__ == "__main__":
    main()
