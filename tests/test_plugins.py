"""The plug-ins on the page about them work as files, and as a package installed by pip."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from costaudit.contracts.plugins import made, plugin
from costaudit.errors import UsageError
from tests.conftest import ROOT, Said, installed
from tests.fresh import Fresh, fresh_environment

PACKAGE = Path(__file__).parent / "plugin_package"
BLOCK = re.compile(r"<!-- file: (\w+\.py) -->\n```python\n(.*?)```", re.DOTALL)
ASKED = 60  # calls of each log: three questions by four users, repeated


def line(name: str, n: int) -> dict[str, object]:
    """Return one call with a million input tokens: $0.15 with gpt-4o-mini."""
    who = "monitor" if n % 10 == 0 else f"u{n % 4}"
    asked, said = f"{name}: how do I do number {n % 3}?", f"Like this: {n % 3}."
    return {"who": who, "asked": asked, "said": said, "in": 1_000_000, "out": 0}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page's classes, and two logs for them."""
    folder = tmp_path_factory.mktemp("house")
    for name, code in BLOCK.findall((ROOT / "docs" / "plugins.md").read_text("utf-8")):
        assert len(code.splitlines()) <= 40, name
        (folder / name).write_text(code)
    for name in ("a", "b"):
        rows = [json.dumps(line(name, n)) for n in range(ASKED)]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def package(house: Path) -> Fresh:
    """Install the page's classes as a package, in a fresh environment."""
    project = house / "project"
    project.mkdir()
    shutil.copy(PACKAGE / "pyproject.toml", project)
    for path in house.glob("house_*.py"):
        shutil.copy(path, project)
    fresh = fresh_environment(house / "env", with_checkout=True)
    fresh.install(project)
    return fresh


def said_by(fresh: Fresh, *arguments: str, cwd: Path) -> str:
    """Run costaudit in a fresh environment, and return what it printed."""
    done = subprocess.run(
        [fresh.python, "-m", "costaudit", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed(said: Said) -> str:
    assert said.code == 0, said.err
    return said.out


def test_a_file_is_a_source_in_every_process(house: Path) -> None:
    source = "./house_chat.py:HouseChat"
    printed(
        installed("ingest", "a.jsonl", "b.jsonl", "--out", "run", "--source", source, cwd=house)
    )
    # 120 calls at $0.15; monitor has 6 + 6 of them: $1.80
    table = printed(
        installed("spend", "run", "--by", "user", "--format", "csv", "--quiet", cwd=house)
    )
    assert re.search(r",monitor,.*1\.80", table, re.M), table


def test_files_are_an_embedder_a_lever_and_a_reporter(house: Path) -> None:
    said = installed(
        "analyze", "a.jsonl", "--out", "by_file", "--source", "./house_chat.py:HouseChat",
        "--embedder", "./house_words.py:Words", "--lever", "./house_lever.py:HealthChecks",
        "--effort-usd", "health_checks=200", "--format", "./house_lines.py:Lines",
        cwd=house,
    )  # fmt: skip
    assert re.fullmatch(r"before: \$[\d,.]+\nafter: \$[\d,.]+\n", printed(said))
    audit = json.loads((house / "by_file" / "audit.json").read_text())
    assert audit["semantic"]["embedder"] == "house_words"
    assert "health_checks" in [step["lever"] for step in audit["ledger"]["steps"]]
    assert (house / "by_file" / "vectors").is_dir()


def test_an_installed_package_gives_all_six(house: Path, package: Fresh) -> None:
    run = "installed"
    read = said_by(
        package, "analyze", "a.jsonl", "--out", run, "--embedder", "house_words",
        "--lever", "house_lever", "--format", "house_lines", "--quiet", cwd=house,
    )  # fmt: skip
    assert read.startswith("before: $")  # the source was recognised automatically
    told = said_by(
        package, "levers", run, "--lever", "house_lever",
        "--format", "json", "--quiet", cwd=house,
    )  # fmt: skip
    (ours,) = [row for row in json.loads(told) if row["lever"] == "health_checks"]
    assert ours["requests"] == ASKED // 10  # as if it were the only lever
    judged = said_by(
        package, "judge", run, "--judge", "house_judge", "--embedder", "house_words",
        "--sample", "12", "--threshold", "0.9", "--format", "json", "--quiet", cwd=house,
    )  # fmt: skip
    (opinion,) = json.loads(judged)["judges"]
    assert opinion["judge"] == "house:same_words" and opinion["verdicts"] > 0
    replayed = said_by(
        package, "replay", run, "--cache", "house_cache", "--embedder", "house_words",
        "--scope", "user", "--threshold", "0.9", "--quiet", cwd=house,
    )  # fmt: skip
    assert "house_cache" in replayed


@pytest.mark.parametrize("name", ["no_such_module:Class", "json:NoSuchClass", "./none.py:Class"])
def test_what_cannot_be_loaded_is_said(name: str) -> None:
    with pytest.raises(UsageError, match="can't be loaded") as caught:
        plugin("sources", name)
    assert "file" in caught.value.hint


def test_what_lacks_a_method_is_said(tmp_path: Path) -> None:
    path = tmp_path / "empty.py"
    path.write_text("class Nothing: ...\nclass Argument:\n    def __init__(self, url): ...\n")
    with pytest.raises(UsageError, match="no `ask` and no `close`"):
        made("judges", f"{path}:Nothing", ("ask", "close"))
    with pytest.raises(UsageError, match="url"):
        made("judges", f"{path}:Argument", ())
    assert made("judges", f"{path}:Argument?url=x", ()) is not None


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "json.py"  # never confused with the existing module
    path.write_text("class One:\n    n = 1\n")
    first = plugin("levers", f"{path}:One")
    assert (first.n, plugin("levers", f"{path}:One") is first) == (1, True)
    path.write_text("class One:\n    n = 2\n")
    os.utime(path, ns=(0, 10**18))
    assert plugin("levers", f"{path}:One").n == 2


def test_other_names_are_no_plugins() -> None:
    assert plugin("sources", "openai_chat") is None
