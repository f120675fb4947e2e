"""Take the README's pictures of a report, or check that they are up to date.

Run `python docs/pictures/take.py costaudit-support_chatbot/report.html` after `costaudit analyze
sample_logs/support_chatbot.jsonl.zst`; with `--check`, nothing is written, and the exit code is 1
if a pictured part of the page says something else than it did when its picture was taken.
`shown.json` holds a hash of each part's visible text.
"""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
SHOWN = HERE / "shown.json"
PARTS = {"first_screen": ".first", "sweep": "#sweep-chart"}  # picture → selector of its element

MARGIN = 16  # pixels around an element


def main() -> int:
    """Write the pictures, or print which are out of date."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("report", type=Path)
    arguments.add_argument("--check", action="store_true")
    options = arguments.parse_args()
    with sync_playwright() as tools:
        browser = tools.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_context(viewport={"width": 1120, "height": 900}).new_page()
        page.goto(options.report.resolve().as_uri())
        shown = {name: _hash_of_text(page, selector) for name, selector in PARTS.items()}
        if not options.check:
            for name, selector in PARTS.items():
                box = page.locator(selector).first.bounding_box()
                clip = {
                    "x": box["x"] - MARGIN,
                    "y": box["y"] - MARGIN,
                    "width": box["width"] + 2 * MARGIN,
                    "height": box["height"] + 2 * MARGIN,
                }
                page.screenshot(path=HERE / f"{name}.png", full_page=True, clip=clip)
            SHOWN.write_text(json.dumps(shown, indent=1) + "\n")
        browser.close()
    known = json.loads(SHOWN.read_text())
    old = [name for name in PARTS if known.get(name) != shown[name]]
    for name in old:
        sys.stdout.write(f"docs/pictures/{name}.png is out of date: run `just pictures`\n")
    return 1 if old else 0


# without the tooltips, in which the last digit of a figure depends on the processor
_VISIBLE = """part => {
    const copy = part.cloneNode(true);
    copy.querySelectorAll("title").forEach(one => one.remove());
    return copy.textContent;
}"""


def _hash_of_text(page: Any, selector: str) -> str:
    text = " ".join(page.locator(selector).first.evaluate(_VISIBLE).split())
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
