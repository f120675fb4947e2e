"""The comparison of two audits as text."""

import re
from collections.abc import Callable
from dataclasses import replace

from rich.cells import cell_len

from costaudit.report.compare import Comparison, compare
from costaudit.report.comparison import comparison_markdown, comparison_terminal
from tests.report.hostile_audit import hostile_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS
from tests.report.sample_cost import money


def dearer() -> Comparison:
    ledger = replace(AUDIT.ledger, before=money("49000", "measured"))
    return compare(AUDIT, replace(NO_PROMPTS, ledger=ledger))


def test_golden(matches_golden: Callable[[str, bytes], None]) -> None:
    matches_golden("compare.md", comparison_markdown(dearer()))
    matches_golden("compare.txt", comparison_terminal(dearer()))


def test_the_headline_comes_first() -> None:
    compared = compare(AUDIT, AUDIT)
    headline = "Spend went from $41,200 to $41,200 a month: identical."
    assert comparison_markdown(compared).decode().startswith(f"### {headline}")
    assert comparison_terminal(compared).decode().startswith(headline)


def test_the_terminal_is_not_wider_than_asked_for_and_obeys_no_log() -> None:
    text = comparison_terminal(compare(AUDIT, hostile_audit()), width=60).decode()
    assert max(map(cell_len, text.splitlines())) <= 60
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    finding = replace(AUDIT.findings[0], code="new", title="[bold red]rich[/bold red]")
    shown = comparison_terminal(compare(AUDIT, replace(AUDIT, findings=(finding,)))).decode()
    assert "[bold red]rich" in shown  # shown, not interpreted
