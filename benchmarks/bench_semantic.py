"""Time thirty thresholds in one exact pass, alone and compared with loops that replay each one.

Run `python benchmarks/bench_semantic.py [PART ...] [--store DIR]`. Parts:
 zipf, unique  BANKING77: 20,000 requests, or each question once, compared with a FAISS top-1 loop
 redisvl       the zipf stream, compared with RedisVL's SemanticCache on a Redis with RediSearch
 growth        --sizes made-up texts: time, memory, and the memory by the formula
 near          one cluster of --texts near-duplicates, whose pairs grow with the square of the texts
 scopes        --texts made-up texts in --scopes scopes: in this process and by a pool of two
 synthetic, dense  --texts distinct texts, in many topics and in few
BANKING77 is read from $COSTAUDIT_DATA, or from shared/data beside the repository. Vectors are kept
in DIR, so that a second run embeds nothing. Every answer of the FAISS loop is compared with the
sweep's before a ratio is printed. Times are the median of --repeat runs. The loops are timed at
--loop-thresholds evenly spaced thresholds, and scaled to all.
"""

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from costaudit.contracts.policies import SemanticPolicy
from costaudit.embed.minilm import MiniLM
from costaudit.embed.store import VectorStore, embed_texts
from costaudit.engine.pool import default_workers, single_products
from costaudit.simulate.semantic import pairs as pairs_module
from costaudit.simulate.semantic.decisions import limit_of
from costaudit.simulate.semantic.division import Division, Search
from costaudit.simulate.semantic.packing import MAX_ROWS
from costaudit.simulate.semantic.pairs import PairFinder, Sizes, upper_bounds
from costaudit.simulate.semantic.stream import Stream, nodes_of
from costaudit.simulate.semantic.sweep import sweep

THRESHOLDS = [round(0.70 + 0.01 * step, 2) for step in range(30)]
WEEK_S = 7 * 86_400.0
ZIPF_REQUESTS, ZIPF_EXPONENT = 20_000, 0.8
CENTRES = 2_000  # topics of the synthetic texts; about half of the texts hit at .80


