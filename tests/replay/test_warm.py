"""Answers worth having: chosen by money and consistency, kept where they are wanted."""

import json
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.requests import OUTCOMES
from costaudit.errors import BackendError, InsufficientDataError, UsageError
from costaudit.replay.backends import cache_at
from costaudit.replay.cache import CacheSettings, Query
from costaudit.replay.warm import WarmCluster, answers_worth_having, warm_cache, write_warm_file
from tests.replay.conftest import make_log

CLUSTERS = [
    WarmCluster("cheap", Decimal(5), 3600.0),
    WarmCluster("dear", Decimal(90), 60.0),
]


def scenario():
    """Build six requests of three texts: text 0 is dear, text 1 cheap, text 2 in no cluster."""
    log = make_log(10, texts=3, partitions=1, bypass_share=0)
    log.stream.rows[:] = [0, 1, 2, 0, 1, 2, 0, 1, 0, 0]
    object.__setattr__(log.stream, "cost_usd", np.arange(10) / 10)
    rows = [
        ("miss", None, None), ("miss", None, None), ("miss", None, None),
        ("hit", "r0", True), ("hit", "r1", True), ("hit", "r2", True),
        ("miss", None, None),  # expired: r6 is the newer answer to text 0
        ("hit", "r1", None),
        ("hit", "r6", True), ("hit", "r6", True),
    ]  # fmt: skip
    filled = [
        {"policy_id": "p", "request_id": f"r{i}", "result": result, "matched_id": matched,
         "right": right}
        for i, (result, matched, right) in enumerate(rows)
    ]  # fmt: skip
    return log, pl.DataFrame(filled, schema=OUTCOMES)


def chosen(log, outcomes, most=10):
    return answers_worth_having(
        log.stream, log.texts, outcomes, ["dear", "cheap", ""], CLUSTERS, most
    )


def test_the_newest_right_answers_of_the_dearest_clusters_come_first():
    log, outcomes = scenario()
    found = chosen(log, outcomes)
    assert [one.request_id for one in found] == ["r6", "r1"]
    assert [one.ttl_s for one in found] == [60.0, 3600.0]
    assert found[0].hits == 2
    assert found[0].saved_usd == pytest.approx(0.8 + 0.9)
    assert found[1].saved_usd == pytest.approx(0.4 + 0.7)
    assert [one.request_id for one in chosen(log, outcomes, most=1)] == ["r6"]


def test_an_answer_that_was_once_wrong_is_left_out():
    log, outcomes = scenario()
    wrong = pl.when(pl.col("request_id") == "r8").then(False).otherwise("right")
    found = chosen(log, outcomes.with_columns(right=wrong))
    assert [one.request_id for one in found] == ["r0", "r1"]


def test_without_judged_hits_nothing_is_worth_having():
    log, outcomes = scenario()
    with pytest.raises(InsufficientDataError):
        chosen(log, outcomes.with_columns(right=pl.lit(None, dtype=pl.Boolean)))


def test_a_file_holds_them_with_scope_and_ttl(tmp_path):
    log, outcomes = scenario()
    path = tmp_path / "warm.jsonl"
    write_warm_file(chosen(log, outcomes), {0: "tenant=acme"}, path)
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["question"], first["answer"]) == ("question 0", "answer 6")
    assert (first["scope"], first["ttl_s"], first["cluster_id"]) == ("tenant=acme", 60.0, "dear")
    assert second["request_id"] == "r1"


@pytest.mark.parametrize("flavour", ["flavour=redisvl", "flavour=vectorset"])
def test_a_live_cache_serves_them_until_their_time_is_up(redis_server, flavour):
    log, outcomes = scenario()
    prefix = "costaudit:warm"
    url = redis_server.url(flavour)
    client = redis_server.client()
    try:
        kept = warm_cache(chosen(log, outcomes), log.texts, log.vectors, cache_at(url), prefix)
        assert kept == 2
        ttls = [client.ttl(key) for key in redis_server.key_names()]
        assert sorted(ttl for ttl in ttls if ttl > 0) == pytest.approx([60, 3600], abs=2)
        with pytest.raises(BackendError, match="already"):
            warm_cache(chosen(log, outcomes), log.texts, log.vectors, cache_at(url), prefix)
        reader = cache_at(url)
        reader.open(CacheSettings(log.texts, log.vectors, 0.99, prefix, speed=1.0, resumed=True))
        reader.close(keep=False)
        assert redis_server.key_names() == []
    finally:
        client.flushdb()


def test_answers_can_be_looked_up_once_warm(redis_server):
    log, outcomes = scenario()
    warm_cache(chosen(log, outcomes), log.texts, log.vectors, cache_at(redis_server.url()), "wm")
    client = redis_server.client()
    try:
        reader = cache_at(redis_server.url("name=wm:redisvl"))
        reader.open(CacheSettings(log.texts, log.vectors, 0.99, "unused", shadow=True))
        match = reader.lookup([Query(0, "x", 0, 0, 0.0)])[0].match
        assert match is not None and match.answer == "answer 6"
        reader.close(keep=False)
        assert len(redis_server.key_names()) == 2
    finally:
        client.ft("wm:redisvl").dropindex(delete_documents=True)


def test_caches_that_keep_nothing_are_refused():
    log, outcomes = scenario()
    with pytest.raises(UsageError):
        warm_cache(
            chosen(log, outcomes), log.texts, log.vectors, cache_at("memory://"), "costaudit:warm"
        )
