"""The wheel and the sdist contain all that the package needs: build, install and run them."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fresh import fresh_environment


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both from the files that git tracks, without network access."""
    return build(tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist"))


def build(source: Path, out: Path) -> Path:
    """Build the sdist and the wheel in `out`, from a copy in `source` with a fixed date."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", "costaudit", "pyproject.toml",
         "README.md", "LICENSE"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    backend = "import sys, setuptools.build_meta as b; b.build_{}(sys.argv[1])"
    for kind in ("sdist", "wheel"):
        subprocess.run(
            [sys.executable, "-c", backend.format(kind), str(out)],
            cwd=source, check=True, capture_output=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": "1767225600"},
        )  # fmt: skip
    return out


@pytest.mark.slow  # it builds a second time
def test_the_same_files_make_the_same_wheel(built: Path, tmp_path: Path) -> None:
    """Another folder, at another time, with other times of files: equal bytes all the same."""
    (tmp_path / "source").mkdir()
    again = build(tmp_path / "source", tmp_path)
    (one,), (other,) = built.glob("*.whl"), again.glob("*.whl")
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow  # it compiles all kernels again
@pytest.mark.timeout(900)
def test_the_wheel_runs_its_demo_in_an_environment_of_its_own(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    fresh = fresh_environment(tmp_path / "env", with_checkout=False)
    fresh.install(wheel)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [fresh.folder / "bin" / "costaudit", "demo", "--quiet"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "$" in done.stdout and (tmp_path / "costaudit-demo" / "report.html").is_file()
    where = subprocess.run(
        [fresh.python, "-c", "import costaudit; print(costaudit.__file__)"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(fresh.folder))


def test_the_sdist_holds_every_file_of_the_wheel(built: Path) -> None:
    import zipfile

    (sdist,) = built.glob("*.tar.gz")
    (wheel,) = built.glob("*.whl")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("costaudit/")}
    assert packed <= held
    assert "costaudit/cli/demo.jsonl.zst" in packed
    assert {"costaudit/py.typed", "costaudit/report/templates/report.css"} <= packed
