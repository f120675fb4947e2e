"""Both Redis flavours on a real server: decisions, expiry, and no keys except our own."""

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costaudit.contracts.policies import TtlKind
from costaudit.errors import BackendError, UsageError
from costaudit.replay.backends import cache_at, cleaned
from costaudit.replay.cache import CacheSettings, Entry, Query, reach
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.caches.redis_server import owner_name
from costaudit.replay.result import ReplayResult
from tests.replay.conftest import Log, RedisServer, make_log, running
from tests.replay.oracle import decide

FLAVOURS = [
    "flavour=redisvl",
    "flavour=vectorset&quantization=noquant",
    "flavour=vectorset&exact=1",
]


def same_share(log: Log, result: ReplayResult, **policy: Any) -> float:
    expected = decide(log.stream, log.vectors, 0.8, **policy)
    kinds = result.outcomes["result"].to_list()
    same = sum(one == other[0] for one, other in zip(kinds, expected, strict=True))
    return float(same / len(kinds))


@pytest.mark.parametrize("ttl_kind", ["fixed", "sliding"])
@pytest.mark.parametrize("ttl_s", [None, 20.0])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_decisions_agree_with_the_definition(
    redis_server: RedisServer, log: Log, flavour: str, ttl_s: float | None, ttl_kind: TtlKind
) -> None:
    cache = cache_at(redis_server.url(flavour))
    result = log.replay(cache, ttl_s=ttl_s, ttl_kind=ttl_kind)
    assert result.outcomes.filter(result="hit").height > 100
    exact = "noquant" not in flavour
    assert same_share(log, result, ttl_s=ttl_s, ttl_kind=ttl_kind) >= (0.99 if exact else 0.97)
    assert redis_server.key_names() == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_cache_serves_what_was_stored_in_that_partition(
    redis_server: RedisServer, log: Log, flavour: str
) -> None:
    cache = cache_at(redis_server.url(flavour))
    cache.open(CacheSettings(log.texts, log.vectors, 0.99, "costaudit:test"))
    cache.store(Entry(0, "r0", 5, 1, "forty-two ‹é›", 0.0), 0.0)
    found = cache.lookup([Query(1, "r1", 5, 1, 1.0), Query(2, "r2", 5, 2, 1.0)])
    assert found[0].match is not None
    assert (found[0].match.request_id, found[0].match.answer) == ("r0", "forty-two ‹é›")
    assert found[0].match.exact and found[0].match.similarity == 1.0
    assert found[1].match is None
    cache.close(keep=False)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_similarity_is_the_cosine(redis_server: RedisServer, log: Log, flavour: str) -> None:
    near = log.vectors[0] + np.float32(0.1) * log.vectors[40]
    log.vectors[1] = near / np.linalg.norm(near)
    cache = cache_at(redis_server.url(flavour))
    cache.open(CacheSettings(log.texts, log.vectors, 0.5, "costaudit:test"))
    cache.store(Entry(0, "r0", 0, 1, "yes", 0.0), 0.0)
    match = cache.lookup([Query(1, "r1", 1, 1, 1.0)])[0].match
    cache.close(keep=False)
    assert match is not None and not match.exact
    tolerance = 0.005 if "exact" in flavour else 1e-6  # eight bits per dimension, or all
    assert match.similarity == pytest.approx(float(log.vectors[0] @ log.vectors[1]), abs=tolerance)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_keys_of_others_are_left_alone_and_own_ones_kept_on_demand(
    redis_server: RedisServer, log: Log, flavour: str
) -> None:
    client = redis_server.client()
    client.set("costaudit-not:mine", "1")
    try:
        result = log.replay(cache_at(redis_server.url(flavour)), keep=True)
        mine = [key for key in redis_server.key_names() if key.startswith(result.prefix + ":")]
        assert len(mine) > 100
        log.replay(cache_at(redis_server.url(flavour)))
        assert redis_server.key_names() == sorted([*mine, "costaudit-not:mine"])
        (said,) = cleaned(redis_server.url(flavour))
        assert result.prefix in said and f"{len(mine):,} keys removed" in said
        assert redis_server.key_names() == ["costaudit-not:mine"]
        assert client.execute_command("FT._LIST") == []
    finally:
        client.flushdb()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_ttls_shrink_with_the_clock(redis_server: RedisServer, log: Log, flavour: str) -> None:
    # A TTL of 100 s at speed 1,000 is 100 ms of Redis's own clock.
    cache = cache_at(redis_server.url(flavour))
    cache.open(CacheSettings(log.texts, log.vectors, 0.9, "costaudit:t", ttl_s=100.0, speed=1000.0))
    cache.store(Entry(0, "r0", 5, 1, "soon gone", 0.0), 0.0)
    entries = [key for key in redis_server.key_names() if ":vectors:" not in key]
    entries = [key for key in entries if not key.endswith(":owner")]
    left = [redis_server.client().pttl(key) for key in entries]
    assert 0 < max(left) <= 100
    assert cache.lookup([Query(1, "r1", 5, 1, 0.0)])[0].match is not None
    for key in entries:
        redis_server.client().pexpire(key, 1)
    while redis_server.client().exists(*entries):
        pass
    assert cache.lookup([Query(2, "r2", 5, 1, 101.0)])[0].match is None
    cache.close(keep=False)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_hit_renews_a_sliding_ttl(redis_server: RedisServer, log: Log, flavour: str) -> None:
    cache = cache_at(redis_server.url(flavour))
    settings = CacheSettings(
        log.texts, log.vectors, 0.9, "costaudit:t", ttl_s=100.0, ttl_kind="sliding", speed=1.0
    )
    cache.open(settings)
    cache.store(Entry(0, "r0", 5, 1, "yes", -60.0), 0.0)  # 40 s are left of it
    client = redis_server.client()
    entries = [key for key in redis_server.key_names() if ":vectors:" not in key]
    entries = [key for key in entries if not key.endswith(":owner")]
    assert max(client.pttl(key) for key in entries) <= 40_000
    cache.lookup([Query(1, "r1", 5, 1, 0.0)])
    assert max(client.pttl(key) for key in entries) > 99_000
    cache.close(keep=False)


