"""A log's period in words."""

import pytest

from costaudit.contracts.audit import covered, in_words
from tests.costing.nouns import quality


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (30.0, "30.0 days"),
        (1.0, "1.0 days"),
        (23.7 / 24, "1.0 days"),
        (6 / 24, "6 hours"),
        (1 / 24, "1 hour"),
        (59 / 1440, "59 minutes"),
        (1 / 1440, "1 minute"),
        (5 / 86_400, "less than a minute"),
    ],
)
def test_a_time_is_said_in_its_own_unit(days: float, said: str) -> None:
    assert in_words(days) == said


def test_a_log_is_as_long_as_from_its_first_request_to_its_last() -> None:
    short = quality(
        first_ts="2026-10-01T10:00:00+00:00", last_ts="2026-10-01T10:12:00+00:00",
        covered_days=1 / 24,
    )  # fmt: skip
    assert covered(short) == "12 minutes"
    assert covered(quality()) == "30.0 days"
