"""Token counts of every convention are normalised to the same disjoint classes."""

from typing import Any

import polars as pl
import pytest

from costaudit.ingest.assembly.normalise import normalise
from tests.ingest.staged_rows import CLASSES, table

CASES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    # 3100 - 2048 - 512 = 540
    "openai": (
        {"convention": "openai", "input": 3100, "cache_read": 2048, "cache_write_other": 512,
         "output": 96, "reasoning": 64, "total": 3196},
        (540, 2048, 0, 0, 512, 96, 64),
    ),
    "anthropic": (
        {"convention": "anthropic", "input": 42, "cache_read": 12000, "cache_write_5m": 1000,
         "cache_write_1h": 2000, "output": 180, "reasoning": 90},
        (42, 12000, 1000, 2000, 0, 180, 90),
    ),
    # Converse's totalTokens includes cache tokens: 100 + 28000 + 500 = 28600
    "bedrock_converse": (
        {"convention": "bedrock_converse", "input": 100, "cache_write_5m": 8000,
         "cache_write_1h": 20000, "output": 500, "total": 28600},
        (100, 0, 8000, 20000, 0, 500, 0),
    ),
    # prompt 15042 + tool use 100; output 180 + thoughts 900; total 16222
    "gemini": (
        {"convention": "gemini", "input": 15142, "cache_read": 12000, "output": 180,
         "reasoning": 900, "total": 16222},
        (3142, 12000, 0, 0, 0, 1080, 900),
    ),
    # total = prompt + completion + reasoning proves that the output excludes reasoning
    "xai by total": (
        {"convention": "openai", "input": 100, "output": 20, "reasoning": 300, "total": 420},
        (100, 0, 0, 0, 0, 320, 300),
    ),
    # 42 + 12000 + 3000 + 180 = 15222: Portkey's Anthropic rows are exclusive
    "portkey by total": (
        {"convention": "portkey", "input": 42, "cache_read": 12000, "cache_write_5m": 3000,
         "output": 180, "total": 15222},
        (42, 12000, 3000, 0, 0, 180, 0),
    ),
    # 17 can't include 17102
    "impossible subset": (
        {"convention": "openinference", "input": 17, "cache_read": 17102, "output": 180},
        (17, 17102, 0, 0, 0, 180, 0),
    ),
    "langfuse": (
        {"convention": "langfuse", "input": 540, "cache_read": 2048, "cache_write_other": 512,
         "output": 32, "reasoning": 64, "total": 3196},
        (540, 2048, 0, 0, 512, 96, 64),
    ),
    # cached + written > prompt, though the total says the prompt includes both: writes are cut
    "overlapping openai": (
        {"convention": "openai", "input": 1000, "cache_read": 900, "cache_write_other": 300,
         "output": 10, "total": 1010},
        (0, 900, 0, 0, 100, 10, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_convention_comes_to_disjoint_classes(name: str) -> None:
    row, expected = CASES[name]
    assert normalise(table(row)).select(CLASSES).row(0) == expected


def test_the_majority_of_a_group_decides_for_those_that_nothing_decides() -> None:
    # read > input in two rows proves that this tool counts exclusively; the third row is ambiguous
    # and follows them, while another model in the same file does not
    sure = {"convention": "litellm", "input": 40, "cache_read": 9000, "output": 5}
    open_row = {"convention": "litellm", "input": 5000, "cache_read": 1000, "output": 5}
    other = {**open_row, "model": "other"}
    found = normalise(table(sure, sure, open_row, other))
    assert found["input_uncached_tokens"].to_list() == [40, 40, 5000, 4000]
    assert found["was_ambiguous"].to_list() == [False, False, True, True]
    assert found["usage_convention"].to_list()[2:] == [
        "litellm, counted as exclusive",
        "litellm, undecided, read as inclusive",
    ]


def test_votes_of_one_file_do_not_reach_another() -> None:
    sure = {"convention": "litellm", "input": 40, "cache_read": 9000, "output": 5}
    open_row = {"convention": "litellm", "input": 5000, "cache_read": 1000, "output": 5}
    found = normalise(table(sure, {**open_row, "source_file": "g"}))
    assert found["input_uncached_tokens"].to_list() == [40, 4000]


def test_missing_usage_stays_missing_and_unknown_cache_is_said() -> None:
    nothing = {"convention": "openai", "usage_source": "missing"}
    no_detail = {"convention": "openai", "input": 10, "output": 1, "cache_read": None}
    found = normalise(table(nothing, no_detail))
    assert found.select(CLASSES).row(0) == (None,) * 7
    assert found.select(CLASSES).row(1) == (10, 0, 0, 0, 0, 1, 0)
    assert found["usage_convention"].to_list() == [None, "openai, without cache detail"]


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError, match="incomplete mapping"):
        normalise(table({"convention": "homemade", "input": 10, "output": 1}))


def shape(rows: pl.DataFrame) -> list[tuple[int, str]]:
    found = normalise(rows).select("input_uncached_tokens", "usage_convention")
    return list(found.iter_rows())


def otel(sent: int, cached: int, counted: int | None, **more: Any) -> dict[str, Any]:
    base = {"convention": "otel_semconv", "input": sent, "cache_read": cached, "output": 50}
    return base | {"prompt_tokens": counted} | more


@pytest.mark.parametrize(
    ("sent", "cached", "counted", "uncached"),
    [
        (2_000, 1_500, 2_050, 500),  # billed 2,000, counted 2,050: the input includes cached tokens
        (2_000, 1_500, 3_400, 2_000),  # billed 3,500, counted 3,400: it excludes them
        (2_000, 1_500, 1_560, 500),  # another tokenizer: 1.28 against 2.24, so included
    ],
)
def test_the_tokenizer_decides_what_the_input_holds(
    sent: int, cached: int, counted: int, uncached: int
) -> None:
    ((found, label),) = shape(table(otel(sent, cached, counted)))
    assert found == uncached
    assert "undecided" not in label


def test_calls_without_cached_tokens_show_how_a_tokenizer_differs() -> None:
    # We count 1,000 where the provider bills 1,700, so 2,000 counted and 3,400 billed is all input.
    plain = [otel(1_700, 0, 1_000) for _ in range(3)]
    rows = shape(table(*plain, otel(3_400, 2_000, 2_000)))
    assert rows[-1][0] == 1_400


@pytest.mark.parametrize("counted", [None, 40, 9_000])  # no prompt, too short, truncated
def test_without_evidence_a_convention_is_undecided(counted: int | None) -> None:
    ((found, label),) = shape(table(otel(2_000, 1_500, counted)))
    assert found == 500
    assert label == "otel_semconv, undecided, read as inclusive"


def test_what_a_call_states_is_certain() -> None:
    stated = otel(15_042, 3_000, None) | {"convention": "exclusive as stated"}
    other = otel(15_042, 3_000, None) | {"convention": "inclusive as stated"}
    assert shape(table(stated, other)) == [
        (15_042, "exclusive as stated"),
        (12_042, "inclusive as stated"),
    ]
