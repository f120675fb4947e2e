"""Thirty thresholds in one exact pass, against a FAISS top-1 loop that replays them one by one.

Run `python benchmarks/bench_semantic.py [PART ...] [--store DIR]`; parts are zipf, unique,
synthetic and dense, --texts sizes the last two. BANKING77 is looked for in $COSTAUDIT_DATA or
shared/data beside the repository. Vectors are kept in DIR, so that a second run embeds nothing.
Every answer of the loop is compared with the sweep's before a ratio is printed. Times are the
median of --repeat runs; the loop is timed at --loop-thresholds of the thresholds, spread evenly,
and scaled to all.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from costaudit.contracts.policies import SemanticPolicy
from costaudit.embed.minilm import MiniLM
from costaudit.embed.run import embed_texts
from costaudit.embed.store import VectorStore
from costaudit.simulate.semantic import segments
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import sweep

THRESHOLDS = [round(0.70 + 0.01 * step, 2) for step in range(30)]
WEEK_S = 7 * 86_400.0
ZIPF_REQUESTS, ZIPF_EXPONENT = 20_000, 0.8
CENTRES = 2_000  # of the synthetic texts: about half of them hit at .80


@cache
def questions() -> pl.DataFrame:
    """Read all distinct BANKING77 questions."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("COSTAUDIT_DATA", beside)) / "banking77"
    parts = [pl.read_csv(folder / f"{name}.csv") for name in ("train", "test")]
    return pl.concat(parts).unique("text", maintain_order=True)


def banking(store: Path) -> np.ndarray:
    """Embed all BANKING77 questions."""
    text = questions()["text"]
    model = MiniLM()
    texts = pl.DataFrame({"text_id": text, "text": text})
    place = VectorStore(store, model.name, model.revision, model.dimensions)
    done = embed_texts(texts, model, place)
    if done.embedded_now:
        print(
            f"embedded {done.embedded_now:,} questions at {done.embedded_now / done.seconds:.0f}/s"
        )
    return done.vectors


def stream_of(
    rows: np.ndarray, vectors: np.ndarray, seed: int, text: pl.Series | None = None
) -> tuple[Stream, np.ndarray]:
    """Spread requests for rows of `vectors` evenly at random over a week; `text` names them."""
    used, row = np.unique(rows, return_inverse=True)
    count = len(rows)
    ts = np.sort(np.random.default_rng(seed).uniform(0, WEEK_S, count))
    names = [str(row) for row in used]
    nothing = np.zeros(count, dtype=np.int32)
    stream = Stream(
        texts=pl.DataFrame({"text_id": names, "text": names if text is None else text[used]}),
        text=row.astype(np.int32),
        partition=nothing,
        pool=nothing,
        ts_s=ts,
        ready_s=ts,
        bypass=np.zeros(count, dtype=np.int8),
        timed=True,
    )
    return stream, vectors[used]


