"""Text from a log is harmless in every output."""

import csv
import io

import pytest

from costaudit.report.escaping import csv_cell, cut, markdown_code, markdown_text, one_line, visible
from tests.report.hostile_audit import ATTACKS


def test_controls_and_direction_marks_go_but_languages_stay() -> None:
    assert visible("a\x1b[31mb\x07\u202ec\u2028d\ud800") == "a[31mbcd"
    assert visible("¿Dónde está mi paquete? 我的包裹在哪里 👩\u200d💻") == (
        "¿Dónde está mi paquete? 我的包裹在哪里 👩\u200d💻"
    )
    assert one_line(" a\r\n b\t c ") == "a b c"


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_cell_starts_a_formula(attack: str) -> None:
    row = io.StringIO()
    csv.writer(row).writerow([csv_cell(attack)])
    (cell,) = next(csv.reader(io.StringIO(row.getvalue())))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", " "))


def test_plain_cells_are_left_alone() -> None:
    assert csv_cell("claude-sonnet-4-5") == "claude-sonnet-4-5"
    assert csv_cell("＝1+1") == "'＝1+1"  # in some locales, a full-width = starts a formula


def test_cut_says_what_is_missing() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcdef", 3) == "abc… (+3 characters)"


def test_markdown_text_is_inert() -> None:
    assert markdown_text("<b>*x*</b> | [y](z)") == "&lt;b&gt;\\*x\\*&lt;/b&gt; \\| \\[y\\](z)"
    assert "@<!-- -->octocat" in markdown_text("@octocat")
    assert "://<!-- -->evil" in markdown_text("https://evil.example")


@pytest.mark.parametrize("text", ["a`b", "``", "a|b", "", "`", "```x```"])
def test_a_code_span_can_not_be_left(text: str) -> None:
    span = markdown_code(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    assert span.endswith(fence)
    inside = span[len(fence) : -len(fence)]
    runs = {len(run) for run in inside.replace("\\|", "").split() for run in [run]}
    assert fence not in inside or not runs
    assert "|" not in inside.replace("\\|", "")
