"""Answers far above the usual length, and reasoning, are worth a test."""

from costaudit.levers.output import heavy_reasoning, long_answers
from tests.levers.logs import log


def test_the_tail_is_cut_to_the_usual_length() -> None:
    # 98 answers of 100 tokens and two of 5,000: the 95 % quantile is 100.
    rows = [{"output_tokens": 100}] * 98 + [{"output_tokens": 5_000}] * 2
    lever = long_answers(log(*rows))
    assert lever is not None
    assert lever.requests == 2
    assert "chat | gpt-4o: 100" in lever.test


def test_the_usual_length_is_the_95th_of_a_hundred_and_no_other() -> None:
    # Sorted: 95 answers of 100 tokens, then 200, 250 and three of 700. The 95 % quantile lies
    # between the 95th (100) and the 96th (200), of which the higher one is taken.
    rows = [*[100] * 95, 200, 250, *[700] * 3]
    lever = long_answers(log(*[{"output_tokens": n} for n in rows]))
    assert lever is not None and lever.requests == 3
    assert "chat | gpt-4o: 200" in lever.test


def test_each_endpoint_has_its_own_length() -> None:
    short = [{"output_tokens": 100}] * 99 + [{"output_tokens": 1_000}]
    long = [{"output_tokens": 1_000, "endpoint": "write"}] * 100
    lever = long_answers(log(*short, *long))
    assert lever is not None
    assert lever.requests == 1 and "chat | gpt-4o: 100" in lever.test and "write" not in lever.test


def test_ordinary_spread_is_no_tail() -> None:
    # Uniform from 1 to 200: the quantile is 191, and nothing is 1.5 times longer.
    assert long_answers(log(*[{"output_tokens": n} for n in range(1, 201)])) is None


def test_few_answers_have_no_tail() -> None:
    rows = [{"output_tokens": 100}] * 97 + [{"output_tokens": 5_000}] * 2
    assert long_answers(log(*rows)) is None
    assert long_answers(log()) is None


def test_tool_calls_and_failures_are_not_answers() -> None:
    rows = [{"output_tokens": 100}] * 100
    odd = [
        {"output_tokens": 9_000, "answer_kind": "tool_use"},
        {"output_tokens": 9_000, "status": "error"},
        {"output_tokens": 9_000, "finish_reason": "content_filter"},
    ]
    assert long_answers(log(*rows, *odd)) is None


def test_reasoning_that_makes_most_of_the_output_is_named() -> None:
    rows = [{"output_tokens": 100, "reasoning_tokens": 60}] * 100
    found = heavy_reasoning(log(*rows))
    assert found is not None and found.requests == 100 and "chat" in found.why
    assert heavy_reasoning(log(*rows[:99])) is None
    assert heavy_reasoning(log(*[{"output_tokens": 100, "reasoning_tokens": 40}] * 100)) is None
