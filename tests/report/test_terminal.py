"""The terminal report's 25 lines."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.cells import cell_len

from costaudit.report.terminal import TerminalReporter
from tests.report.hostile_audit import hostile_audit, huge_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS
from tests.report.sample_ledger import LEDGER

FILES = ("run/report.html", "run/audit.json")


def lines(text: bytes) -> list[str]:
    return text.decode().splitlines()


def test_golden(matches_golden: Callable[[str, bytes], None]) -> None:
    matches_golden("audit.txt", TerminalReporter(files=FILES).render(AUDIT))


def test_golden_without_prompts(matches_golden: Callable[[str, bytes], None]) -> None:
    matches_golden("no_prompts.txt", TerminalReporter().render(NO_PROMPTS))


def test_the_verdict_is_the_first_line_and_the_files_the_last() -> None:
    shown = lines(TerminalReporter(files=FILES).render(AUDIT))
    assert shown[0].startswith("Spend is $41,200 a month")
    assert shown[-1] == "Files in run: report.html, audit.json"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_more_than_25_lines_of_that_width(width: int) -> None:
    crowded = replace(
        huge_audit(10),
        verdict=replace(AUDIT.verdict, headline="word " * 200, draft="gap " * 100),
        ledger=replace(LEDGER, steps=(LEDGER.steps[0],) * 30),
    )
    for audit in (AUDIT, NO_PROMPTS, crowded, hostile_audit()):
        shown = lines(TerminalReporter(width=width, files=FILES * 20).render(audit))
        assert len(shown) <= 25
        assert max(map(cell_len, shown)) <= width


def test_a_minus_never_means_a_loss() -> None:
    """A cache that costs more than it saves loses money; a minus in the table is a saving."""
    steps = tuple(
        replace(step, alone=replace(step.alone, usd=Decimal("-27.90")))
        if step.lever == "semantic"
        else step
        for step in LEDGER.steps
    )
    audit = replace(AUDIT, ledger=replace(LEDGER, steps=steps))
    text = TerminalReporter(width=120).render(audit).decode()
    assert "alone would lose $27.90 a month" in text
    assert "alone would save $2,480 a month" in TerminalReporter(width=120).render(AUDIT).decode()


def test_nothing_from_a_log_colours_or_moves_the_terminal() -> None:
    first = replace(AUDIT.findings[0], title="[bold red]rich[/]\x1b[31m")
    audit = replace(hostile_audit(), findings=(first,))
    text = TerminalReporter(files=("\x1b]0;title\x07",)).render(audit).decode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "[bold red]rich" in text  # shown, not interpreted


def test_colour_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert b"\x1b" not in TerminalReporter(color=False).render(AUDIT)
    assert b"\x1b[3" in TerminalReporter(color=True).render(AUDIT)
    monkeypatch.setitem(os.environ, "NO_COLOR", "1")
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]", TerminalReporter(color=True).render(AUDIT))


def test_assumptions_come_last_and_the_verdict_s_after_before_them() -> None:
    # 41,200.20 - 9,850 = 31,350.20; without the 1,910 that is now only assumed: 33,260.20.
    steps = tuple(
        replace(step, saved=replace(step.saved, grade="assumed"))
        if step.lever == "semantic" else step for step in LEDGER.steps
    )  # fmt: skip
    verdict = replace(AUDIT.verdict, after=replace(AUDIT.verdict.after, usd=Decimal("33260.20")))
    audit = replace(AUDIT, ledger=replace(LEDGER, steps=steps), verdict=verdict)
    shown = lines(TerminalReporter().render(audit))
    start = next(n for n, line in enumerate(shown) if line.startswith("Spend now"))
    bars = [line.split("  ")[0] for line in shown[start:]][:8]
    assert bars == [
        "Spend now", "Exact duplicates", "Prompt caching", "JSON in prompts without indentation",
        "Retries and failed calls", "After", "Beyond it, only if assumptions hold:",
        "Semantic cache at 0.93",
    ]  # fmt: skip
    assert "$33,260" in shown[start + 5]
    assert sum(line.startswith("After") for line in shown) == 1


def test_labels_of_all_levers_fit_into_80_columns() -> None:
    label = "Batch for work that nobody waits for"
    ledger = replace(LEDGER, steps=(replace(LEDGER.steps[0], label=label),))
    shown = TerminalReporter().render(replace(AUDIT, ledger=ledger)).decode()
    assert f"{label} " in shown


def test_a_draft_is_called_one() -> None:
    audit = replace(AUDIT, verdict=replace(AUDIT.verdict, draft="The invoice differs by 12%."))
    assert "DRAFT The invoice differs by 12%." in TerminalReporter().render(audit).decode()


def test_no_threshold_is_said_to_be_exact_matching() -> None:
    assert AUDIT.semantic
    points = tuple(replace(point, recommended=False) for point in AUDIT.semantic.points)
    none = replace(AUDIT.semantic, points=points, recommended=None, recommended_why="None is safe.")
    text = TerminalReporter().render(replace(AUDIT, semantic=none)).decode()
    assert "identical text only. None is safe." in text


def test_rates_of_exact_matching_are_said_where_it_has_hits() -> None:
    assert AUDIT.semantic
    exact = replace(AUDIT.semantic.points[-1], recommended=False)
    for hits, said in ((exact.hits, True), (0, False)):
        found = replace(exact, hits=hits)
        none = replace(AUDIT.semantic, points=(), recommended=None, exact=found)
        text = TerminalReporter().render(replace(AUDIT, semantic=none)).decode()
        assert ("of the questions" in text) == said
