"""All files and folders named on the architecture page exist."""

import re
from pathlib import Path

import costaudit
from tests.conftest import ROOT

PACKAGE = Path(costaudit.__file__).parent


def test_every_file_that_the_page_names_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:py|toml)|\w+(?:/\w+)*/)`", page))
    assert len(named) > 40
    named -= {"outcomes/", "vectors/", "staging/"}  # folders of a run directory
    everywhere = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*")}
    for name in sorted(named):
        clean = name.rstrip("/")
        assert (
            (ROOT / clean).exists()
            or clean in everywhere
            or any(one.endswith(f"/{clean}") for one in everywhere)
        ), name


def test_contributing_names_what_there_is() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    recipes = set(re.findall(r"(?m)^(\w+)[^:=\n]*:(?!=)", (ROOT / "justfile").read_text("utf-8")))
    assert set(re.findall(r"\bjust (\w+)", text)) <= recipes
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
