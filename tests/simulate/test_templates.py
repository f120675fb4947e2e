"""Moving parts never split a template; real differences always do."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.simulate.moving_text import masked, moving_part, same_words
from costaudit.simulate.templates import system_templates
from tests.simulate.traffic import Log

RULES = "You are the support assistant of a shop. Be kind, be brief and cite the policy.\n" * 6
NAMES = ["Maria Lopez", "João", "Chen Wei", "Ana", "Olu Ade", "Kim", "Lena Vogt", "Raj", "Tomás"]


def templates(systems: Sequence[str | None], **columns: Sequence[str | None]) -> list[int]:
    """Return the template numbers of requests with these system prompts."""
    log = Log()
    for position, system in enumerate(systems):
        parts = [("user", "hello", 10)] if system is None else [("system", system, 90)]
        fields: dict[str, Any] = {name: values[position] for name, values in columns.items()}
        log.call(parts, at=float(position), **fields)
    requests, blocks = log.tables()
    found = system_templates(requests, blocks)
    assert found.dtype == pl.Int32
    assert len(found) == len(systems)
    return found.to_list()


MOVING: list[Callable[[int], str]] = [
    lambda i: f"It is 2026-11-{1 + i % 28:02d}T09:{i % 60:02d}:07Z now.",
    lambda i: f"Today is {i % 28 + 1} November 2026.",
    lambda i: f"Hoy es {['lunes', 'martes', 'miércoles'][i % 3]}.",
    lambda i: f"Hoy es 3 de {['enero', 'agosto'][i % 2]} de 2026, 10:{i % 60:02d}.",
    lambda i: f"Current date: Monday, November {i % 28 + 1}, 2026 at 4:05 PM UTC",
    lambda i: f"Request ID: {random.Random(i).getrandbits(64):x}",
    lambda i: f"session_id: s{i}-x",
    lambda i: f"trace req_{i}a{i * 7919 % 99991:05d}",
    lambda i: f"ref 8c6f{i:04x}-1d2e-4f3a-9b8c-0123456789ab",
    lambda i: f"epoch {1_790_000_000 + i}",
]


@pytest.mark.parametrize("moving", MOVING)
def test_text_of_a_moving_class_does_not_split_a_template(moving: Callable[[int], str]) -> None:
    assert set(templates([RULES + moving(i) + "\nNever guess." for i in range(3)])) == {0}


def test_a_moving_class_is_found_at_the_character_that_differs() -> None:
    text = "You help. Now: 2026-11-02T09:15:33Z. Be kind."
    kind, start, end = moving_part(text, text.index("33Z"))
    assert (kind, text[start:end]) == ("timestamp", "2026-11-02T09:15:33Z")
    assert moving_part(text, 0)[0] is None


def test_opening_hours_and_periods_are_not_moving_classes() -> None:
    texts = ["Open 9:00 to 18:00.", "Refunds within 24 hours.", "user-friendly run-through May"]
    assert masked(pl.Series(texts)).to_list() == texts


def test_no_system_prompt_is_a_template_of_its_own() -> None:
    assert templates([None, RULES, None, RULES]) == [0, 1, 0, 1]


def test_policies_with_few_values_stay_apart() -> None:
    policies = [RULES + f"Refunds within {hours} hours." for hours in (24, 48, 72)] * 40
    assert templates(policies) == [0, 1, 2] * 40


def test_one_policy_per_tenant_stays_apart_however_many_tenants_there_are() -> None:
    systems = [RULES + f"Refunds within {hours} hours." for hours in range(10, 40)] * 4
    tenants = [f"t{hours}" for hours in range(10, 40)] * 4
    assert templates(systems, tenant=tenants) == list(range(30)) * 4


def test_a_counter_does_not_split_a_template() -> None:
    systems = [f"{RULES}You have {1000 - 17 * i} tokens left.\nBe exact." for i in range(20)]
    assert set(templates(systems, tenant=["a"] * 20)) == {0}


def test_user_names_do_not_split_a_template() -> None:
    systems = [f"{RULES}You talk to {name}, a member.\nBe exact." for name in NAMES] * 3
    users = [f"u{i}" for i in range(len(NAMES))] * 3
    assert set(templates(systems, user=users, tenant=["a"] * len(systems))) == {0}


def test_names_and_counters_move_together() -> None:
    systems = [f"{RULES}You talk to {n}.\nBe exact.\nTurn {i}." for i, n in enumerate(NAMES)]
    assert set(templates(systems, user=NAMES, tenant=["a"] * len(NAMES))) == {0}


def test_a_plan_that_many_users_share_stays_apart() -> None:
    plans = ["free", "pro"] * 10
    systems = [f"{RULES}The plan of this user is {plan}.\nBe exact." for plan in plans]
    users = [f"u{i}" for i in range(20)]
    assert templates(systems, user=users, tenant=["a"] * 20) == [0, 1] * 10


def test_different_prompts_stay_apart_even_where_both_have_moving_parts() -> None:
    other = "Translate into German what the user writes, word by word, with no remarks.\n" * 6
    systems = [p + f"Now: 2026-11-02 09:00:{i:02d}" for i in range(30) for p in (RULES, other)]
    assert templates(systems) == [0, 1] * 30


def test_long_documents_in_the_system_prompt_split_it() -> None:
    documents = ["".join(random.Random(i).choices("abcde fgh", k=200)) for i in range(30)]
    assert len(set(templates([RULES + text for text in documents]))) == 30


@given(
    order=st.permutations(range(12)),
    hours=st.sampled_from([24, 48]),
)
@settings(max_examples=25)
def test_templates_do_not_depend_on_the_order_of_requests(order: list[int], hours: int) -> None:
    systems = [
        f"{RULES}Turn {i}, at 2026-11-02 10:00:{i:02d}. Refunds in {hours if i % 2 else 12} hours."
        for i in range(12)
    ]
    plain = templates(systems)
    mixed = templates([systems[i] for i in order])
    pairs = {(plain[i], mixed[at]) for at, i in enumerate(order)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 2


def test_prompts_whose_texts_were_not_kept_are_told_apart_by_their_ids() -> None:
    """Their moving parts can't be found, so two ids may be two different instructions."""
    log = Log()
    for position, system in enumerate(["Be kind.", "Be rude.", "Be kind.", *map(str, range(40))]):
        log.call([("system", system, 90)], at=float(position), user=f"u{position}")
    requests, blocks = log.tables()
    hashed = blocks.with_columns(text=pl.lit(None, pl.String))
    assert system_templates(requests, hashed).to_list() == [0, 1, 0, *range(2, 42)]


SPACED = st.text("ab \n\u00a0", max_size=7)


@given(SPACED, SPACED)
@settings(max_examples=300)
def test_words_are_the_same_where_texts_differ_in_white_space_at_most(one: str, other: str) -> None:
    assert same_words(one, other) == (one.split() == other.split())


def test_line_ends_and_runs_of_white_space_make_no_other_template() -> None:
    plain = "Be kind.\nCite the policy now.\nBe brief."
    forms = ["\r\n", "\r", " \n", "\n ", "  \n\t", " \n \t"]
    same = [plain.replace("\n", form) for form in forms]
    same += [plain.replace(" ", blank) for blank in ("  ", "\t", " \t ", "\t\t")]
    other = [plain.replace(" ", ""), plain.replace("\n", "\n\n"), plain.replace("\n", " ")]
    assert templates([plain, *same, *other]) == [*[0] * (1 + len(same)), 1, 2, 3]
