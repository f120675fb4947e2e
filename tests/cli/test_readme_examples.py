"""The files shown in the README are accepted by the verbs that they are meant for."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from costaudit.contracts.audit import write_audit
from tests.conftest import Said
from tests.report.sample_audit import AUDIT

README = Path(__file__).parents[2] / "README.md"


def block(language: str, start: str) -> str:
    """Return the fenced block of a language that starts with a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    (found,) = [text for text in blocks if text.startswith(start)]
    return str(found)


def test_budgets(costaudit: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "costaudit.toml").write_text(block("toml", "[gate]"))
    write_audit(AUDIT, tmp_path / "audit.json")
    said = costaudit("gate", "audit.json", "--config", "costaudit.toml", "--baseline", "audit.json")
    # The sample reads 36.4 % of its input from the cache, and may serve 0.60 % wrong answers.
    assert said.code == 3
    failed = set(re.findall(r"(\w+) \(", said.err))
    assert failed == {"max_unsafe_served", "min_prefix_read_share"}


def test_prices(costaudit: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(block("toml", "[[price]]"))
    own = costaudit("prices", "acme-internal-7b", "--prices", "prices.toml")
    assert own.code == 0 and " 0.4 " in own.out and "contract of 2026-06-14" in own.out
    # gpt-4o at 2.50, discounted by the factor 0.85: 2.125.
    known = costaudit(
        "prices", "prod-chat-eu", "--provider", "openai", "--prices", "prices.toml",
        "--date", "2026-10-01",
    )  # fmt: skip
    assert known.code == 0 and "2.125" in known.out


@pytest.mark.parametrize("start", ["name: llm-cost", "costaudit:"])
def test_jobs_call_verbs_and_options_that_exist(costaudit: Callable[..., Said], start: str) -> None:
    job = block("yaml", start)
    for verb, rest in re.findall(r"costaudit (analyze|sweep|gate) (.*)", job):
        known = costaudit(verb, "--help").out
        for option in re.findall(r"(?<=\s)--[a-z-]+", rest):
            assert option in known, f"{verb} {option}"


def test_the_shell_of_the_jobs_parses() -> None:
    for start, indent in (("name: llm-cost", 10), ("costaudit:", 6)):
        scripts = re.findall(rf"(?:run: |- )\|\n((?: {{{indent},}}.*\n)+)", block("yaml", start))
        assert scripts
        for script in scripts:
            subprocess.run(["bash", "-n"], input=script, text=True, check=True)
