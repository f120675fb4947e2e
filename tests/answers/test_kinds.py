"""Kinds of answers, and comparisons of structured answers and code."""

import polars as pl
import pytest

from costaudit.answers.kinds import (
    KINDS,
    NoisyFields,
    answer_kinds,
    differing_fields,
    kind_of_text,
    noisy_fields,
    same_structure,
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Open My orders.", "text"),
        ("   ", "empty"),
        ('{"label": "spam"}', "json"),
        ('```json\n{"label": "spam"}\n```', "json"),
        ("[1, 2", "text"),
        ("```python\nprint(1 + 1)\nprint(2 + 2)\n```", "code"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("Lo siento, no puedo ayudarte con eso.", "refusal"),
        ("As an AI language model, I cannot provide legal advice.", "refusal"),
        ("Sorry, we can't take cash. Use a card.", "text"),
        ("I can't find a reason why not: yes.", "text"),
    ],
)
def test_kind_of_text(text: str, kind: str) -> None:
    assert KINDS[kind_of_text(text)] == kind


def test_the_log_outranks_the_text() -> None:
    requests = pl.DataFrame(
        {
            "answer_kind": ["text", "tool_use", "text", "missing", "text", None],
            "truncated": [False, False, True, False, None, None],
            "finish_reason": ["stop", "tool_calls", "stop", None, "length", "stop"],
        }
    )
    import numpy as np

    answer = np.array([0, 0, 0, -1, 0, -1], np.int32)
    kinds = answer_kinds(requests, answer, ["Done."])
    assert [KINDS[k] for k in kinds] == ["text", "tool_use", "cut", "missing", "cut", "missing"]


def test_fields_differ_by_value_not_by_writing() -> None:
    first = {
        "a": 1,
        "b": "Yes ",
        "c": [1, 2],
        "d": {"e": None},
        "note": "one two three four five six seven",
    }
    same = {
        "d": {"e": None},
        "c": [1.0, 2],
        "b": "yes",
        "a": 1.0,
        "note": "quite another text of more than six words",
    }
    assert differing_fields(first, same) == set()
    other = {"a": 2, "b": "no", "c": [1], "d": {"f": 0}, "note": "short"}
    assert differing_fields(first, other) == {"$.a", "$.b", "$.c[]", "$.d.e", "$.d.f", "$.note"}
    assert differing_fields({"ok": True}, {"ok": 1}) == {"$.ok"}


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        (10000001, 10000002, False),
        (10000001, 10000002.0, False),
        (10000001.0, 10000002.0, False),
        (10**20 + 1, 10**20 + 2, False),
        (1760000000.123, 1760000000.124, False),
        (19.99, 19.99001, False),
        (7, 7.0, True),
        (0, -0.0, True),
        (0.1 + 0.2, 0.3, True),
        (3, 2.9999999999999996, True),
        (1e3, 1000, True),
    ],
)
def test_numbers_are_equal_only_if_formatting_explains_the_difference(
    first: float, second: float, equal: bool
) -> None:
    for one, other in ((first, second), (second, first)):
        assert differing_fields({"n": [one]}, {"n": [other]}) == (set() if equal else {"$.n[]"})


def test_fields_that_differ_between_repeats_are_noise() -> None:
    pairs = [
        (f'{{"label": "x", "id": {k}}}', f'{{"label": "x", "id": {-k - 1}}}') for k in range(12)
    ]
    noisy = noisy_fields(pairs)
    assert noisy.paths == {"$.id"}
    first, second = '{"label": "x", "id": 1}', '{"label": "y", "id": 1}'
    assert same_structure([pairs[0][0], first], [pairs[0][1], second], noisy).tolist() == [1, 0]
    assert noisy_fields(pairs[:5]) == NoisyFields(frozenset())  # too few pairs