@cache
def questions() -> pl.DataFrame:
    """Return all distinct BANKING77 questions."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("COSTAUDIT_DATA", beside)) / "banking77"
    parts = [pl.read_csv(folder / f"{name}.csv") for name in ("train", "test")]
    return pl.concat(parts).unique("text", maintain_order=True)


def banking(store: Path) -> np.ndarray:
    """Return the vectors of all BANKING77 questions."""
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
    """Return requests for rows of `vectors` at random times in a week; `text`: their texts."""
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
    """Return random vectors around centres, with similarities like those of sentence embeddings."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CENTRES, 384)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = centres[rng.integers(CENTRES, size=texts)]
    noise = rng.normal(size=(texts, 384)).astype(np.float32) / np.float32(np.sqrt(384))
    vectors = vectors + noise * rng.uniform(0.4, 1.0, size=(texts, 1)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def dense(vectors: np.ndarray, texts: int, seed: int = 0) -> np.ndarray:
    """Return many variants of a few questions: one domain, in which most texts are near many."""
    rng = np.random.default_rng(seed)
    near = vectors[rng.integers(len(vectors), size=texts)]
    noise = rng.normal(size=near.shape).astype(np.float32) / np.float32(np.sqrt(near.shape[1]))
    near = near + noise * rng.uniform(0.1, 0.5, size=(texts, 1)).astype(np.float32)
    return near / np.linalg.norm(near, axis=1, keepdims=True)


def faiss_loop(stream: Stream, vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Replay one threshold as a user would program it: a dictionary, then IndexFlatIP top-1."""
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
    """Return the median time and the last result."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def policies(**kinds: Any) -> list[SemanticPolicy]:
    """Return one policy for each threshold."""
    return [SemanticPolicy(min_similarity=t, **kinds) for t in THRESHOLDS]


def search_of(options: Any) -> Search:
    """Return a search that keeps lists of pairs, unless --streamed is set."""
    return Search(sizes=Sizes(listed_pairs=-1) if options.streamed else Sizes())


def against_loop(name: str, stream: Stream, vectors: np.ndarray, options: Any) -> None:
    """Print the times of the sweep and of the loop, and whether their decisions agree."""
    import faiss

    faiss.omp_set_num_threads(1)
    how = search_of(options)
    sweep(stream, vectors, policies()[:1])
    seconds, decisions = timed(
        lambda: sweep(stream, vectors, policies(), search=how), options.repeat
    )
    one, _ = timed(lambda: sweep(stream, vectors, policies()[:1], search=how), options.repeat)
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


def against_redisvl(stream: Stream, vectors: np.ndarray, options: Any) -> None:
    """Print the sweep's time, and the time to replay the thresholds one by one.

    Each replayed threshold is measured over the first --redisvl-requests requests. Their mean time
    is used for all requests, although later ones would take longer, and scaled to all thresholds.
    """
    from redisvl_loop import redis_with_search, replayed

    sweep(stream, vectors, policies()[:1])
    seconds, decisions = timed(lambda: sweep(stream, vectors, policies()), options.repeat)
    requests = min(options.redisvl_requests, len(stream.text))
    chosen = np.unique(np.linspace(10, 20, options.loop_thresholds).astype(int)).tolist()
    spent = 0.0
    with redis_with_search() as port:
        for place in chosen:
            one, hits = replayed(stream, vectors, THRESHOLDS[place], requests, port)
            spent += one
            ours = int((decisions.served[place, :requests] >= 0).sum())
            print(
                f"  RedisVL at {THRESHOLDS[place]:.2f}: {requests:,} requests in {one:.1f} s, "
                f"{1e3 * one / requests:.2f} ms each; {hits:,} hits, the sweep {ours:,}"
            )
    each = spent / (requests * len(chosen))
    scaled = each * len(stream.text) * len(THRESHOLDS)
    print(
        f"redisvl: sweep of 30 over {len(stream.text):,} requests {seconds:.3f} s; RedisVL at "
        f"{1e3 * each:.2f} ms a request would take {scaled:,.0f} s: {scaled / seconds:,.0f} times"
    )


def traffic(texts: int, seed: int = 0) -> tuple[Stream, np.ndarray]:
    """Return a made-up log: texts by popularity, in topics, in a few dense clusters, and alone.

    The variance of the axes falls about as it does in MiniLM's vectors of questions.
    """
    rng = np.random.default_rng(seed)
    width = 384
    axis = np.arange(width)
    weigh = np.sqrt(np.exp(-axis / 128) / (1 + axis / 16)).astype(np.float32)
    weigh *= np.float32(np.sqrt(width) / np.linalg.norm(weigh))
    centres = weigh * rng.normal(size=(max(texts // 50, 20), width)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = np.empty((texts, width), dtype=np.float32)
    for start in range(0, texts, 10_000):
        count = min(10_000, texts - start)
        kind = rng.choice(3, size=(count, 1), p=(0.8, 0.1, 0.1))
        topic = np.where(kind[:, 0] == 1, rng.integers(20, size=count),
                         rng.integers(len(centres), size=count))  # fmt: skip
        spread = np.choose(kind, (rng.uniform(0.4, 1.0, (count, 1)), 0.3, 30.0))
        noise = weigh * rng.normal(size=(count, width)) / np.sqrt(width) * spread
        rows = centres[topic] + noise
        vectors[start : start + count] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    weights = np.arange(1, texts + 1) ** -ZIPF_EXPONENT
    again = rng.permutation(texts)[rng.choice(texts, texts // 2, p=weights / weights.sum())]
    return stream_of(rng.permutation(np.concatenate([np.arange(texts), again])), vectors, seed=1)


def expected_mib(stream: Stream, vectors: np.ndarray, thresholds: int) -> float:
    """Return the expected memory of a sweep without the vectors, in MiB.

    It is the sum of: for each text, its bound, and for each threshold the request that its entry
    holds and the request that its TTL counts from; for each request and threshold, the entry that
    served it and its similarity, once while deciding and once in the result; the similar pairs with
    room to sort them, or those of one block if there are too many to keep; and one tile of
    similarities per core, with its pairs.
    """
    nodes = nodes_of(stream)
    bounds = upper_bounds(vectors, THRESHOLDS[0])
    lowest = limit_of(policies()[0])
    with single_products():
        pairs = PairFinder(nodes, vectors, bounds).expected(0, len(nodes.text), lowest)
    if pairs > Sizes().listed_pairs:
        pairs *= MAX_ROWS / len(nodes.text)
    state = len(nodes.text) * (4 * bounds.vectors.shape[1] + 8 * thresholds + 8)
    results = len(stream.text) * thresholds * 16
    each = 4 * pairs_module._TALL * pairs_module._WIDE + 24 * pairs_module._ROOM
    tiles = default_workers() * each
    return (state + results + 3 * 8 * pairs + tiles) / 2**20


def resident_mib() -> float:
    """Return the resident memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def grown(texts: int) -> None:
    """Sweep one made-up log, and print its time and memory as JSON."""
    stream, vectors = traffic(texts)
    warm, near = traffic(300)
    sweep(warm, near, policies())
    gc.collect()
    before = resident_mib()
    started, cpu = time.perf_counter(), time.process_time()
    decisions = sweep(stream, vectors, policies())
    spent, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = {
        "texts": texts,
        "requests": len(stream.text),
        "seconds": spent,
        "cpu_s": cpu,
        "before_mib": before,
        "peak_mib": peak / 1024,
        "expected_mib": expected_mib(stream, vectors, len(THRESHOLDS)),
        "hits": (decisions.served >= 0).mean(axis=1)[[0, 10, 20]].tolist(),
    }
    print(json.dumps(taken))


def growth(options: Any) -> None:
    """Sweep logs of growing size, each in its own process, and fit the exponent of the time."""
    print(
        "growth: texts  requests  seconds    CPU s  peak MiB  of it for the sweep  by the formula  "
        "hits at .70 .80 .90"
    )
    rows = []
    for texts in options.sizes.split(","):
        command = [sys.executable, __file__, "grown", "--texts", texts]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        one = json.loads(done.stdout)
        rows.append((one["texts"], one["seconds"], one["cpu_s"]))
        hits = " ".join(f"{share:.3f}" for share in one["hits"])
        print(
            f"  {one['texts']:>11,} {one['requests']:>9,} {one['seconds']:>8.1f} "
            f"{one['cpu_s']:>8.1f} {one['peak_mib']:>9,.0f} "
            f"{one['peak_mib'] - one['before_mib']:>20,.0f} {one['expected_mib']:>15,.0f}  {hits}",
            flush=True,
        )
    if len(rows) > 1:
        count, seconds, cpu = np.log(np.array(rows)).T
        print(
            f"  seconds grow as texts to the power of {np.polyfit(count, seconds, 1)[0]:.2f}, "
            f"CPU seconds of {np.polyfit(count, cpu, 1)[0]:.2f}"
        )


def near_duplicates(texts: int, options: Any) -> None:
    """Sweep one cluster in which all texts are near each other."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(texts, 384)).astype(np.float32) / np.float32(np.sqrt(384))
    vectors = np.float32(0.25) * noise
    vectors[:, 0] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sample = vectors[:500] @ vectors[:500].T
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    large("near", vectors, options)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    share = float((sample >= 0.9).mean())
    graph = share * texts**2 * 8 / 2**20
    print(
        f"  {share:.0%} of all pairs are at .90 or more: their graph would take {graph:,.0f} MiB; "
        f"the sweep took {after - before:,.0f} MiB more than was in use before"
    )


def divided(texts: int, options: Any) -> None:
    """Sweep one made-up log of many scopes in this process and by a pool, in turn."""
    stream, vectors = traffic(texts)
    pool = np.random.default_rng(5).integers(options.scopes, size=texts).astype(np.int32)
    stream = replace(stream, pool=pool[stream.text], partition=pool[stream.text])
    warm, near = traffic(300)
    sweep(warm, near, policies())
    how = Search(bounds=upper_bounds(vectors, THRESHOLDS[0]), sizes=Sizes(divided_pairs=0.0))
    found = {}
    for engine in ("local", "pool") * options.repeat:
        before = cpu_s()
        swept = partial(sweep, stream, vectors, policies(), None, how, Division(engine, 2))
        seconds, found[engine] = timed(swept, 1)
        print(f"scopes: {engine} {seconds:.1f} s of wall time, {cpu_s() - before:.1f} CPU s")
    assert np.array_equal(found["local"].served, found["pool"].served), "decisions differ"


def cpu_s() -> float:
    """Return the CPU time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def large(name: str, vectors: np.ndarray, options: Any) -> None:
    """Print time and memory of a sweep over distinct texts."""
    stream, vectors = stream_of(np.arange(len(vectors)), vectors, seed=1)
    how = search_of(options)
    seconds, decisions = timed(lambda: sweep(stream, vectors, policies(), search=how), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    hits = (decisions.served >= 0).mean(axis=1)
    print(
        f"{name}: {len(vectors):,} texts; hits at .70 {hits[0]:.4f}, .80 {hits[10]:.4f}; "
        f"sweep of 30: {seconds:.1f} s; peak memory of the process {peak:,.0f} MiB"
    )


def main() -> None:
    """Run the requested parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["zipf", "unique"])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--scopes", type=int, default=20)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--loop-thresholds", type=int, default=3)
    parser.add_argument("--redisvl-requests", type=int, default=20_000)
    parser.add_argument("--sizes", default="5000,10000,30000,100000,300000")
    parser.add_argument("--streamed", action="store_true", help="keep no lists of pairs")
    options = parser.parse_args()
    alone: dict[str, Callable[[], None]] = {
        "synthetic": lambda: large("synthetic", synthetic(options.texts), options),
        "growth": lambda: growth(options),
        "grown": lambda: grown(options.texts),
        "scopes": lambda: divided(options.texts, options),
        "near": lambda: near_duplicates(options.texts, options),
    }
    with tempfile.TemporaryDirectory() as temporary:
        store = options.store or Path(temporary)
        for part in options.parts:
            rng = np.random.default_rng(0)
            if part in alone:
                alone[part]()
                continue
            vectors = banking(store)
            rows = rng.permutation(len(vectors))
            if part == "dense":
                large(part, dense(vectors, options.texts), options)
                continue
            if part in ("zipf", "redisvl"):
                weights = np.arange(1, len(vectors) + 1) ** -ZIPF_EXPONENT
                ranks = rng.choice(len(vectors), ZIPF_REQUESTS, p=weights / weights.sum())
                rows = rows[ranks]
            if part == "redisvl":
                against_redisvl(*stream_of(rows, vectors, seed=1), options)
                continue
            against_loop(part, *stream_of(rows, vectors, seed=1), options)


if __name__ == "__main__":
    main()
