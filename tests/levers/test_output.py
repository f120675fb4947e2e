"""Only answers far above the usual length of their endpoint are cut."""

from costaudit.levers.output import output_length
from tests.levers.logs import log


def test_the_tail_is_cut_to_the_usual_length() -> None:
    # 98 answers of 100 tokens and two of 5,000: the 95 % quantile is 100.
    rows = [{"output_tokens": 100}] * 98 + [{"output_tokens": 5_000}] * 2
    lever = output_length(log(*rows))
    assert lever is not None
    assert lever.effect["output_tokens"].to_list() == [None] * 98 + [100] * 2
    assert "chat | gpt-4o: 100" in lever.change


def test_each_endpoint_has_its_own_length() -> None:
    short = [{"output_tokens": 100}] * 99 + [{"output_tokens": 1_000}]
    long = [{"output_tokens": 1_000, "endpoint": "write"}] * 100
    lever = output_length(log(*short, *long))
    assert lever is not None
    assert lever.effect["unit"].drop_nulls().to_list() == ["chat | gpt-4o"]


def test_ordinary_spread_is_no_tail() -> None:
    # Uniform from 1 to 200: the quantile is 191, and nothing is 1.5 times longer.
    assert output_length(log(*[{"output_tokens": n} for n in range(1, 201)])) is None


def test_few_answers_have_no_tail() -> None:
    rows = [{"output_tokens": 100}] * 97 + [{"output_tokens": 5_000}] * 2
    assert output_length(log(*rows)) is None
    assert output_length(log()) is None


def test_tool_calls_and_failures_are_not_answers() -> None:
    rows = [{"output_tokens": 100}] * 100
    odd = [
        {"output_tokens": 9_000, "answer_kind": "tool_use"},
        {"output_tokens": 9_000, "status": "error"},
        {"output_tokens": 9_000, "finish_reason": "content_filter"},
    ]
    assert output_length(log(*rows, *odd)) is None
