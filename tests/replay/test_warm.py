"""Answers worth caching are chosen by cost and consistency, and written to a file."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.requests import OUTCOMES
from costaudit.errors import InsufficientDataError
from costaudit.replay.warm import WarmAnswer, WarmCluster, answers_worth_having, write_warm_file
from tests.replay.conftest import Log, make_log

CLUSTERS = [
    WarmCluster("cheap", Decimal(5), 3600.0),
    WarmCluster("dear", Decimal(90), 60.0),
]


def scenario() -> tuple[Log, pl.DataFrame]:
    """Return six requests with three texts: 0 is expensive, 1 cheap, and 2 in no cluster."""
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


def chosen(log: Log, outcomes: pl.DataFrame, most: int = 10) -> list[WarmAnswer]:
    return answers_worth_having(
        log.stream, log.texts, outcomes, ["dear", "cheap", ""], CLUSTERS, most
    )


def test_the_newest_right_answers_of_the_dearest_clusters_come_first() -> None:
    log, outcomes = scenario()
    found = chosen(log, outcomes)
    assert [one.request_id for one in found] == ["r6", "r1"]
    assert [one.ttl_s for one in found] == [60.0, 3600.0]
    assert found[0].hits == 2
    assert found[0].saved_usd == pytest.approx(0.8 + 0.9)
    assert found[1].saved_usd == pytest.approx(0.4 + 0.7)
    assert [one.request_id for one in chosen(log, outcomes, most=1)] == ["r6"]


def test_an_answer_that_was_once_wrong_is_left_out() -> None:
    log, outcomes = scenario()
    wrong = pl.when(pl.col("request_id") == "r8").then(False).otherwise("right")
    found = chosen(log, outcomes.with_columns(right=wrong))
    assert [one.request_id for one in found] == ["r0", "r1"]


def test_without_judged_hits_nothing_is_worth_having() -> None:
    log, outcomes = scenario()
    with pytest.raises(InsufficientDataError):
        chosen(log, outcomes.with_columns(right=pl.lit(None, dtype=pl.Boolean)))


def test_a_file_holds_them_with_scope_and_ttl(tmp_path: Path) -> None:
    log, outcomes = scenario()
    path = tmp_path / "warm.jsonl"
    object.__setattr__(log.stream, "scopes", [{"tenant": "acme"}] * len(log.stream))
    write_warm_file(chosen(log, outcomes), path)
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["question"], first["answer"]) == ("question 0", "answer 6")
    assert (first["ttl_s"], first["cluster_id"]) == (60.0, "dear")
    assert first["scope"] == {"tenant": "acme"}
    assert second["request_id"] == "r1"