def test_vectors_of_expired_answers_are_removed_from_the_set(
    redis_server: RedisServer, log: Log
) -> None:
    log.vectors[1] = log.vectors[0]
    cache = cache_at(redis_server.url("flavour=vectorset"))
    cache.open(CacheSettings(log.texts, log.vectors, 0.9, "costaudit:t", ttl_s=9.0, speed=1.0))
    cache.store(Entry(0, "r0", 0, 1, "gone", 0.0), 0.0)
    client = redis_server.client()
    (answer,) = [key for key in redis_server.key_names() if ":answer:" in key]
    client.delete(answer)  # as if it had expired
    assert cache.lookup([Query(1, "r1", 1, 1, 1.0)])[0].match is None
    assert client.execute_command("VCARD", "costaudit:t:vectors:1") == 0
    cache.close(keep=False)


def test_shadow_reads_an_index_and_changes_nothing(redis_server: RedisServer, log: Log) -> None:
    made = log.replay(cache_at(redis_server.url()), keep=True)
    client = redis_server.client()
    (index,) = client.execute_command("FT._LIST")
    try:
        before = redis_server.content()
        shadow = log.replay(cache_at(redis_server.url(f"name={index}")), shadow=True)
        assert redis_server.content() == before
    finally:
        cleaned(redis_server.url())
    hits = shadow.outcomes.filter(result="hit")
    assert hits.height >= made.outcomes.filter(result="hit").height
    assert set(hits["matched_id"]) <= set(made.outcomes.filter(result="miss")["request_id"])


