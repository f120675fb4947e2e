"""The rules that decide a convention, one by one: a row's logged and normalised counts."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from costaudit.ingest.assembly.normalise import normalise
from tests.ingest.staged_rows import CLASSES, table

WRITES = ("cache_write_5m", "cache_write_1h", "cache_write_other", "unstated_writes", "marker_ttl")


def counts(found: pl.DataFrame, row: int = 0) -> tuple[int | None, ...]:
    return found.select(CLASSES).row(row)


def row(
    convention: str, sent: int | None, cached: int, output: int | None = 10, **more: Any
) -> Any:
    """Build a staged row; `sent` is the logged input, `cached` the tokens read from a cache."""
    return {
        "convention": convention, "input": sent, "cache_read": cached, "output": output, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("logged", "ttl", "expected", "other_ttl"),
    [
        # 5-minute, 1-hour and other writes; writes without a stated lifetime; the marker's lifetime
        ((100, 0, 0, 100, "1h"), None, (0, 100, 0), None),
        ((100, 0, 0, 100, "5m"), None, (100, 0, 0), None),
        ((0, 0, 100, 100, "5m"), None, (100, 0, 0), None),
        ((0, 0, 100, 100, "1h"), None, (0, 100, 0), None),
        ((60, 7, 40, 100, "1h"), None, (0, 107, 0), None),
        ((60, 7, 40, 100, "5m"), None, (100, 7, 0), None),
        ((0, 0, 45, 40, "1h"), None, (0, 40, 5), None),  # the other five have a stated lifetime
        ((0, 0, 45, 40, "5m"), None, (40, 0, 5), None),
        ((60, 7, 40, 100, "30m"), None, (0, 7, 100), "30m"),
        ((60, 7, 40, 100, "mixed"), None, (0, 7, 100), None),  # which of the two is unknown
        ((100, 0, 0, 40, "1h"), None, (60, 40, 0), None),  # 60 are stated as five-minute writes
        ((0, 0, 100, 100, "30m"), "24h", (0, 0, 100), "24h"),  # the log's stated lifetime is kept
        ((1, 0, 0, 1, "1h"), None, (0, 1, 0), None),
        ((0, 0, 1, 1, "30m"), None, (0, 0, 1), "30m"),
        ((60, 7, 40, 0, "30m"), None, (60, 7, 40), None),  # every lifetime is stated
        ((60, 7, 40, None, "1h"), None, (60, 7, 40), None),
        ((60, 7, 40, 100, None), None, (60, 7, 40), None),  # no marker adds anything
        ((60, 7, 40, 100, None), "24h", (60, 7, 40), "24h"),
        ((60, 7, 0, 0, None), "24h", (60, 7, 0), None),  # no other writes
    ],
)
def test_writes_of_no_stated_lifetime_have_that_of_the_marker(
    logged: Sequence[Any], ttl: str | None, expected: tuple[int, ...], other_ttl: str | None
) -> None:
    one = row("anthropic", 42, 0, other_ttl=ttl) | dict(zip(WRITES, logged, strict=True))
    asked = row("anthropic", 42, 0) | dict(zip(WRITES, (9, 0, 0, 9, "1h"), strict=True))
    found = normalise(table(one, asked))
    assert counts(found)[2:5] == expected
    assert found["cache_write_other_ttl"][0] == other_ttl
    assert counts(found, 1)[2:5] == (0, 9, 0)


# Each row with its uncached input, output, reasoning and label.
DECIDED: dict[str, tuple[dict[str, Any], tuple[int, int, int], str]] = {
    # 5000 + 1000 + 180 = 6180: the input excludes cached tokens
    "total, exclusive": (
        row("portkey", 5000, 1000, 180, total=6180), (5000, 180, 0),
        "portkey, counted as exclusive",
    ),
    "total, two tokens off": (
        row("portkey", 5000, 1000, 180, total=6182), (5000, 180, 0),
        "portkey, counted as exclusive",
    ),
    "total, three tokens off": (
        row("portkey", 5000, 1000, 180, total=6183), (4000, 180, 0),
        "portkey, undecided, read as inclusive",
    ),
    # 100 + 500 + 300 = 900: the output excludes reasoning
    "total, reasoning apart": (
        row("openai", 100, 0, 500, reasoning=300, total=900), (100, 800, 300),
        "openai, counted as inclusive, reasoning apart",
    ),
    "total, both apart": (
        row("portkey", 5000, 1000, 500, reasoning=300, total=6800), (5000, 800, 300),
        "portkey, counted as exclusive, reasoning apart",
    ),
    # 111 is within two tokens of both 110 and 112: the source's claim stands
    "total, two shapes": (row("helicone", 100, 2, 10, total=111), (100, 10, 0), "helicone"),
    # the provider's total of 120 has reasoning within the output, which it can't exceed
    "total, reasoning within": (
        row("openai", 100, 0, 20, reasoning=30, total=120), (100, 20, 20), "openai",
    ),
    "cached as many as the input": (row("openinference", 1000, 1000), (0, 10, 0), "openinference"),
    "reasoning beyond the output": (
        row("openinference", 100, 0, 20, reasoning=300), (100, 320, 300),
        "openinference, counted as inclusive, reasoning apart",
    ),
    "reasoning as much as the output": (
        row("openinference", 100, 0, 300, reasoning=300), (100, 300, 300), "openinference",
    ),
    "both beyond": (
        row("openinference", 17, 17102, 20, reasoning=300), (17, 320, 300),
        "openinference, counted as exclusive, reasoning apart",
    ),
    "reasoning apart as claimed": (
        row("langfuse", 540, 100, 20, reasoning=300), (540, 320, 300),
        "langfuse, undecided, read as exclusive, reasoning apart",
    ),
    # only 20 of 1,000 input tokens would be uncached, at most 5 %: the input includes cached ones
    "near": (row("helicone", 1000, 980), (20, 10, 0), "helicone, counted as inclusive"),
    "near, 5 %": (row("helicone", 1000, 950), (50, 10, 0), "helicone, counted as inclusive"),
    "near, all": (row("helicone", 1000, 1000), (0, 10, 0), "helicone, counted as inclusive"),
    "near, one": (row("helicone", 1, 1), (0, 10, 0), "helicone, counted as inclusive"),
    "not near": (
        row("helicone", 1000, 949), (1000, 10, 0), "helicone, undecided, read as exclusive",
    ),
    "near, but documented": (row("anthropic", 1000, 980), (1000, 10, 0), "anthropic"),
    "nothing sent": (row("helicone", 0, 0, 5, reasoning=2), (0, 5, 2), "helicone"),
    "one cached": (row("litellm", 100, 1), (99, 10, 0), "litellm, undecided, read as inclusive"),
    # tokenizer rule: the ratio of billed to counted input, inclusive and exclusive
    "1.00 and 1.40": (otel := row("otel_semconv", 1000, 400, prompt_tokens=1000), (600, 10, 0),
        "otel_semconv"),
    "1.50 and 2.50": (otel | {"input": 3000, "cache_read": 2000, "prompt_tokens": 2000},
        (1000, 10, 0), "otel_semconv"),
    "1.51 and 2.51": (otel | {"input": 3020, "cache_read": 2000, "prompt_tokens": 2000},
        (1020, 10, 0), "otel_semconv, undecided, read as inclusive"),
    "0.95 and 1.10": (otel | {"input": 2000, "cache_read": 300, "prompt_tokens": 2100},
        (1700, 10, 0), "otel_semconv, undecided, read as inclusive"),
    "0.71 and 1.00": (otel | {"prompt_tokens": 1400}, (1000, 10, 0),
        "otel_semconv, counted as exclusive"),
    "0.36 and 0.67": (otel | {"input": 1070, "cache_read": 950, "prompt_tokens": 3000},
        (1070, 10, 0), "otel_semconv, counted as exclusive"),
    "50 counted": (otel | {"input": 60, "cache_read": 45, "prompt_tokens": 50}, (15, 10, 0),
        "otel_semconv"),
    "reasoning apart, counted": (
        row("inclusive, reasoning apart", 3000, 2500, reasoning=20, prompt_tokens=5500),
        (3000, 30, 20), "inclusive, reasoning apart, counted as exclusive, reasoning apart",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DECIDED)
def test_one_call_is_read_by_the_first_rule_that_decides(name: str) -> None:
    logged, expected, label = DECIDED[name]
    found = normalise(table(logged))
    uncached, *_, output, reasoning = counts(found)
    assert (uncached, output, reasoning) == expected
    assert found["usage_convention"].to_list() == [label]
    assert not [name for name in found.columns if name.startswith("_")]


@pytest.mark.parametrize(
    ("cached", "reasoning", "ambiguous"), [(0, 0, False), (1, 0, True), (0, 1, True)]
)
def test_a_convention_matters_where_tokens_are_cached_or_reasoning(
    cached: int, reasoning: int, ambiguous: bool
) -> None:
    found = normalise(table(row("litellm", 100, cached, reasoning=reasoning)))
    assert found["was_ambiguous"].to_list() == [ambiguous]


@pytest.mark.parametrize("name", ["m", None])
def test_a_group_is_counted_with_the_tokenizer_s_own_ratio(name: str | None) -> None:
    # Calls without cached tokens are billed 1.7 times what we count. 3,000 + 2,500 = 5,500 is 1.7
    # times the 3,235 counted, so the input excludes cached tokens. Without the ratio it would be
    # taken as inclusive: 3,000 billed, 3,235 counted.
    plain = [row("otel_semconv", 1700, 0, prompt_tokens=1000)] * 3
    open_row = row("otel_semconv", 3000, 2500, prompt_tokens=3235)
    short = row("otel_semconv", 30_000, 20_000, prompt_tokens=40)  # too short to be counted
    one = row("otel_semconv", 100, 1)
    stated = row("otel_semconv", 1000, 400, total=1010)  # its own total says inclusive
    other = row("otel_semconv", 500, 0, model="another")
    mine = [{"model": name, "provider": name, **each} for each in (open_row, short, one, stated)]
    found = normalise(table(*({**each, "model": name, "provider": name} for each in plain),
                            *mine, other))  # fmt: skip
    assert found["input_uncached_tokens"].to_list() == [1700] * 3 + [3000, 30_000, 100, 600, 500]
    assert not found["was_ambiguous"].any()


@pytest.mark.parametrize("name", ["m", None])
def test_the_majority_wins_and_among_equals_the_first_by_name(name: str | None) -> None:
    outside = row("litellm", 40, 9000, model=name, provider=name)
    within = row("litellm", 5000, 1000, total=5010, model=name, provider=name)
    open_row = row("litellm", 5000, 1000, model=name, provider=name)
    for rows, uncached in (
        ([outside, outside, within], 5000),
        ([outside, within, within], 4000),
        ([outside, within], 5000),
    ):
        found = normalise(table(*rows, open_row))
        assert found["input_uncached_tokens"][-1] == uncached


def test_among_equals_the_first_by_name_wins_in_every_file() -> None:
    # 24 files, because without an order one file could be right by chance.
    three = [
        row("litellm", 5000, 1000, total=5010),
        row("litellm", 40, 9000),
        row("litellm", 5000, 1000),
    ]
    rows = [{**one, "source_file": f"f{number}"} for number in range(24) for one in three]
    found = normalise(table(*rows))
    assert found["input_uncached_tokens"].to_list() == [4000, 40, 5000] * 24


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        # an inclusive input can't have more cached tokens than it counts
        (row("openai", 1000, 1200, total=1010), (0, 1000, 0, 0, 0, 10, 0)),
        (row("openai", 1000, 0, cache_write_5m=None), (1000, 0, 0, 0, 0, 10, 0)),
        (row("openai", 1000, 0, None), (1000, 0, 0, 0, 0, None, 0)),
        (row("openai", None, 0, 10), (None, None, None, None, None, 10, 0)),
        (row("openai", 1000, 0, None, kind="embedding"), (1000, 0, 0, 0, 0, 0, 0)),
        (row("openai", 1000, 0, None, status="error"), (1000, 0, 0, 0, 0, 0, 0)),
        (row("openai", 1000, 0, None, kind="chat", status="ok"), (1000, 0, 0, 0, 0, None, 0)),
        (row("gemini", 1000, 0, 10, reasoning=None), (1000, 0, 0, 0, 0, 10, 0)),
        (row("openai", 1000, 0, 10, reasoning=None), (1000, 0, 0, 0, 0, 10, 0)),
    ],
)
def test_what_is_not_logged_stays_unknown_unless_there_can_be_none(
    logged: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    assert counts(normalise(table(logged))) == expected


@pytest.mark.parametrize(
    ("provider", "total", "cached", "expected"),
    [
        ("google", 650, 0, (100, 0, 0, 0, 0, 550, 500)),  # 500 thoughts are in the total only
        ("google", 650, 40, (60, 40, 0, 0, 0, 550, 500)),
        ("google", 150, 40, (60, 40, 0, 0, 0, 50, 0)),
        ("google", 190, 40, (100, 40, 0, 0, 0, 50, 0)),  # the total adds the cached tokens
        ("google", None, 0, (100, 0, 0, 0, 0, 50, 0)),
        ("openai", 650, 0, (100, 0, 0, 0, 0, 50, 0)),  # nobody knows what the 500 are
    ],
)
def test_thoughts_that_only_the_total_counts_are_output(
    provider: str, total: int | None, cached: int, expected: tuple[int, ...]
) -> None:
    logged = row("openai", 100, cached, 50, total=total, provider=provider)
    assert counts(normalise(table(logged))) == expected
