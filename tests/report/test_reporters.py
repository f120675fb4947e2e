"""Properties that every reporter in the table must have."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from costaudit.contracts.audit import Audit
from costaudit.report.compare import compare
from costaudit.report.markdown import MarkdownReporter
from costaudit.report.reporters import REPORTERS, JunitReporter, render, reporter_names
from costaudit.report.terminal import TerminalReporter
from tests.report.gates import GATES
from tests.report.hostile_audit import hostile_audit
from tests.report.sample_audit import AUDIT, NO_PROMPTS

ROOT = Path(__file__).parents[2]
EMPTY = replace(
    NO_PROMPTS,
    spend=replace(AUDIT.spend, by={}, prices=(), unpriced_models=(), invoice_usd=None),
    ledger=replace(AUDIT.ledger, steps=()),
    quality=replace(AUDIT.quality, files=(), skip_reasons={}, cannot_tell=(), first_ts=""),
    assumptions=(),
)


def test_the_table_is_keyed_by_name() -> None:
    assert list(REPORTERS) == ["terminal", "html", "md", "json", "csv", "focus", "junit"]
    assert all(name == reporter.name for name, reporter in REPORTERS.items())
    assert len({reporter.suffix for reporter in REPORTERS.values()}) == len(REPORTERS)


@pytest.mark.parametrize("name", REPORTERS)
@pytest.mark.parametrize("audit", [AUDIT, NO_PROMPTS, EMPTY, hostile_audit()], ids=range(4))
def test_it_renders_any_audit_as_text(name: str, audit: Audit) -> None:
    assert REPORTERS[name].render(audit).decode().strip()


def test_names_lead_to_reporters() -> None:
    assert reporter_names() == tuple(REPORTERS)
    for name, reporter in REPORTERS.items():
        assert render(AUDIT, name) == reporter.render(AUDIT)


def test_a_reporter_with_settings_of_its_own_renders_like_a_name() -> None:
    terminal = TerminalReporter(files=("run/audit.json",))
    assert b"Files in run: audit.json" in render(AUDIT, terminal)
    assert b"max_unsafe_served" in render(AUDIT, JunitReporter(GATES))
    assert b"baseline" in render(
        AUDIT, MarkdownReporter(gates=GATES, compared=compare(NO_PROMPTS, AUDIT))
    )


def test_the_same_audit_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib\n"
        "from costaudit.report.reporters import REPORTERS\n"
        "from tests.report.sample_audit import AUDIT\n"
        "for name, reporter in REPORTERS.items():\n"
        "    print(name, hashlib.sha256(reporter.render(AUDIT)).hexdigest())\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(printed) == 1
