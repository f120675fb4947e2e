"""White space in answers is priced; very long answers and heavy reasoning are worth a test."""

import json
from math import floor

import pytest

from costaudit.levers.output import (
    cut_answers,
    heavy_reasoning,
    indented_answers,
    large_schemas,
    long_answers,
)
from costaudit.levers.waste import waste
from tests.levers.logs import blocks, log


def test_white_space_of_answers_in_json_is_priced_without_their_reasoning() -> None:
    # Here a token is a character. The share of white space is taken off the visible output: 100 of
    # 300 tokens where 200 are reasoning.
    values = [{"id": number, "name": "x"} for number in range(9)]
    text, wide = json.dumps(values, indent=2), json.dumps(values, indent=8)
    share = 1 - len(json.dumps(values, separators=(",", ":"))) / len(text)
    assert 0.3 < share < 0.6
    answer = {"answer_id": "a", "output_tokens": 300, "reasoning_tokens": 200}
    found = indented_answers(
        log(
            answer,
            {**answer, "reasoning_tokens": None, "endpoint": "write"},
            {**answer, "finish_reason": "length"},
            {**answer, "finish_reason": None},
            {**answer, "finish_reason": None, "answer_id": "wide"},
            {**answer, "answer_kind": "tool_use"},
            {**answer, "status": "error", "answer_id": "wide"},
            {**answer, "answer_id": "short"},
            {**answer, "answer_id": None},
            {**answer, "output_tokens": 202},  # saves less than one of two tokens
            {**answer, "output_tokens": None},
        ),
        blocks(short="[1]", wide=wide, a=text),
        len,
    )
    assert found is not None
    assert found.effect["output_tokens"].to_list() == [
        300 - floor(100 * share), 300 - floor(300 * share), *[None] * 9,
    ]  # fmt: skip
    assert found.effect["unit"].to_list() == ["chat | gpt-4o", "write | gpt-4o", *[None] * 9]
    assert found.effect["removed"].null_count() == 11
    assert found.rule == (
        "2 answers of chat, write are indented JSON; the same values without white space have "
        f"{share:.0%} fewer tokens on average, counted with the run's tokenizer."
    )
    assert (found.lever, found.section) == ("indented_answers", "levers")
    assert found.grade == "estimated"


def test_the_first_token_that_is_saved_counts() -> None:
    # Half of the text is white space: two visible tokens save one, one token saves none.
    text = "[\n" + " " * 40 + '"' + "x" * 38 + '"\n]'  # 84 characters, 42 without white space
    rows = [{"answer_id": "a", "output_tokens": tokens} for tokens in (1, 2)]
    found = indented_answers(log(*rows), blocks(a=text), len)
    assert found is not None and found.effect["output_tokens"].to_list() == [None, 1]
    assert indented_answers(log(*rows), blocks(a="[1]"), len) is None


def test_the_tail_is_cut_to_the_usual_length() -> None:
    # 98 answers of 100 tokens and two of 5,000: the 95 % quantile is 100.
    rows = [{"output_tokens": 100}] * 98 + [{"output_tokens": 5_000}] * 2
    lever = long_answers(log(*rows))
    assert lever is not None
    assert lever.requests == 2
    assert "chat | gpt-4o: 100" in lever.test


def test_the_usual_length_is_the_95th_of_a_hundred_and_no_other() -> None:
    # Sorted: 95 answers of 100 tokens, then 200, 250 and three of 700. The 95 % quantile lies
    # between the 95th (100) and the 96th (200); the higher one is taken.
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


def test_reasoning_is_counted_where_it_was_billed_and_from_half_of_the_output_on() -> None:
    half = [{"output_tokens": 100, "reasoning_tokens": 50}] * 100
    found = heavy_reasoning(log(*half))
    assert found is not None and found.lever == "reasoning"
    below = [*half[:99], {"output_tokens": 100, "reasoning_tokens": 49}]
    assert heavy_reasoning(log(*below)) is None
    unknown: list[dict[str, int | None]] = [{"output_tokens": 1, "reasoning_tokens": 1}] * 50
    unknown += [{"output_tokens": 1, "reasoning_tokens": None}] * 51  # unknown: not counted
    assert heavy_reasoning(log(*unknown)) is None
    served = [{"output_tokens": 100, "reasoning_tokens": 50, "served_by": "gateway_cache"}]
    empty = [{"output_tokens": 0, "reasoning_tokens": 0}]
    assert heavy_reasoning(log(*half[:99], *served)) is None
    assert heavy_reasoning(log(*half[:99], *empty)) is None
    one = [{"output_tokens": 1, "reasoning_tokens": 1}]
    assert heavy_reasoning(log(*half[:99], *one)) is not None


