"""`costaudit compare` shows two audits side by side."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from costaudit.contracts.audit import write_audit
from tests.conftest import Said
from tests.report.sample_audit import AUDIT
from tests.report.sample_cost import money

Run = Callable[..., Said]


def two(folder: Path) -> tuple[str, str]:
    """Write a run directory, and an audit with a higher cost."""
    (folder / "base").mkdir()
    write_audit(AUDIT, folder / "base" / "audit.json")
    dearer = replace(AUDIT, ledger=replace(AUDIT.ledger, before=money("60000")))
    write_audit(dearer, folder / "new.json")
    return "base", "new.json"


def test_runs_and_files_for_a_terminal_and_for_a_comment(costaudit: Run, tmp_path: Path) -> None:
    said = costaudit("compare", *two(tmp_path))
    assert (said.code, said.err) == (0, "")
    # 60,000 - 41,200.20 = 18,799.80, which is 45.6 % of 41,200.20.
    assert said.out.startswith("Spend went from $41,200 to $60,000 a month: +$18,800 (+45.6%)")
    comment = costaudit("compare", "base", "new.json", "--format", "md").out
    assert comment.startswith("### Spend went from") and "| Spend a month |" in comment


def test_json_for_machines(costaudit: Run, tmp_path: Path) -> None:
    found = json.loads(costaudit("compare", *two(tmp_path), "--format", "json").out)
    spend = found["changes"][0]
    assert (spend["base"], spend["new"]) == ("41200.20", "60000")


def test_an_unknown_format_and_a_file_that_is_no_audit(costaudit: Run, tmp_path: Path) -> None:
    two(tmp_path)
    assert costaudit("compare", "base", "new.json", "--format", "html").code == 2
    (tmp_path / "log.jsonl").write_text('{"a": 1}\n')
    said = costaudit("compare", "base", "log.jsonl")
    assert said.code == 2 and "Traceback" not in said.err
