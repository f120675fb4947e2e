"""The page's colours have WCAG AA contrast in light mode, in dark mode and on paper."""

import re
from pathlib import Path

import pytest

import costaudit.report

STYLE = (Path(costaudit.report.__file__).parent / "templates/report.css").read_text("utf-8")
TEXT = (
    "ink", "soft", "faint", "accent", "saved", "unsafe", "warn",
    "measured", "replayed", "simulated", "estimated", "assumed",
)  # fmt: skip
GROUND = ("paper", "card", "wash")
THEMES = re.findall(r":root \{(.*?)\}", STYLE, flags=re.S)


def luminance(colour: str) -> float:
    """Return the luminance as WCAG 2 defines it: linear light, weighted 0.2126, 0.7152, 0.0722."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_is_21_to_1() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", range(3), ids=["light", "dark", "paper"])
def test_text_is_readable_on_every_ground(theme: int) -> None:
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", THEMES[theme]))
    poor = {
        (text, ground): round(contrast(colours[text], colours[ground]), 2)
        for text in TEXT
        for ground in GROUND
        if contrast(colours[text], colours[ground]) < 4.5
    }
    assert not poor


@pytest.mark.parametrize("theme", range(3), ids=["light", "dark", "paper"])
def test_marked_words_are_readable(theme: int) -> None:
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", THEMES[theme]))
    assert all(contrast(colours[text], colours["mark"]) >= 4.5 for text in ("ink", "soft"))
