"""The Markdown comment for a pull request."""

import re
from collections.abc import Callable
from dataclasses import replace

from markdown_it import MarkdownIt

from costaudit.report.compare import compare
from costaudit.report.markdown import MOST_CHARACTERS, MarkdownReporter
from tests.report.gates import GATES
from tests.report.hostile_audit import hostile_audit, huge_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS

OURS = r"<!-- -->|</?details>|<details><summary>[\w ]+</summary>"


def test_golden(matches_golden: Callable[[str, bytes], None]) -> None:
    matches_golden("audit.md", MarkdownReporter().render(AUDIT))


def test_golden_with_gates_and_baseline(matches_golden: Callable[[str, bytes], None]) -> None:
    rendered = MarkdownReporter(gates=GATES, compared=compare(NO_PROMPTS, AUDIT)).render(AUDIT)
    matches_golden("gate.md", rendered)


def test_one_h3_five_rows_and_the_rest_folded() -> None:
    text = MarkdownReporter(gates=GATES).render(AUDIT).decode()
    head, _, rest = text.partition("<details>")
    assert head.count("\n### ") == 0 and head.startswith("### LLM cost audit: $8,860–$10,840")
    assert "1 of 3 gates failed, 1 can't be judged" in head.splitlines()[0]
    table = [line for line in head.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 5
    assert rest.count("<details>") + 1 == rest.count("</details>")
    assert "❌ failed: `max_unsafe_served`" in head


def test_it_stays_below_the_limit_and_names_what_it_left_out() -> None:
    text = MarkdownReporter().render(huge_audit())
    assert len(text.decode()) < MOST_CHARACTERS
    long = tuple(
        replace(one, title="x" * 900, detail="y" * 900, change="z" * 900)
        for one in AUDIT.findings * 9
    )
    quality = replace(AUDIT.quality, cannot_tell=("w" * 9_000,) * 20)
    padded = replace(AUDIT, findings=long, quality=quality)
    text_of_padded = MarkdownReporter().render(padded).decode()
    assert len(text_of_padded) < MOST_CHARACTERS
    assert "Left out for length: Data and assumptions" in text_of_padded


def test_what_is_cut_is_said_and_the_recommended_threshold_never_cut() -> None:
    text = MarkdownReporter().render(huge_audit(500)).decode()
    assert "20 of 500 findings are shown." in text
    assert "40 of 500 thresholds are shown." in text
    assert "(recommended)" in text


def test_nothing_from_a_log_is_markup() -> None:
    audit = hostile_audit()
    gates = (replace(GATES[0], measured=audit.verdict.headline, detail="</details>\n# h1"),)
    text = MarkdownReporter(gates=gates, compared=compare(audit, audit)).render(audit).decode()
    tokens = [
        token
        for block in MarkdownIt("commonmark").enable("table").parse(text)
        for token in (block, *(block.children or ()))
    ]
    kinds = [token.type for token in tokens]
    assert kinds.count("heading_open") == 1
    assert not {"link_open", "image", "em_open", "fence", "code_block", "hr"} & set(kinds)
    html = {t.content.strip() for t in tokens if t.type in ("html_inline", "html_block")}
    assert "<!-- -->" in html
    assert all(re.fullmatch(OURS, tag) for tag in html), html
    said = [token.content for token in tokens if token.type == "text"]
    assert not [one for one in said if re.search(r"@\w|#\d|://\w|www\.\w", one)]


def test_prompts_never_enter_a_comment() -> None:
    assert AUDIT.show_prompts
    assert b"reset my password" not in MarkdownReporter().render(AUDIT)
