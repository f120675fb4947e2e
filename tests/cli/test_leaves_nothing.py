"""Verbs that only read leave no files behind, and every verdict names unreadable files."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from costaudit.cli import verb
from costaudit.cli.main import VERBS
from tests.cli.conftest import records, write_log
from tests.conftest import Said

Run = Callable[..., Said]
QUIET = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
READERS = [
    one.__name__
    for one in VERBS
    if "logs" in inspect.signature(one).parameters and one.__name__ not in verb._KEEPS_ITS_RUN
]


def test_there_are_readers() -> None:
    assert {"spend", "doctor", "levers", "prefix", "sweep", "clusters"} <= set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_a_verb_that_only_reads_leaves_nothing_behind(
    costaudit: Run, tmp_path: Path, name: str
) -> None:
    (tmp_path / "logs").mkdir()
    write_log(tmp_path / "logs" / "log.jsonl", records())
    (tmp_path / "logs" / "photo.bin").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "logs" / "nothing.jsonl").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    said = costaudit(name, "logs", "--quiet")
    assert said.code in (0, 4), said.err
    assert sorted(tmp_path.rglob("*")) == before
    if said.code == 0:
        told = " ".join(said.out.split())
        assert "1 of 3 files could not be read: the total is a lower bound." in told


def test_out_keeps_the_run(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl", records())
    assert costaudit("spend", "log.jsonl", "--quiet", "--out", "run").code == 0
    assert (tmp_path / "run" / "requests.parquet").is_file()


def test_the_audit_says_what_was_lost(costaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    write_log(tmp_path / "logs" / "log.jsonl", records())
    (tmp_path / "logs" / "other.csv").write_text("a,b,c\n1,2,3\n")
    said = costaudit("ingest", "logs", "--quiet", "--out", "run")
    assert "1 of 2 files could not be read: the total is a lower bound." in said.err
    said = costaudit("spend", "run", "--quiet", "--lang", "es")
    assert "No se han podido leer 1 de 2 ficheros" in " ".join(said.out.split())


@pytest.mark.parametrize("verb", ["spend", "levers", "prefix"])
def test_verbs_that_need_no_vectors_make_none(costaudit: Run, tmp_path: Path, verb: str) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit(verb, "log.jsonl", "--quiet", "--out", "run")
    assert said.code == 0, said.err
    assert not (tmp_path / "run" / "vectors").exists()


def test_what_a_killed_command_left_in_temporary_folders_is_removed(
    costaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    write_log(tmp_path / "log.jsonl", records())
    (temporary / "costaudit-of-others").mkdir()
    others = temporary / "costaudit-link"
    others.symlink_to(tmp_path / "log.jsonl")
    hold = (
        "import time\nfrom costaudit.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    (folder / 'prompts').write_text('secret')\n"
        "    print(folder, flush=True)\n    time.sleep(300)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold],
        stdout=subprocess.PIPE,
        text=True,
        env={**QUIET, "TMPDIR": str(temporary)},
    )
    assert holder.stdout
    left = Path(holder.stdout.readline().strip())
    assert costaudit("spend", "log.jsonl", "--quiet").code == 0
    assert (left / "prompts").read_text() == "secret"  # its process lives
    holder.kill()
    holder.communicate()
    assert (left / "prompts").exists()
    assert costaudit("schema").code == 0
    assert sorted(one.name for one in temporary.iterdir()) == [
        "costaudit-link",
        "costaudit-of-others",
    ]
