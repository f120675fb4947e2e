"""What savings may be claimed if bill and simulation differ, checked by hand."""

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.prefix import SessionAgreement
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.simulate.prefix.advice.claims import claim_of, claimed, session_agreement
from costaudit.simulate.prefix.advice.facts import prefix_facts
from tests.simulate.prefix.small_logs import pricing
from tests.simulate.traffic import Log


@pytest.mark.parametrize(
    ("billed", "simulated", "size", "said"),
    [
        (None, 900, 1000, "simulated"),  # nothing to compare with
        (0, 0, 1000, "simulated"),
        (0, 10, 1000, "simulated"),  # 1 % of the input
        (0, 11, 1000, "none"),
        (950, 1000, 2000, "simulated"),
        (949, 1000, 2000, "estimated"),
        (750, 1000, 2000, "estimated"),
        (749, 1000, 2000, "none"),
        (1000, 749, 2000, "none"),
    ],
)
def test_a_claim_rests_on_how_far_reads_are_apart(
    billed: int | None, simulated: int, size: int, said: str
) -> None:
    assert claim_of(billed, simulated, size) == said


def test_cut_prompts_claim_nothing_without_reads_on_the_bill() -> None:
    assert claim_of(None, 900, 1000, cut=True) == "none"
    assert claim_of(0, 0, 1000, cut=True) == "none"
    assert claim_of(950, 1000, 2000, cut=True) == "simulated"


def frame(*rows: tuple[int, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=list(TOKEN_CLASSES), orient="row")


def test_a_change_is_scaled_by_what_the_bill_supports() -> None:
    as_is = frame(*[(1000, 0, 0, 0, 0, 7)] * 4)
    best = frame(*[(0, 901, 99, 0, 0, 7)] * 4)
    template = np.array([0, 1, 2, -1])
    found = claimed(as_is, best, template, [1.0, 0.5, 0.0])
    assert found.rows() == [
        (0, 901, 99, 0, 0, 7),
        (501, 450, 49, 0, 0, 7),  # half of the change; the rest stays uncached
        (1000, 0, 0, 0, 0, 7),
        (0, 901, 99, 0, 0, 7),
    ]


def test_sessions_are_held_against_the_bill_one_by_one() -> None:
    log = Log()
    for session, billed in (("a", 100), ("a", 100), ("b", 80), ("c", 0), (None, 0)):
        log.call([("user", "q", 200)], session=session, conversation=None,
                 billed={"input_uncached_tokens": 200 - billed, "cache_read_tokens": billed},
                 )  # fmt: skip
    requests, _ = log.tables()
    read = pl.Series([100, 100, 100, 100, 100])
    found = session_agreement(requests, read, np.ones(5, np.bool_))
    assert (found.sessions, found.within_5_percent) == (3, 1)
    assert (found.within_25_percent, found.beyond) == (1, 1)


def test_counts_without_cache_reads_are_held_against_nothing() -> None:
    """If reads aren't counted, a bill without them neither supports nor refutes a simulation."""
    log = Log()
    for number in range(3):
        log.call([("user", f"q{number}", 200)], session="a", usage_source="provider",
                 usage_convention="openai, without cache detail")  # fmt: skip
    requests, blocks = log.tables()
    read = pl.Series([0, 0, 0])
    assert session_agreement(requests, read, np.ones(3, np.bool_)) == SessionAgreement(0, 0, 0, 0)
    facts = prefix_facts(requests, blocks, pricing(requests), compare=False)
    assert (facts.agreement, facts.billed_read_share) == ((), None)
    assert [(one.billed_read_tokens, one.read_ratio) for one in facts.templates] == [(None, None)]
