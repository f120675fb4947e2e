"""A log source of one's own: as a file, and from a package that pip installs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from costaudit.contracts.plugins import plugin
from costaudit.errors import UsageError
from tests.conftest import ROOT, installed

LINES = [
    {"who": f"u{n}", "asked": f"Question {n}?", "said": f"Answer {n}.", "in": 1_000_000, "out": 0}
    for n in range(4)
]
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "house-chat"
version = "1.0"
[project.entry-points."costaudit.sources"]
house_chat = "house_chat:HouseChat"
[tool.setuptools]
py-modules = ["house_chat"]
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Write the source of the page about plug-ins, and two logs for it."""
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code.splitlines()) <= 40
    (tmp_path / "house_chat.py").write_text(code)
    for name in ("a", "b"):
        rows = [{**line, "asked": f"{name} {line['asked']}"} for line in LINES]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return tmp_path


def spent(where: Path, path: str) -> str:
    said = installed(
        "spend", "a.jsonl", "b.jsonl", "--by", "user", "--format", "csv", "--quiet",
        cwd=where, PYTHONPATH=path,
    )  # fmt: skip
    assert said.code == 0, said.err
    return said.out


def test_a_file_is_a_source(house: Path) -> None:
    said = installed(
        "ingest", "a.jsonl", "b.jsonl", "--out", "run", "--source", "./house_chat.py:HouseChat",
        cwd=house,
    )  # fmt: skip
    assert said.code == 0, said.err
    # eight times a million tokens of gpt-4o-mini at $0.15, by four users
    told = installed("spend", "run", "--by", "user", "--format", "csv", "--quiet", cwd=house)
    assert told.out.count("0.30") >= 4, told.out


def test_an_installed_package_is_recognised_by_itself(house: Path) -> None:
    (house / "pyproject.toml").write_text(PROJECT)
    site = house / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--target", str(site), str(house)],
        check=True,
    )  # fmt: skip
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    assert spent(house, path).count("0.30") >= 4


@pytest.mark.parametrize("name", ["no_such_module:Class", "json:NoSuchClass", "./none.py:Class"])
def test_what_cannot_be_loaded_is_said(name: str) -> None:
    with pytest.raises(UsageError, match="can't be loaded") as caught:
        plugin("sources", name)
    assert "file" in caught.value.hint


def test_other_names_are_no_plugins() -> None:
    assert plugin("sources", "openai_chat") is None
