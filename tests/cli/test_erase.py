"""A person's records are erased from a run without a trace, and everything else stays."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from costaudit.contracts.run_dir import RunDir
from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.ingest.conftest import chat

CANARY = "KANARIENVOGEL"


def log_of_two(path: Path) -> Path:
    """Write the calls of two users: some questions are equal, and alice's own contain a canary."""
    lines = []
    for n in range(24):
        alice = n % 3 == 0
        own = f" {CANARY}{n}" if alice and n % 2 else ""
        lines.append(
            chat(n, f"Where is parcel {n % 6}?{own}", answer=f"It is at stop {n % 6}.{own}",
                 user="alice" if alice else "bob")
        )  # fmt: skip
    return write_log(path, lines)


def held(folder: Path) -> bytes:
    """Return the contents of all files, with Parquet decompressed."""
    found = b""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found += path.read_bytes()
            if path.suffix == ".parquet":
                found += str(pl.read_parquet(path).to_dicts()).encode()
    return found


@pytest.mark.parametrize("redact", ["none", "hash", "mask"])
def test_nothing_of_a_person_is_left(
    costaudit: Callable[..., Said], tmp_path: Path, redact: str
) -> None:
    log = log_of_two(tmp_path / "log.jsonl")
    assert costaudit("analyze", str(log), "--out", "run", "--redact", redact).code == 0
    run = RunDir(Path("run"))
    assert run.centres_path.exists() == (redact != "hash")
    before = run.requests()
    stored = before.filter(pl.col("source_offset") == 0)["user"].item()
    said = costaudit("erase", "run", "--where", "user=alice")
    assert said.code == 0, said.err
    assert said.out.startswith("8 requests, ")
    assert not run.centres_path.exists()
    after = run.requests()
    assert after.equals(before.filter(pl.col("user") != stored))
    assert CANARY.encode() not in held(run.path)
    assert f"'{stored}'".encode() not in held(run.path)
    used = after["segments"].explode().struct.field("block_id").to_list()
    assert set(run.blocks()["block_id"]) == {*used, *after["answer_id"]} - {None}
    vectors = pl.concat([pl.read_parquet(one) for one in run.path.glob("vectors/*/*.parquet")] or [
        pl.DataFrame({"text_id": []}, schema={"text_id": pl.String})
    ], how="vertical_relaxed")  # fmt: skip
    assert set(vectors["text_id"]) <= set(run.blocks()["block_id"])
    assert sorted(run.skips()["reason"]) == ["erased"] * 8
    (told,) = run.manifest().inputs
    assert (told.rows, told.kept, told.skipped) == (24, 16, 8)

    again = costaudit("analyze", "run")
    assert again.code == 0 and "16 requests" in again.out
    assert costaudit("erase", "run", "--where", "user=alice").out.startswith("0 requests")
    back = costaudit("analyze", str(log), "--out", "run", "--redact", redact)
    assert back.code == 2 and "bring them back" in back.err


@pytest.mark.parametrize("before", ["blocks", "requests", "manifest"])
def test_an_interrupted_erasure_ends_by_the_same_call(
    costaudit: Callable[..., Said], tmp_path: Path, before: str
) -> None:
    """Killed before one of the files is written, then repeated: it ends like an undisturbed one."""
    log = log_of_two(tmp_path / "log.jsonl")
    assert costaudit("ingest", str(log), "--out", "run").code == 0
    run = RunDir(Path("run"))
    path = {
        "blocks": run.blocks_path, "requests": run.requests_path, "manifest": run.manifest_path
    }[before]  # fmt: skip
    old = path.read_bytes()
    assert costaudit("erase", "run", "--where", "user=alice").code == 0
    whole = run.requests(), run.blocks(), run.skips(), run.manifest()
    path.write_bytes(old)
    assert (CANARY.encode() in held(run.path)) == (before == "blocks")
    assert costaudit("erase", "run", "--where", "user=alice").code == 0
    again = run.requests(), run.blocks(), run.skips(), run.manifest()
    assert all(one.equals(other) for one, other in zip(whole[:3], again[:3], strict=True))
    assert whole[3] == again[3]
    assert CANARY.encode() not in held(run.path)


KILLED = """
import os, signal, sys
from costaudit.cli.main import main

def hook(event, _):
    global left
    if event == "os.rename":  # a file is put in its place
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

left = int(sys.argv[1])
sys.addaudithook(hook)
sys.exit(main(["erase", "run", "--where", "user=alice"]))
"""


def test_a_killed_erasure_is_finished_and_told_as_a_whole(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    """It is really killed, before each file that it writes is put in its place."""
    log = log_of_two(tmp_path / "log.jsonl")
    assert costaudit("ingest", str(log), "--out", "before").code == 0
    texts = RunDir(Path("before")).blocks().select(text_id="block_id", vector=pl.lit(0.5))
    Path("before/vectors/own").mkdir(parents=True)
    texts.write_parquet("before/vectors/own/part-1.parquet")
    Path("before/audit.json").write_text("{}")
    shutil.copytree("before", "run")
    whole = costaudit("erase", "run", "--where", "user=alice").out
    assert whole.startswith("8 requests, ") and "Removed: audit.json" in whole
    content, kills = held(Path("run")), 0
    for number in range(1, 100):
        shutil.rmtree("run")
        shutil.copytree("before", "run")
        command = [sys.executable, "-c", KILLED, str(number)]
        if subprocess.run(command, capture_output=True, cwd=tmp_path).returncode == 0:
            break
        kills += 1
        said = costaudit("erase", "run", "--where", "user=alice")
        assert (said.out, said.err) == (whole, ""), number
        assert len(held(Path("run"))) == len(content)
        assert sorted(Path().glob("run/.*")) == [Path("run/.costaudit")]
    assert kills > 5


def test_what_is_counted_once_of_others_stays(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    lines = [chat(n, f"Where is parcel {n}?", user="alice" if n % 2 else "bob") for n in range(8)]
    log = write_log(tmp_path / "log.jsonl", [*lines, *lines])
    assert costaudit("ingest", str(log), "--out", "run").code == 0
    run = RunDir(Path("run"))
    assert len(run.merged()) == 8
    assert costaudit("erase", "run", "--where", "user=alice").code == 0
    assert sorted(run.merged()["merged_into"]) == sorted(run.requests()["request_id"])


def test_what_can_not_be_erased_is_said(costaudit: Callable[..., Said], tmp_path: Path) -> None:
    log = log_of_two(tmp_path / "log.jsonl")
    assert costaudit("ingest", str(log), "--out", "run").code == 0
    for arguments in (("run",), ("run", "--where", "colour=red"), ("elsewhere", "--where", "a=b")):
        said = costaudit("erase", *arguments)
        assert said.code == 2 and said.err.startswith("costaudit: "), said.err
    assert len(RunDir(Path("run")).requests()) == 24
