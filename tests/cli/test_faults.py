"""What machines do to a running command: full disks and streams, other processes, wrong clocks."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from costaudit.contracts.run_dir import RunDir
from tests.cli.conftest import records, write_log
from tests.conftest import Said
from tests.ingest.conftest import chat, write_lines

Run = Callable[..., Said]
QUIET = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
DISK = 8 << 20


def ended(said: Said, code: int, words: str) -> None:
    """Check a command's exit code and its error: one sentence, a hint and no traceback."""
    assert said.code == code, said.err
    error = [line for line in said.err.splitlines() if line.startswith("costaudit: ")]
    assert len(error) == 1 and words in error[0]
    assert "Traceback" not in said.err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB; skipped where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(
    costaudit: Run, small_disk: Path, tmp_path: Path
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(DISK - (64 << 10)))
    words = [f"word{n}" for n in range(5_000)]
    log = write_lines(
        tmp_path / "log.jsonl",
        [chat(n, " ".join(words[n * 60 % 4_000 :][:900])) for n in range(60)],
    )
    run = small_disk / "run"
    ended(
        costaudit("ingest", str(log), "--out", str(run)), 2, "there is no space left on the device"
    )
    assert not list(run.rglob("*.part"))
    filler.unlink()
    assert costaudit("ingest", str(log), "--out", str(run)).code == 0
    assert len(RunDir(run).requests()) == 60


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("schema >/dev/full", 2),
        ("schema >&-", 0),
        ("schema | head -c 0; exit ${PIPESTATUS[0]}", 0),
        ("spend --nope 2>/dev/full", 2),
        ("spend --nope 2>&-", 2),
    ],
)
def test_streams_that_take_nothing(tmp_path: Path, command: str, code: int) -> None:
    told = ["bash", "-c", f"{sys.executable} -m costaudit {command}"]
    done = subprocess.run(told, cwd=tmp_path, capture_output=True, text=True, env=QUIET)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    if command == "schema >/dev/full":
        assert "no space left on the device" in done.stderr


def test_messages_that_nobody_takes_end_no_work(
    costaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(tmp_path / "log.jsonl")
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", full)
        assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
        sys.stderr.flush()
    assert len(RunDir(tmp_path / "run").requests()) == 8


def test_a_read_only_disk_is_named(costaudit: Run, small_disk: Path, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ended(costaudit("ingest", "log.jsonl", "--out", str(small_disk / "run")), 2, str(small_disk))


@pytest.mark.parametrize("verb", ["ingest", "spend", "analyze"])
def test_a_run_that_another_process_writes_is_left_alone(
    costaudit: Run, tmp_path: Path, verb: str
) -> None:
    write_log(tmp_path / "log.jsonl")
    run = RunDir(tmp_path / "run")
    assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
    before = run.requests_path.read_bytes()
    write_log(tmp_path / "log.jsonl", records()[:3])
    with run.marker_path.open("a+") as marker:
        fcntl.flock(marker, fcntl.LOCK_EX)
        marker.truncate(0)
        marker.write(f"4321 elsewhere {time.time() - 7_200:.0f}\n")
        marker.flush()
        said = costaudit(verb, "log.jsonl", "--out", "run")
    ended(said, 2, "run is being written by process 4321 on elsewhere, for 120 minutes.")
    assert run.requests_path.read_bytes() == before


def test_a_lock_whose_process_died_holds_nobody_up(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".costaudit").write_text("4321 elsewhere 1\n")
    assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0


def test_a_clock_that_jumps_changes_no_result(costaudit: Run, tmp_path: Path) -> None:
    """A log from the future is read once, and again when its content changes at the same time."""
    log = write_log(tmp_path / "log.jsonl")
    for moment in (time.time() + 10 * 365 * 86_400, 0):
        os.utime(log, (moment, moment))
        assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
        assert len(RunDir(tmp_path / "run").requests()) == 8
    write_log(log, records()[:5])
    os.utime(log, (0, 0))
    assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
    assert len(RunDir(tmp_path / "run").requests()) == 5


def test_an_owner_from_the_future_is_not_shown_with_a_negative_age(
    costaudit: Run, tmp_path: Path
) -> None:
    write_log(tmp_path / "log.jsonl")
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".costaudit").open("w") as marker:
        fcntl.flock(marker, fcntl.LOCK_EX)
        marker.write(f"4321 elsewhere {time.time() + 9_999:.0f}\n")
        marker.flush()
        said = costaudit("ingest", "log.jsonl", "--out", "run")
    ended(said, 2, "for 0 minutes")