def synthetic(texts: int, seed: int = 0) -> np.ndarray:
    """Draw vectors around centres, on the scale of sentence embeddings."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CENTRES, 384)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = centres[rng.integers(CENTRES, size=texts)]
    noise = rng.normal(size=(texts, 384)).astype(np.float32) / np.float32(np.sqrt(384))
    vectors = vectors + noise * rng.uniform(0.4, 1.0, size=(texts, 1)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def dense(vectors: np.ndarray, texts: int, seed: int = 0) -> np.ndarray:
    """Draw many variants of few questions: one domain, where most texts are near many others."""
    rng = np.random.default_rng(seed)
    near = vectors[rng.integers(len(vectors), size=texts)]
    noise = rng.normal(size=near.shape).astype(np.float32) / np.float32(np.sqrt(near.shape[1]))
    near = near + noise * rng.uniform(0.1, 0.5, size=(texts, 1)).astype(np.float32)
    return near / np.linalg.norm(near, axis=1, keepdims=True)


def faiss_loop(stream: Stream, vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Replay one threshold as a user would write it: a dictionary, then IndexFlatIP top-1."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    held: dict[int, int] = {}
    entries: list[int] = []
    served = np.full(len(stream.text), -1, dtype=np.int32)
    for request, text in enumerate(stream.text.tolist()):
        if text in held:
            served[request] = held[text]
            continue
        vector = vectors[text : text + 1]
        if entries:
            similarity, row = index.search(vector, 1)
            if similarity[0, 0] >= threshold:
                served[request] = entries[row[0, 0]]
                continue
        index.add(vector)
        held[text] = request
        entries.append(request)
    return served


def timed(function: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Give the median time, and the last result."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def policies(**kinds: Any) -> list[SemanticPolicy]:
    """Make a policy of each threshold."""
    return [SemanticPolicy(min_similarity=t, **kinds) for t in THRESHOLDS]


def against_loop(name: str, stream: Stream, vectors: np.ndarray, options: Any) -> None:
    """Print the sweep's time, the loop's, and whether they agree."""
    import faiss

    faiss.omp_set_num_threads(1)
    sweep(stream, vectors, policies()[:1])
    seconds, decisions = timed(lambda: sweep(stream, vectors, policies()), options.repeat)
    one, _ = timed(lambda: sweep(stream, vectors, policies()[:1]), options.repeat)
    chosen = np.unique(np.linspace(0, 29, options.loop_thresholds).astype(int)).tolist()
    loop_s = differing = 0.0
    for place in chosen:
        spent, served = timed(lambda t=THRESHOLDS[place]: faiss_loop(stream, vectors, t), 1)
        loop_s += spent
        differing += int((served != decisions.served[place]).sum())
    scaled = loop_s * 30 / len(chosen)
    hits = (decisions.served >= 0).mean(axis=1)
    print(
        f"{name}: {len(stream.text):,} requests, {len(vectors):,} texts; hits at .70 {hits[0]:.4f},"
        f" .80 {hits[10]:.4f}, .90 {hits[20]:.4f}\n"
        f"  sweep of 30: {seconds:.3f} s (of one, .70: {one:.3f} s, {seconds / one:.2f} times)\n"
        f"  FAISS loop: {scaled:.1f} s for 30, scaled from {len(chosen)}; {scaled / seconds:.0f} "
        f"times the sweep; {differing:.0f} of {len(chosen) * len(stream.text):,} decisions differ"
    )
    lifetimes = [(3_600.0, "fixed"), (86_400.0, "fixed"), (3_600.0, "sliding")]
    many = [p for ttl, kind in lifetimes for p in policies(ttl_s=ttl, ttl_kind=kind)]
    longer, _ = timed(lambda: sweep(stream, vectors, policies() + many), options.repeat)
    print(f"  with 90 more settings of TTL: {longer:.3f} s")


def large(name: str, vectors: np.ndarray, options: Any) -> None:
    """Print time and memory of a sweep over texts that never repeat."""
    stream, vectors = stream_of(np.arange(len(vectors)), vectors, seed=1)
    seconds, decisions = timed(lambda: sweep(stream, vectors, policies()), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    hits = (decisions.served >= 0).mean(axis=1)
    print(
        f"{name}: {len(vectors):,} texts; hits at .70 {hits[0]:.4f}, .80 {hits[10]:.4f}; "
        f"sweep of 30: {seconds:.1f} s; peak memory of the process {peak:,.0f} MiB"
    )


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["zipf", "unique"])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--loop-thresholds", type=int, default=3)
    parser.add_argument("--streamed", action="store_true", help="keep no lists of pairs")
    options = parser.parse_args()
    if options.streamed:
        segments._LISTED_PAIRS = -1
    with tempfile.TemporaryDirectory() as temporary:
        store = options.store or Path(temporary)
        for part in options.parts:
            rng = np.random.default_rng(0)
            if part == "synthetic":
                large(part, synthetic(options.texts), options)
                continue
            vectors = banking(store)
            rows = rng.permutation(len(vectors))
            if part == "dense":
                large(part, dense(vectors, options.texts), options)
                continue
            if part == "zipf":
                weights = np.arange(1, len(vectors) + 1) ** -ZIPF_EXPONENT
                ranks = rng.choice(len(vectors), ZIPF_REQUESTS, p=weights / weights.sum())
                rows = rows[ranks]
            against_loop(part, *stream_of(rows, vectors, seed=1), options)


if __name__ == "__main__":
    main()
