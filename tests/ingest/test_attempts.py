"""A call counts as a retry if the same caller's same prompt failed shortly before."""

import polars as pl
import pytest

from costaudit.ingest.assembly.identity import RETRY_US, number_attempts


def attempts(*calls: tuple[int, str]) -> list[int]:
    """Return the attempt numbers of calls with one prompt, given as (microseconds, status)."""
    rows = pl.DataFrame(
        [
            {
                "at": place,
                "ts_us": ts_us,
                "status": status,
                "attempt": None,
                "source_file": "log.jsonl",
                "prompt_hash": "p",
                "tenant": "t",
                "user": None,
                "conversation": None,
            }
            for place, (ts_us, status) in enumerate(calls)
        ],
        schema_overrides={"attempt": pl.Int32, "user": pl.String, "conversation": pl.String},
    )
    return number_attempts(rows).to_list()


@pytest.mark.parametrize(("later_us", "number"), [(0, 1), (-1, 1), (1, 0)])
def test_the_window_of_a_retry_is_two_minutes_and_its_end_belongs_to_it(
    later_us: int, number: int
) -> None:
    assert RETRY_US == 2 * 60 * 1_000_000
    assert attempts((0, "error"), (120_000_000 + later_us, "ok")) == [0, number]


def test_tries_are_counted_until_one_is_answered() -> None:
    second = 1_000_000
    found = attempts((0, "error"), (second, "error"), (2 * second, "ok"), (3 * second, "ok"))
    assert found == [0, 1, 2, 0]
