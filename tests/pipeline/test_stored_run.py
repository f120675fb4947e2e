"""Runs on object storage: the same bytes, committed whole or not at all, by one writer."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import boto3
import msgspec
import pytest
import s3fs  # type: ignore[import-untyped]

import costaudit
from costaudit.contracts.run_dir import RunDir
from costaudit.errors import BackendError, InputError, RunDirError, UsageError
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.stored_run import stored_run, url_of
from costaudit.progress import SilentProgress
from tests.conftest import Said, installed
from tests.ingest.conftest import chat, write_lines
from tests.pipeline.s3 import Proxy, files, objects, stored

TABLES = ("requests", "blocks", "skips")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    records = [chat(n, f"Where is parcel {n % 20}?", answer=f"In {n % 9} days.") for n in range(60)]
    write_lines(tmp_path / "log.jsonl", records)
    return tmp_path / "log.jsonl"


def read(log: Path, tmp_path: Path) -> Said:
    return installed(
        "ingest", str(log), "--out", "s3://bucket/run", "--engine", "local", cwd=tmp_path
    )


def local(log: Path, tmp_path: Path) -> dict[str, bytes]:
    run = RunDir(tmp_path / "local")
    ingest([str(log)], run, IngestOptions(), SilentProgress())
    return {f"{name}.parquet": (run.path / f"{name}.parquet").read_bytes() for name in TABLES}


def test_a_run_is_the_same_on_s3_and_is_read_from_another_machine(
    s3: Proxy, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = read(log, tmp_path)
    assert (said.code, said.out) == (0, "s3://bucket/run\n"), said.err
    expected = local(log, tmp_path)
    assert {name: files()[name] for name in expected} == expected
    assert "run/costaudit-run.lock" not in stored()
    puts = [path for method, path in s3.seen if method == "PUT" and "data/" in path]
    last = [path for method, path in s3.seen if method == "PUT"][-1]
    assert len(puts) > 2 and "costaudit-run.json" in last
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    opened = costaudit.open_run("s3://bucket/run")
    assert opened.requests.equals(RunDir(tmp_path / "local").requests())


@pytest.mark.slow
def test_only_what_has_changed_is_read_and_stored(
    s3: Proxy, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(log, tmp_path).code == 0
    local(log, tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    here = installed("spend", str(tmp_path / "local"), "--format", "json", cwd=tmp_path)
    there = installed("spend", "s3://bucket/run", "--format", "json", cwd=tmp_path)
    assert (here.code, there.code, there.out) == (0, 0, here.out), there.err
    s3.seen.clear()
    assert read(log, tmp_path).code == 0
    puts = {path for method, path in s3.seen if method == "PUT"}
    assert puts == {f"/bucket/run/costaudit-run.{one}" for one in ("json", "lock")}
    write_lines(log, [chat(n, f"Question {n}?") for n in range(70)])
    assert read(log, tmp_path).code == 0
    named = json.loads(stored()["run/costaudit-run.json"])
    assert named["generation"] == 3
    kept = {f"run/{part}" for one in named["files"].values() for part in objects(one)}
    assert set(stored()) == kept | {"run/costaudit-run.json"}  # what is old was deleted


def test_throttled_requests_are_sent_again(s3: Proxy, log: Path, tmp_path: Path) -> None:
    s3.answer = lambda method, path: "SlowDown" if len(s3.seen) % 20 == 0 else None
    for _ in range(3):
        with stored_run("s3://bucket/run", writes=True) as folder:
            ingest([str(log)], RunDir(folder), IngestOptions(), SilentProgress())
    assert s3.failed > 1
    s3.answer = lambda method, path: None
    expected = local(log, tmp_path)
    assert {name: files()[name] for name in expected} == expected


def test_a_second_writer_is_refused_with_the_first_one_s_name(
    s3: Proxy, log: Path, tmp_path: Path
) -> None:
    holder = {"token": "a", "host": "node-7", "process": 42, "since": "2026-11-30T08:00:00+00:00"}
    client = boto3.client("s3")
    lock = {"Bucket": "bucket", "Key": "run/costaudit-run.lock"}
    client.put_object(**lock, Body=json.dumps(holder).encode())
    said = read(log, tmp_path)
    assert said.code == 2
    assert "is being written by process 42 on node-7, since 2026-11-30T08:00:00+00:00" in said.err
    assert "delete s3://bucket/run/costaudit-run.lock" in said.err
    assert set(stored()) == {"run/costaudit-run.lock"}
    client.delete_object(**lock)
    assert read(log, tmp_path).code == 0


@pytest.mark.slow
def test_a_killed_writer_s_lock_is_taken_over_and_its_work_kept(
    s3: Proxy, log: Path, tmp_path: Path
) -> None:
    """The command is killed when it stores its first object: all was read, nothing committed."""
    command = [sys.executable, "-m", "costaudit", "ingest", str(log), "--out", "s3://bucket/run"]
    process = subprocess.Popen(command, cwd=tmp_path)

    def kill(method: str, path: str) -> None:
        if method == "PUT" and "data/" in path and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    s3.answer = kill
    assert process.wait() == -signal.SIGKILL
    s3.answer = lambda method, path: None
    assert "run/costaudit-run.lock" in stored() and "run/costaudit-run.json" not in stored()
    said = read(log, tmp_path)
    assert said.code == 0, said.err
    assert "0 bytes" in said.err  # nothing is read again
    expected = local(log, tmp_path)
    assert {name: files()[name] for name in expected} == expected
    assert "run/costaudit-run.lock" not in stored()


@pytest.mark.slow
def test_failures_say_what_to_do(s3: Proxy, log: Path, tmp_path: Path) -> None:
    assert read(log, tmp_path).code == 0
    before = stored()
    write_lines(log, [chat(n, f"Question {n}?") for n in range(70)])
    is_content = re.compile(r"/(data|requests|blocks)/").search
    s3.answer = lambda method, path: (
        "ExpiredToken" if method == "PUT" and is_content(path) else None
    )
    said = read(log, tmp_path)
    assert (
        said.code == 5 and "ExpiredToken here" in said.err and "Renew the credentials" in said.err
    )
    s3.answer = lambda method, path: None
    assert stored() == before  # the run is as it was
    # without the right to list, S3 answers "access denied" for what doesn't exist
    s3.answer = lambda method, path: "AccessDenied" if "missing" in path else None
    said = installed("report", "s3://bucket/missing", cwd=tmp_path)
    assert said.code == 5 and "listing" in said.err
    s3.answer = lambda method, path: None
    said = installed("report", "s3://bucket/none", cwd=tmp_path)
    assert said.code == 2 and "There is no run at s3://bucket/none." in said.err
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(tmp_path)}
    said = installed("report", "s3://bucket/run", cwd=tmp_path, environment=nobody)
    assert said.code == 5 and "credentials" in said.err


def test_a_manifest_that_names_files_elsewhere_is_refused(s3: Proxy, tmp_path: Path) -> None:
    one = {"object": "data/x", "size": 1, "digest": "", "mtime_ns": 0}
    manifest = {"version": 1, "generation": 1, "writer": "", "files": {"../../evil": one}}
    body = msgspec.json.encode(manifest)
    boto3.client("s3").put_object(Bucket="bucket", Key="run/costaudit-run.json", Body=body)
    said = installed("report", "s3://bucket/run", cwd=tmp_path)
    assert said.code == 2 and "names files elsewhere" in said.err


def test_a_log_on_s3_is_read_in_ranges_of_bytes(s3: Proxy, log: Path, tmp_path: Path) -> None:
    boto3.client("s3").upload_file(str(log), "bucket", "logs/log.jsonl")
    run = RunDir(tmp_path / "run")
    size = log.stat().st_size
    options = IngestOptions(task_bytes=size // 7 + 1)
    summary = ingest(["s3://bucket/logs/"], run, options, SilentProgress())
    assert summary.read_bytes == size
    spans = [json.loads(path.read_bytes()) for path in run.path.glob("staging/*/span-*.json")]
    assert len(spans) == 7
    # each part is requested by itself: nothing is copied, and nothing is read ahead
    assert {f"bytes={one['start']}-{one['stop'] - 1}" for one in spans} <= s3.ranges
    expected = local(log, tmp_path)
    assert {name: (run.path / name).read_bytes() for name in expected} == expected
    assert ingest(["s3://bucket/logs/"], run, options, SilentProgress()).read_bytes == 0


@pytest.mark.slow
def test_a_log_on_s3_that_can_t_be_read_says_why(s3: Proxy, log: Path, tmp_path: Path) -> None:
    boto3.client("s3").upload_file(str(log), "bucket", "logs/log.jsonl")
    s3.answer = lambda method, path: "AccessDenied" if "list-type" in path else None
    said = installed("ingest", "s3://bucket/logs/", "--out", "run", cwd=tmp_path)
    assert said.code == 2 and "right to list" in said.err
    said = installed("ingest", "s3://bucket/logs/log.jsonl", "--out", "run", cwd=tmp_path)
    assert said.code == 0, said.err
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(tmp_path)}
    said = installed("ingest", "s3://bucket/logs/log.jsonl", cwd=tmp_path, environment=nobody)
    assert said.code == 2 and "redentials" in said.err


def test_two_writers_at_once_and_one_that_fails(s3: Proxy) -> None:
    with pytest.raises(ZeroDivisionError), stored_run("s3://bucket/run", writes=True) as folder:
        (folder / "half.json").write_text("{}")
        raise ZeroDivisionError
    assert stored() == {}  # nothing is committed, and nobody is locked out
    with stored_run("s3://bucket/run", writes=True) as folder:
        assert (folder / "half.json").exists()  # a next one continues there
        told = f"is being written by process {os.getpid()} on {socket.gethostname()}, since 20"
        with pytest.raises(UsageError, match=told), stored_run("s3://bucket/run", writes=True):
            raise AssertionError("two writers")
        early = pytest.raises(RunDirError, match="There is no run")
        with early, stored_run("s3://bucket/run", writes=False):
            raise AssertionError("read before it was committed")
        (folder / "whole.json").write_text("[]")
    with stored_run("s3://bucket/run", writes=False) as copy:
        assert copy != folder
        assert sorted(path.name for path in copy.iterdir()) == ["half.json", "whole.json"]


def test_a_lost_lock_is_noticed_before_the_manifest_is_written(s3: Proxy) -> None:
    unlocked = pytest.raises(UsageError, match="was unlocked by somebody")
    with unlocked, stored_run("s3://bucket/run", writes=True) as folder:
        (folder / "a.json").write_text("{}")
        boto3.client("s3").delete_object(Bucket="bucket", Key="run/costaudit-run.lock")
    assert "run/costaudit-run.json" not in stored()


def test_damaged_content_is_refused(s3: Proxy) -> None:
    with stored_run("s3://bucket/run", writes=True) as folder:
        (folder / "a.json").write_text("{}")
    (name,) = [name for name in stored() if "/data/" in name]
    boto3.client("s3").put_object(Bucket="bucket", Key=name, Body=b"[]")
    damaged = pytest.raises(BackendError, match="is damaged")
    with damaged, stored_run("s3://bucket/run", writes=False):
        raise AssertionError("it was read")


def test_only_addresses_are_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert url_of(Path("s3://bucket/run/")) == url_of("s3://bucket/run") == "s3://bucket/run"
    assert url_of(Path("gs://b/x")) == "gs://b/x"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "run").mkdir(parents=True)
    for path in ("run", "/tmp/run", "./s3:/run", "s3:/run", "C:run"):
        assert url_of(path) is None, path


@pytest.mark.slow
def test_an_audit_is_the_same_on_s3(s3: Proxy, log: Path, tmp_path: Path) -> None:
    for run in ("s3://bucket/run", "here"):
        said = installed("analyze", str(log), "--out", run, "--format", "json", cwd=tmp_path)
        assert said.code == 0, said.err
    there = files()
    assert there["audit.json"] == (tmp_path / "here" / "audit.json").read_bytes()
    assert there["report.html"] == (tmp_path / "here" / "report.html").read_bytes()
    compared = installed("compare", "s3://bucket/run", "here", "--format", "json", cwd=tmp_path)
    assert compared.code == 0, compared.err
    again = installed("report", "s3://bucket/run", "--format", "json", cwd=tmp_path)
    assert again.out == said.out


def ingest_into_s3(named: str) -> None:
    with stored_run("s3://bucket/run", writes=True) as folder:
        ingest([named], RunDir(folder), IngestOptions(), SilentProgress())


def expired(s3: Proxy, first: int, _method: str, _path: str) -> str | None:
    """Refuse all requests from a number on."""
    return "ExpiredToken" if len(s3.seen) >= first else None


@pytest.mark.parametrize("from_s3", [False, True])
def test_credentials_that_expire_at_any_request_lose_nothing(
    s3: Proxy, log: Path, tmp_path: Path, from_s3: bool
) -> None:
    """All requests from some number on are refused; what was committed is whole, old or new.

    The process goes on, as a notebook does: its own lock, which it couldn't delete, is no other's.
    """
    ingest_into_s3(str(log))
    old = files()
    write_lines(log, [chat(n, f"Question {n}?") for n in range(70)])
    new = local(log, tmp_path)
    named = str(log)
    if from_s3:
        boto3.client("s3").upload_file(named, "bucket", "logs/log.jsonl")
        named = "s3://bucket/logs/log.jsonl"
    refused = kept = 0
    for number in range(1, 100, 3):
        s3.seen.clear()
        s3fs.S3FileSystem.clear_instance_cache()
        s3.answer = partial(expired, s3, number)
        try:
            ingest_into_s3(named)
        except (BackendError, InputError) as error:
            refused += 1
            assert "s3://bucket/" in str(error) and "\n" not in str(error)
            assert "credentials" in str(error.hint) and "continues" in str(error.hint)
            assert error.exit_code == (5 if isinstance(error, BackendError) else 2)
        s3.answer = lambda method, path: None
        now = files()
        kept += now == old
        assert now == old or {name: now[name] for name in new} == new
        if now != old:
            break
    assert refused >= kept > 3
    ingest_into_s3(named)
    now = files()
    assert {name: now[name] for name in new} == new
    assert "run/costaudit-run.lock" not in stored()


@pytest.mark.parametrize("years", [-30, 30])
def test_no_clock_decides_who_may_write(s3: Proxy, years: int) -> None:
    """A lock holds whatever time it says; one of a process that has ended never does."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    since = f"{2026 + years}-11-30T08:00:00+00:00"
    there = {"token": "a", "host": "node-7", "process": ended.pid, "since": since}
    lock = {"Bucket": "bucket", "Key": "run/costaudit-run.lock"}
    boto3.client("s3").put_object(**lock, Body=json.dumps(there).encode())
    told = f"is being written by process {ended.pid} on node-7, since {since}"
    refused = pytest.raises(UsageError, match=re.escape(told))
    with refused, stored_run("s3://bucket/run", writes=True):
        raise AssertionError("two writers")
    here = {**there, "host": socket.gethostname()}
    boto3.client("s3").put_object(**lock, Body=json.dumps(here).encode())
    with stored_run("s3://bucket/run", writes=True) as folder:
        (folder / "whole.json").write_text("[]")
    assert "run/costaudit-run.lock" not in stored()
    with stored_run("s3://bucket/run", writes=False) as copy:
        assert (copy / "whole.json").read_text() == "[]"


@pytest.mark.parametrize(
    ("code", "step"),
    [("RequestTimeTooSkewed", "set this machine's clock"), ("AccessDenied", "listing")],
)
def test_what_the_storage_refuses_has_a_next_step(s3: Proxy, code: str, step: str) -> None:
    """A wrong clock, and no right to list: then S3 denies access to what doesn't exist yet."""
    s3.answer = lambda method, path: code if method in ("GET", "HEAD") else None
    refused = pytest.raises(BackendError, match=r"^s3://bucket/run can't be read")
    with refused as caught, stored_run("s3://bucket/run", writes=True):
        raise AssertionError("it was written")
    assert step in str(caught.value.hint) and "stored run is as it was" in str(caught.value.hint)
    s3.answer = lambda method, path: None
    assert stored() == {}
    with stored_run("s3://bucket/run", writes=True) as folder:
        (folder / "whole.json").write_text("[]")
    assert "run/costaudit-run.json" in stored()
