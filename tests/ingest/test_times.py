"""Every spelling of a time is read as the same moment."""

from datetime import UTC, datetime

import pytest

from costaudit.ingest.calls.fields import parse_time, span_ms

MOMENT = datetime(2026, 11, 2, 9, 14, 7, 120_000, tzinfo=UTC)
US = int(MOMENT.timestamp() * 1_000_000)


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-11-02T09:14:07.120Z",
        "2026-11-02T09:14:07.120+00:00",
        "2026-11-02T11:14:07.120+02:00",
        "2026-11-02 09:14:07.120",
        "2026-11-02 09:14:07.1200000",
        "2026-11-02T09:14:07.120000",
        "2026-11-02 09:14:07.120 UTC",
        1793610847.12,
        1793610847120,
        1793610847120000,
        1793610847120000000,
        "1793610847120000000",
        "1793610847120",
    ],
)
def test_a_moment_has_many_spellings(spelling: object) -> None:
    assert parse_time(spelling) == US


@pytest.mark.parametrize(
    "nonsense",
    ["yesterday", "", None, True, float("nan"), float("inf"), -1, 0, 5, {}, "9" * 40, 1e300],
)
def test_what_is_no_time_of_a_call_is_none(nonsense: object) -> None:
    assert parse_time(nonsense) is None


def test_spans_never_run_backwards() -> None:
    assert span_ms(US, US + 1_500) == 1.5
    assert span_ms(US, US - 1) is None
    assert span_ms(None, US) is None