def test_the_tail_begins_above_one_and_a_half_times_the_usual_length() -> None:
    usual = [{"output_tokens": 100}] * 98
    cut_off = {"output_tokens": 151, "finish_reason": "length"}  # counts as an answer
    found = long_answers(log(*usual, {"output_tokens": 150}, cut_off))
    assert found is not None and found.requests == 1
    assert found.lever == "output"
    assert found.why.startswith("1 answers of chat are more than 1.5 times longer than 95% of")


@pytest.mark.parametrize(("tokens", "counts"), [(0, False), (1, True)])
def test_an_empty_answer_is_none(tokens: int, counts: bool) -> None:
    rows = [{"output_tokens": 100}] * 97 + [{"output_tokens": 5_000}] * 2
    assert (long_answers(log(*rows, {"output_tokens": tokens})) is not None) == counts


def test_the_first_five_units_are_named() -> None:
    rows = [
        {"output_tokens": 5_000 if number > 97 else 100, "endpoint": name}
        for name in "fedcba"
        for number in range(100)
    ]
    found = long_answers(log(*rows))
    assert found is not None and found.requests == 12
    named = "; ".join(f"{name} | gpt-4o: 100" for name in "abcde")
    assert f"({named})" in found.test


def test_the_lengths_of_an_endpoint_stand_beside_its_tail() -> None:
    # 95 answers of 100 tokens, then four of 400 that end at the limit, and one of 500: 11,600
    # tokens. The 95 % quantile is 100 or, as it lies between two answers, the higher one: 400.
    cut = {"output_tokens": 400, "finish_reason": "length"}
    rows = [{"output_tokens": 100}] * 95 + [cut] * 4 + [{"output_tokens": 900}]
    other = {"output_tokens": 12_000, "endpoint": "write"}
    found = long_answers(log(*rows, other))
    assert found is not None
    (table,) = found.evidence
    assert table.rows == (
        ("chat", "gpt-4o", "100", "50.0%", "100", "400", "900", "7.5%", "4.0%", "400"),
    )


def test_many_answers_that_end_at_the_limit_are_worth_a_test() -> None:
    cut = {"output_tokens": 256, "finish_reason": "length"}
    found = cut_answers(log(*[{"output_tokens": 100}] * 98, *[cut] * 2), None)
    assert found is not None and found.requests == 2
    assert found.why.startswith("2.0% of the answers of chat end at the length limit")
    assert found.evidence[0].rows[0][-1] == "256"
    assert cut_answers(log(*[{"output_tokens": 100}] * 99, cut), None) is None
    assert cut_answers(log(*[cut] * 99), None) is None  # too few answers
    assert cut_answers(log(), None) is None


def test_answers_that_were_sent_again_are_not_worth_a_test_as_well() -> None:
    cut = {"output_tokens": 256, "finish_reason": "length"}
    rows = [{**cut, "at": 60.0 * i} for i in range(100)]  # each one is sent again
    requests = log(*rows, {"at": 6_000})
    useless = waste(requests)
    assert useless is not None and cut_answers(requests, useless) is None


@pytest.mark.parametrize(
    ("schema", "calls", "counts"),
    [(404, 100, True), (403, 100, False), (404, 99, False), (2_021, 100, False)],
)
def test_a_schema_that_is_a_fifth_of_the_input_is_worth_a_test(
    schema: int, calls: int, counts: bool
) -> None:
    # A token is a character here; each call has 2,020 input tokens, so a fifth is 404. More than
    # the whole input can't have been billed as input.
    rows = [{"response_format": "x" * schema}] * calls
    found = large_schemas(log(*rows, {"response_format": None}), len)
    assert (found is not None) == counts
    if found is not None:
        assert found.requests == 100 and "404 tokens on average, 20% of the input" in found.why


def test_without_schemas_there_is_nothing_to_shorten() -> None:
    assert large_schemas(log({}, {}), len) is None
