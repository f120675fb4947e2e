"""`costaudit gate` turns budgets into an exit code, Markdown and a test report."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from costaudit.contracts.audit import write_audit
from tests.conftest import Said
from tests.report.sample_audit import AUDIT
from tests.report.sample_cost import money

Run = Callable[..., Said]
KEPT = """
[gate]
max_unsafe_served = "1%"
min_saving_usd_month = 0
max_unpriced_share = 0.01
min-prompt-coverage = "10%"
"""


@pytest.fixture(autouse=True)
def no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def audit(path: Path, month: str = "41200.20") -> None:
    write_audit(replace(AUDIT, ledger=replace(AUDIT.ledger, before=money(month))), path)


def test_kept_budgets_from_a_file(costaudit: Run, tmp_path: Path) -> None:
    audit(tmp_path / "audit.json")
    (tmp_path / "costaudit.toml").write_text(KEPT)
    said = costaudit("gate", "audit.json", "--config", "costaudit.toml")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("### LLM cost audit") and "all gates passed" in said.out
    assert said.out.count("✅ passed") >= 4


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["--max-unsafe-served", "0.5%"], 3, "max_unsafe_served (0.43%, 0.30% to 0.60%"),
        (["--max-unpriced-share", "0.1%"], 4, "max_unpriced_share"),
        (["--max-unpriced-share", "0.1%", "--max-unsafe-served", "0.5%"], 3, "max_unsafe_served"),
        (["--max-cost-regression", "5%"], 4, "max_cost_regression"),
        ([], 2, "No budget is set"),
        (["--max-unsafe-served", "lots"], 2, "--max-unsafe-served 'lots'"),
        (["--min-saving-usd-month", "much"], 2, "'much' is not an amount"),
    ],
)
def test_exit_codes(
    costaudit: Run, tmp_path: Path, arguments: list[str], code: int, what: str
) -> None:
    audit(tmp_path / "audit.json")
    said = costaudit("gate", "audit.json", *arguments)
    assert said.code == code
    assert what in said.err
    assert bool(said.out) == (code != 2)


def test_a_baseline_is_compared_beyond_the_noise(costaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    audit(tmp_path / "run" / "audit.json", "60000")
    audit(tmp_path / "base.json")
    said = costaudit("gate", "run", "--baseline", "base.json", "--max-cost-regression", "5%")
    assert said.code == 3  # 60,000 is 45.6 % more than 41,200.20
    assert "max_cost_regression (+45.6% to $60,000.00 a month" in said.err
    assert "baseline" in said.out
    same = costaudit("gate", "base.json", "--baseline", "base.json", "--max-cost-regression", "5%")
    assert same.code == 0


def test_the_verdict_is_appended_to_the_job_s_summary(
    costaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit(tmp_path / "audit.json")
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    said = costaudit("gate", "audit.json", "--max-unsafe-served", "0.5%", "--junit", "junit.xml")
    assert said.code == 3
    assert summary.read_text("utf-8") == "before\n" + said.out
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")


def test_a_run_without_an_audit_says_how_to_make_one(costaudit: Run, tmp_path: Path) -> None:
    said = costaudit("gate", str(tmp_path), "--max-unsafe-served", "1%")
    assert said.code == 2 and "costaudit analyze" in said.err
