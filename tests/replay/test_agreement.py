"""Agreement of predicted and measured hits, and the reasons for the differences."""

from typing import Any

import polars as pl
import pytest

from costaudit.contracts.replay import REASONS
from costaudit.contracts.requests import OUTCOMES
from costaudit.errors import InsufficientDataError
from costaudit.replay.backends import cache_at
from costaudit.replay.cache import CacheTraits
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.options import ReplayOptions
from costaudit.replay.section import Agreement, Conditions, compare
from tests.replay.conftest import RedisServer, make_log

Row = tuple[str, str | None, float | None]  # result, matched request, similarity


def outcomes(*rows: Row) -> pl.DataFrame:
    filled = [
        {"policy_id": "p", "request_id": f"r{i}", "result": result, "matched_id": matched,
         "similarity": similarity}
        for i, (result, matched, similarity) in enumerate(rows)
    ]  # fmt: skip
    return pl.DataFrame(filled, schema=OUTCOMES)


MISS: Row = ("miss", None, None)


def hit(entry: int, similarity: float = 0.95) -> Row:
    return ("hit", f"r{entry}", similarity)


def agree(
    predicted: list[Row],
    measured: list[Row],
    *,
    options: ReplayOptions | None = None,
    slack_s: float = 0.0,
    exact: bool = True,
    own: bool = False,
    times: list[tuple[float, float]] | None = None,
) -> Agreement:
    log = make_log(len(predicted), bypass_share=0)
    if times is not None:
        log.stream.ts_s[:], log.stream.ready_s[:] = zip(*times, strict=True)
    return compare(
        outcomes(*predicted),
        outcomes(*measured),
        Conditions(
            log.stream,
            options or ReplayOptions(min_similarity=0.8),
            CacheTraits("x", exact_index=exact, own_vectors=own),
            slack_s,
        ),
    )


def test_the_confusion_table_counts_every_request_once() -> None:
    predicted = [MISS, hit(0), hit(0), ("bypass", None, None), MISS]
    measured = [MISS, hit(0), MISS, ("bypass", None, None), hit(2)]
    found = agree(predicted, measured)
    assert found.confusion["hit"] == {"hit": 1, "miss": 1, "bypass": 0, "error": 0}
    assert found.confusion["miss"] == {"hit": 1, "miss": 1, "bypass": 0, "error": 0}
    assert (found.requests, found.agreed, found.both_hit, found.same_entry) == (5, 3, 1, 1)
    assert found.agreed_share == 0.6
    assert found.agreed + sum(found.reasons.values()) == found.requests
    assert found.differing["request_id"].to_list() == ["r2", "r4"]


def test_a_hit_of_another_entry_agrees_but_is_counted_apart() -> None:
    found = agree([MISS, MISS, hit(0)], [MISS, MISS, hit(1)])
    assert (found.agreed, found.both_hit, found.same_entry) == (3, 1, 0)


@pytest.mark.parametrize(
    ("predicted", "measured", "options", "reason"),
    [
        ([MISS, hit(0)], [MISS, ("error", None, None)], {}, "error"),
        # r1 was a hit live, so its answer isn't stored for r2
        ([MISS, MISS, hit(1)], [MISS, hit(0, 0.805), MISS], {}, "earlier difference"),
        # r0 was ready at 2.0; r1 came at 2.1, the replay ran 0.2 s late
        ([MISS, hit(0)], [MISS, MISS], {"times": [(0, 2), (2.1, 3)], "slack_s": 0.2}, "clock"),
        # predicted to expire at 10 (sent at 0), live at 12 (inserted at 2); r1 came at 11
        (
            [MISS, MISS], [MISS, hit(0)],
            {"times": [(0, 2), (11, 12)],
             "options": ReplayOptions(min_similarity=0.8, ttl_s=10)}, "expiry",
        ),
        ([MISS, hit(0, 1.0)], [MISS, MISS], {"own": True}, "no longer held"),
        ([MISS, hit(0, 0.93)], [MISS, MISS], {"own": True}, "unexplained"),
        ([MISS, MISS], [MISS, ("hit", "", 0.9)], {}, "start state"),
        ([MISS, hit(0, 0.803)], [MISS, MISS], {"exact": False}, "rounding"),
        ([MISS, hit(0, 0.93)], [MISS, MISS], {"exact": False}, "approximate index"),
        ([MISS, hit(0, 0.93)], [MISS, MISS], {}, "unexplained"),
    ],
)  # fmt: skip
def test_each_difference_has_its_reason(
    predicted: list[Row], measured: list[Row], options: dict[str, Any], reason: str
) -> None:
    options = {"times": [(i * 100, i * 100 + 1) for i in range(len(predicted))], **options}
    found = agree(predicted, measured, **options)
    assert found.differing["reason"][-1] == reason
    assert set(found.reasons) <= set(REASONS)


def test_tables_without_a_common_request_are_refused() -> None:
    log = make_log(1)
    other = outcomes(MISS).with_columns(request_id=pl.lit("x"))
    with pytest.raises(InsufficientDataError):
        compare(
            outcomes(MISS),
            other,
            Conditions(
                log.stream, ReplayOptions(min_similarity=0.8), CacheTraits("x", exact_index=True)
            ),
        )


@pytest.mark.parametrize(
    ("query", "least"),
    [("flavour=redisvl", 0.99), ("flavour=vectorset", 0.97),
     ("flavour=vectorset&exact=1&quantization=noquant", 0.99)],
)  # fmt: skip
def test_a_real_server_agrees_with_the_simulation(
    redis_server: RedisServer, query: str, least: float
) -> None:
    log = make_log(1500, texts=600)
    cache = cache_at(redis_server.url(query))
    options = ReplayOptions(min_similarity=0.8)
    predicted, measured = log.replay(MemoryCache()), log.replay(cache)
    found = compare(
        predicted.outcomes,
        measured.outcomes,
        Conditions(log.stream, options, cache.traits, measured.slack_s),
    )
    assert found.agreed_share >= least
    assert found.both_hit > 500
    assert "unexplained" not in found.reasons