@pytest.mark.parametrize(
    ("query", "options"),
    [("name=there", {}), ("", {"shadow": True}), ("flavour=vectorset", {"shadow": True})],
)  # fmt: skip
def test_impossible_combinations_are_refused(
    redis_server: RedisServer, log: Log, query: str, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        log.replay(cache_at(redis_server.url(query)), **options)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_identical_text_alone_hits_above_one(
    redis_server: RedisServer, log: Log, flavour: str
) -> None:
    result = log.replay(cache_at(redis_server.url(flavour)), min_similarity=1.5)
    simulated = log.replay(MemoryCache(), min_similarity=1.5)
    columns = ["result", "matched_id", "similarity"]
    assert result.outcomes.select(columns).equals(simulated.outcomes.select(columns))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_a_kill_leaves_names_its_owner_and_is_cleaned(
    redis_server: RedisServer, log: Log, flavour: str
) -> None:
    address = redis_server.url(flavour)
    client = redis_server.client()
    for prefix, change in (("costaudit:aa", {"pid": 0}), ("costaudit:bb", {"owner": "ann@host"})):
        cache = cache_at(address)
        cache.open(CacheSettings(log.texts, log.vectors, 0.9, prefix))
        cache.store(Entry(0, "r0", 5, 1, "left", 0.0), 0.0)
        client.hset(f"{prefix}:owner", mapping=change)
    try:
        assert all(client.ttl(key) > 0 for key in redis_server.key_names())
        said = " ".join(cleaned(address))
        assert "costaudit:aa" in said and "removed" in said
        assert "costaudit:bb is of ann@host" in said
        assert {key.split(":")[1] for key in redis_server.key_names()} == {"bb"}
        client.hset("costaudit:bb:owner", mapping={"owner": owner_name(), "pid": os.getpid()})
        assert "runs now" in " ".join(cleaned(address))
        client.hset("costaudit:bb:owner", mapping={"pid": 0})
        assert "removed" in " ".join(cleaned(address))
        assert redis_server.key_names() == []
        assert cleaned(address) == ("No earlier replay left anything.",)
    finally:
        client.flushdb()


def test_an_address_that_can_t_work_is_refused_before_a_server_is_asked() -> None:
    with pytest.raises(UsageError, match="no such file"):
        cache_at("rediss://127.0.0.1:9?ca=/nonexistent.pem")
    with pytest.raises(UsageError, match="first database only") as refused:
        cache_at("redis://127.0.0.1:9/3")
    assert "flavour=vectorset" in refused.value.hint
    cache_at("redis://127.0.0.1:9/3?flavour=vectorset")


def test_a_server_that_is_no_sentinel_or_speaks_no_tls_is_named_as_that(
    redis_server: RedisServer,
) -> None:
    place = f"127.0.0.1:{redis_server.port}"
    with pytest.raises(BackendError, match="is no sentinel"):
        reach(cache_at(f"redis+sentinel://{place}/0?service=m"))
    with pytest.raises(BackendError, match="did not answer in time") as silent:
        reach(cache_at(f"rediss://{place}?timeout_s=0.2"))
    assert "without TLS" in silent.value.hint


def test_a_server_of_others_is_warned_of_and_evictions_are_counted(tmp_path: Path) -> None:
    log = make_log(1500, texts=1500, latency_s=0.01)
    assert isinstance(log.stream.answers, list)
    log.stream.answers[:] = ["long answer " * 900] * 1500
    limits = ("--maxmemory", "9mb", "--maxmemory-policy", "allkeys-lru")
    with running(tmp_path, *limits) as server:
        cache = cache_at(server.url("flavour=vectorset"))
        assert reach(cache) == ()
        server.client().set("orders:1", "theirs")
        (warning,) = reach(cache)
        assert "allkeys-lru" in warning and "push theirs out" in warning
        result = log.replay(cache, min_similarity=0.99)
        (note,) = result.notes
        assert "evicted" in note and "too small" in note


def test_sentinels_lead_to_the_master(tmp_path: Path, log: Log) -> None:
    with running(tmp_path) as server, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = tmp_path / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor cache 127.0.0.1 {server.port} 1\n"
        )
        sentinel = subprocess.Popen(
            [server.command[0], str(config), "--sentinel"], stdout=subprocess.DEVNULL
        )
        try:
            wait_for(port)
            cache = cache_at(
                f"redis+sentinel://127.0.0.1:{port}/0?service=cache&flavour=vectorset&exact=1"
            )
            assert log.replay(cache).outcomes.filter(result="hit").height > 100
            assert server.key_names() == []
        finally:
            sentinel.kill()
            sentinel.wait()


def test_a_database_other_than_the_first_is_used(redis_server: RedisServer, log: Log) -> None:
    url = redis_server.url("flavour=vectorset&exact=1").replace("/0?", "/3?")
    result = log.replay(cache_at(url), keep=True)
    client = redis_server.client(db=3)
    try:
        assert any(key.startswith(result.prefix) for key in client.keys("*"))
        assert redis_server.key_names() == []
    finally:
        client.flushdb()


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start")
