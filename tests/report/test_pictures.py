"""The README's pictures show what the sample's report says now."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, ChatbotRun
from tests.report import browser  # skips this module without a browser

TAKE = ROOT / "docs" / "pictures" / "take.py"


def test_they_show_what_the_page_says(chatbot_run: ChatbotRun) -> None:
    assert browser.CHROMIUM
    page = chatbot_run.path / "report.html"
    done = subprocess.run(
        [sys.executable, TAKE, page, "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_changed_figure_is_noticed(chatbot_run: ChatbotRun, tmp_path: Path) -> None:
    text = (chatbot_run.path / "report.html").read_text("utf-8")
    assert "You spend $" in text
    changed = tmp_path / "report.html"
    changed.write_text(text.replace("You spend $", "You spend $1"), "utf-8")
    done = subprocess.run(
        [sys.executable, TAKE, changed, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "first_screen.png is out of date" in done.stdout
    assert "sweep.png" not in done.stdout
