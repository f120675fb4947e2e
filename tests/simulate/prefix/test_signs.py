"""Signs of trouble in counters, errors and batches."""

from typing import Any

import pytest

from costaudit.simulate.prefix.advice.facts import Sign, prefix_facts
from tests.simulate.traffic import Log


def signs(count: int, **fields: Any) -> tuple[Sign, ...]:
    log = Log()
    for number in range(count):
        own = {name: value(number) if callable(value) else value for name, value in fields.items()}
        marks = own.pop("marks", 1)
        parts = [("system", f"rules {k} " * 50, 600, "5m") for k in range(marks)]
        log.call([*parts, ("user", f"{number}?", 20)], number * 10.0, **own)
    requests, blocks = log.tables()
    return prefix_facts(requests, blocks, compare=False).signs


def test_counters_that_nobody_logged() -> None:
    (sign,) = signs(30, marks=2)
    assert sign.kind == "usage_not_parsed"
    # Two blocks of 600 tokens exceed the minimum; 29 requests should have read them.
    assert "34,800 tokens should have been read" in sign.text


def test_no_sign_where_few_requests_or_an_estimate_say_so() -> None:
    assert signs(19, marks=2) == ()
    assert signs(30, marks=2, usage_source="estimated") == ()


def test_more_markers_than_allowed() -> None:
    (sign,) = signs(3, marks=5, status="error", http_status=400)
    assert (sign.kind, sign.requests) == ("too_many_markers", 3)


@pytest.mark.parametrize(("count", "found"), [(40, ["lifetime_changed"]), (39, [])])
def test_a_client_that_changes_its_lifetime(count: int, found: list[str]) -> None:
    def billed(number: int) -> dict[str, int]:
        column = "cache_write_1h_tokens" if number < count // 2 else "cache_write_5m_tokens"
        return {"input_uncached_tokens": 20, column: 600}

    seen = signs(count, billed=billed)
    assert [sign.kind for sign in seen] == found
    if found:
        assert "from 100% to 0% of all writes around 2026-11-02" in seen[0].text


def test_batches_that_only_write() -> None:
    billed = {"input_uncached_tokens": 20, "cache_write_1h_tokens": 600}
    assert [sign.kind for sign in signs(25, billed=billed, is_batch=True)] == ["batch_not_shared"]
