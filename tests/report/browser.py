"""Open pages in a browser; importing this skips a test module if no browser is installed."""

import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


def opened(browser: Any, file: Path, **settings: Any) -> tuple[Any, list[str]]:
    """Open a file; return the page and a list of unwanted requests, messages and errors."""
    wrong: list[str] = []

    def refuse(dialog: Any) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page = browser.new_context(**settings).new_page()
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", refuse)
    page.on(
        "request",
        lambda request: (
            None
            if request.url in (file.as_uri(), "data:,") or request.url.startswith("blob:")
            else wrong.append(f"request: {request.url}")
        ),
    )
    page.goto(file.as_uri())
    return page, wrong
