"""Entries of a prices.toml that match no call are named; those that do are not."""

from pathlib import Path

import pytest

from costaudit.costing.findings import Evidence, findings
from costaudit.costing.prices.overlay import read_overlay
from costaudit.costing.prices.unused import Billed, unused_entries
from tests.costing.logs import log
from tests.costing.nouns import MONTH, ledger, quality, spent

LOG = log(
    {},
    {"provider": "anthropic", "model": "claude-sonnet-4-5"},
    {"provider": "azure", "model": "my-deployment"},
    {"billed_units": [{"unit": "web_search", "quantity": 2.0}]},
)
RATES = 'input_per_mtok = "1"\noutput_per_mtok = "2"'


def unused(prices: Path) -> tuple[str, ...]:
    return unused_entries([Billed.of(LOG[:1]), Billed.of(LOG[1:])], read_overlay(prices))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            '[[discount]]\nprovider = "anthropik"\nmultiplier = "0.85"',
            '[[discount]] 1 (provider = "anthropik"); did you mean anthropic?',
        ),
        (
            '[[discount]]\nprovider = "OpenAI "\nmultiplier = "0.85"',
            '[[discount]] 1 (provider = "OpenAI "); did you mean openai?',
        ),
        (
            f'[[price]]\nmodels = ["gpt-4-o"]\n{RATES}',
            '[[price]] 1 (models = ["gpt-4-o"]); did you mean gpt-4o?',
        ),
        (  # the model of the similar name has a price of its own
            f'[[price]]\nmodels = ["gpt-4o"]\n{RATES}\n[[price]]\nmodels = ["gpt-4-o"]\n{RATES}',
            '[[price]] 2 (models = ["gpt-4-o"]).',
        ),
        (
            '[[alias]]\nmodels = ["her-d*"]\nuse_provider = "openai"\nuse_model = "gpt-4o"',
            '[[alias]] 1 (models = ["her-d*"]).',
        ),
        (
            '[[unit]]\nunit = "file_search"\nusd = "1"',
            '[[unit]] 1 (unit = "file_search").',
        ),
    ],
)
def test_an_entry_without_a_call_is_named(tmp_path: Path, entry: str, told: str) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(entry)
    assert unused(prices) == (f"No call of this log matches {told}",)


@pytest.mark.parametrize(
    "entry",
    [
        '[[discount]]\nmultiplier = "0.85"',
        '[[discount]]\nprovider = "OPENAI"\nmodels = ["GPT-4*"]\nmultiplier = "0.85"',
        f'[[price]]\nmodels = ["gpt-4o"]\nuntil = 2020-01-01\n{RATES}',
        '[[alias]]\nmodels = ["my-*"]\nuse_provider = "openai"\nuse_model = "gpt-4o"',
        '[[unit]]\nunit = "web_search"\nusd = "1"',
        # an alias gives its calls the prices of another model
        '[[alias]]\nmodels = ["my-*"]\nuse_provider = "openai"\nuse_model = "gpt-4.1"\n'
        '[[discount]]\nmodels = ["gpt-4.1"]\nmultiplier = "0.85"',
    ],
)
def test_an_entry_that_matches_is_not_named(tmp_path: Path, entry: str) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(entry)
    assert unused(prices) == ()


def test_a_long_list_is_cut_and_counted(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[[discount]]\nprovider = "nobody"\nmultiplier = "1"\n' * 9)
    *_, last = found = unused_entries(
        [Billed.of(LOG[:1]), Billed.of(LOG[1:])], read_overlay(prices)
    )
    assert (len(found), last) == (6, "4 more entries of your prices match no call.")


@pytest.mark.parametrize(
    ("told", "severity"), [("No; did you mean a?", "warning"), ("No.", "info")]
)
def test_a_finding_holds_the_sentences(told: str, severity: str) -> None:
    spend = spent("100", unused_prices=(told,))
    (only,) = findings(Evidence(quality(), spend, ledger("100"), None, None, MONTH))
    assert (only.code, only.severity, only.detail) == ("prices-unused", severity, told)
