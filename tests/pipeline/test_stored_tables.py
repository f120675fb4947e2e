"""A stored run's tables are in a Hive layout that others read, and whole again when fetched."""

import json
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import s3fs  # type: ignore[import-untyped]

from costaudit.contracts.requests import BLOCKS, REQUESTS
from costaudit.contracts.run_dir import RunDir, write_table
from costaudit.ingest.assembly.assemble import write_again
from costaudit.ingest.assembly.parquet_parts import join_parts
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline import stored_files
from costaudit.pipeline.stored_run import Reads, stored_run
from costaudit.progress import SilentProgress
from tests.conftest import ChatbotRun, installed
from tests.ingest.conftest import chat, write_lines
from tests.pipeline.s3 import Proxy, files, objects, stored

URL = "s3://bucket/run"
UNTIMED = "__HIVE_DEFAULT_PARTITION__"


def calls(month: str, start: int, count: int = 40) -> list[dict[str, Any]]:
    """Return calls of a month; without one, they have no time."""
    found = []
    for number in range(start, start + count):
        call = chat(number, f"Where is parcel {number}?", answer=f"In {number} days.")
        call["timestamp"] = f"{month}{call['timestamp'][7:]}"
        if not month:
            del call["timestamp"]
        found.append(call)
    return found


LOGS = {
    "no times": calls("", 0),
    "one month": calls("2026-10", 0),
    "months and no times": [*calls("2026-09", 0), *calls("2026-10", 40), *calls("", 80)],
    "unsorted": [*calls("2027-01", 0), *calls("2026-10", 40), *calls("2026-12", 80)][::-3],
}


def fill(folder: Path, log: list[dict[str, Any]], scratch: Path) -> None:
    """Read a log into a run directory, in row groups of ten."""
    path = write_lines(scratch / "log.jsonl", log)
    ingest([str(path)], RunDir(folder), IngestOptions(group_rows=10), SilentProgress())


def folder_of(month: str | None) -> str:
    return f"month={month or UNTIMED}"


def held(name: str) -> list[str]:
    """Return the names of the objects of a table, below the run."""
    manifest = json.loads(stored()["run/costaudit-run.json"])
    return objects(manifest["files"][name])


def scanned(s3: Proxy) -> pl.LazyFrame:
    """Scan the requests as docs/scale.md says."""
    return pl.scan_parquet(
        f"{URL}/requests/**/*.parquet",
        hive_partitioning=True,
        storage_options={
            "aws_endpoint_url": s3.url,
            "aws_allow_http": "true",
            "aws_access_key_id": "key",
            "aws_secret_access_key": "secret",
            "aws_region": "us-east-1",
        },
    )


@pytest.mark.parametrize("named", LOGS)
def test_others_read_the_rows_by_month_and_a_fetch_has_the_same_bytes(
    s3: Proxy, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(tmp_path / "local")
    fill(run.path, LOGS[named], tmp_path)
    with stored_run(URL, writes=True) as folder:
        shutil.copytree(run.path, folder, dirs_exist_ok=True)
    rows = run.requests()
    month = rows["ts"].dt.strftime("%Y-%m")
    there = held("requests.parquet")
    assert {name.split("/")[1] for name in there} == {folder_of(one) for one in month.unique()}
    assert {f"run/{name}" for name in there} == {one for one in stored() if "/requests/" in one}
    assert len(there) == month.n_unique()
    blocks = [pl.read_parquet(stored()[f"run/{name}"]) for name in held("blocks.parquet")]
    assert pl.concat(blocks).equals(run.blocks())

    found = scanned(s3)
    own = found.collect().sort("ts", "source_offset", nulls_last=True)
    assert own.select(REQUESTS.names()).equals(rows)
    assert own["month"].cast(pl.String).to_list() == month.to_list()
    for one in month.drop_nulls().unique():
        some = found.filter(pl.col("month") == one).sort("ts", "source_offset").collect()
        assert some.select(REQUESTS.names()).equals(rows.filter(month == one))

    system = s3fs.S3FileSystem()
    by = ds.partitioning(pa.schema([("month", pa.string())]), flavor="hive")
    table = ds.dataset("bucket/run/requests", filesystem=system, partitioning=by)
    assert table.schema.field("ts").type.tz == "UTC"
    for one in month.unique().to_list():
        chosen = ds.field("month").is_null() if one is None else ds.field("month") == one
        some = pl.DataFrame(table.to_table(filter=chosen)).sort("source_offset")
        expected = rows.filter(month.eq_missing(pl.Series([one]))).sort("source_offset")
        assert some.select(REQUESTS.names()).equals(expected)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    with stored_run(URL, writes=False) as copy:
        for path in (run.requests_path, run.blocks_path, run.skips_path):
            assert (copy / path.name).read_bytes() == path.read_bytes()


def test_a_large_month_is_several_objects(tmp_path: Path) -> None:
    run, scratch = RunDir(tmp_path / "run"), tmp_path / "cut"
    scratch.mkdir()
    fill(run.path, LOGS["months and no times"], tmp_path)
    month = run.requests()["ts"].dt.strftime("%Y-%m").to_list()
    cut = stored_files.cut_table(run.requests_path, scratch, most=1)
    assert len(cut) == 12  # forty rows a month, in row groups of ten
    read = [pl.read_parquet(path) for _, path in cut]
    assert pl.concat(read).equals(run.requests())
    assert [name.split("/")[1] for name, _ in cut] == [folder_of(one) for one in month[::10]]
    join_parts(cut[0][1], [path for _, path in cut], tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == run.requests_path.read_bytes()


def test_an_empty_table_is_one_object_that_readers_find(s3: Proxy, tmp_path: Path) -> None:
    fill(tmp_path / "local", LOGS["one month"], tmp_path)
    none = RunDir(tmp_path / "local").requests().clear()
    with stored_run(URL, writes=True) as folder:
        fill(folder, LOGS["one month"], tmp_path)
        write_again(none, folder / "requests.parquet", REQUESTS)
        write_again(pl.DataFrame(schema=BLOCKS), folder / "blocks.parquet", BLOCKS)
    (name,) = held("requests.parquet")
    assert name.startswith(f"requests/month={UNTIMED}/")
    assert scanned(s3).select(REQUESTS.names()).collect().equals(none)
    with stored_run(URL, writes=False) as copy:
        assert RunDir(copy).requests().equals(none) and RunDir(copy).blocks().is_empty()


def test_a_month_more_stores_and_reads_only_that_month(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier month that changes leaves the others as they are, too."""

    def grown(log: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
        s3.seen.clear()
        with stored_run(URL, writes=True) as folder:
            fill(folder, log, tmp_path)
        first = len(s3.seen)
        with monkeypatch.context() as other:
            other.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
            with stored_run(URL, writes=False) as copy:
                assert (copy / "requests.parquet").read_bytes() == files()["requests.parquet"]
        put = [unquote(path) for method, path in s3.seen[:first] if method == "PUT"]
        got = [unquote(path) for method, path in s3.seen[first:] if method == "GET"]
        now = [f"/bucket/run/{name}" for name in held("requests.parquet")]
        return [one for one in now if one in put], [one for one in now if got.count(one) > 1]

    log = [*calls("2026-09", 0), *calls("2026-11", 40)]
    put, got = grown(log)
    assert put == got and len(put) == 2
    log += calls("2026-12", 80)
    put, got = grown(log)
    assert put == got and ["month=2026-12" in one for one in put] == [True]
    log += calls("2026-09", 200, 5)  # logged late
    put, got = grown(log)
    assert put == got and ["month=2026-09" in one for one in put] == [True]
    assert len([name for name in stored() if "/requests/" in name]) == 3  # what is old is gone


def names_in(folder: Path) -> set[str]:
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


def test_who_only_reads_gets_what_is_read(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = {"vectors/minilm-1/part-1.parquet", "signatures/a.parquet"}
    audit = {"audit.json", "report.html", "centres.parquet"}
    with stored_run(URL, writes=True) as folder:
        fill(folder, LOGS["one month"], tmp_path)
        for name in (*bulk, *audit, "outcomes/replay-a.parquet"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
    everything = set(files())
    pieces = {name for name in everything if "/piece-" in name}
    assert pieces and "outcomes/replay-a.parquet" in everything
    read = everything - pieces - {"outcomes/replay-a.parquet"}
    tables = read - bulk - audit
    assert {"requests.parquet", "blocks.parquet", "skips.parquet", "manifest.json"} <= tables
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    for reads, expected in (
        (Reads.AUDIT, {*audit, "manifest.json"}),
        (Reads.CALLS, {*audit, *tables} - {"blocks.parquet"}),
        (Reads.TABLES, {*audit, *tables}),
        (Reads.ALL, read),
        (Reads.AUDIT, read),  # what was read for another verb is kept
    ):
        with stored_run(URL, writes=False, reads=reads) as copy:
            assert names_in(copy) == expected
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    changed = "vectors/minilm-1/part-1.parquet"
    with stored_run(URL, writes=True) as folder:
        (folder / changed).write_text("erased")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    with stored_run(URL, writes=False, reads=Reads.TABLES) as copy:
        assert names_in(copy) == read - {changed}
    with stored_run(URL, writes=True) as folder:  # another writer needs all
        assert names_in(folder) == everything and (folder / changed).read_text() == "erased"


def test_a_copy_of_what_is_not_needed_is_not_trusted_later(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept by its size and time alone; who reads it then compares the content."""
    with stored_run(URL, writes=True) as folder:
        (folder / "blocks.parquet").write_text("the texts")
    with stored_run(URL, writes=False) as copy:
        path = copy / "blocks.parquet"
        told = path.stat()
        path.write_text("THE TEXTS")
        os.utime(path, ns=(told.st_mtime_ns, told.st_mtime_ns))
    with stored_run(URL, writes=False, reads=Reads.AUDIT) as copy:
        assert (copy / "blocks.parquet").read_text() == "THE TEXTS"
    with stored_run(URL, writes=False) as copy:
        assert (copy / "blocks.parquet").read_text() == "the texts"


@pytest.mark.parametrize(
    ("verb", "objects_read"),
    [
        (("report", URL), {"audit"}),
        (("compare", URL, URL), {"audit"}),
        (("claims", URL), {"audit"}),
        (("gate", URL, "--baseline", URL, "--max-unsafe-served", "100%"), {"audit"}),
        (("doctor", URL), {"requests"}),
        (("spend", URL), {"requests", "blocks"}),
        (("clusters", URL), {"requests", "blocks", "vectors", "audit"}),
    ],
)
@pytest.mark.slow
def test_a_verb_prints_the_same_from_what_it_reads(
    s3: Proxy,
    chatbot_run: ChatbotRun,
    verb: tuple[str, ...],
    objects_read: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stored_run(URL, writes=True) as folder:
        shutil.copytree(chatbot_run.path, folder, dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    kinds = {"audit.json": "audit", "/requests/": "requests", "/blocks/": "blocks",
             "-part-": "vectors"}  # fmt: skip
    s3.seen.clear()
    form = () if verb[0] == "gate" else ("--format", "json")
    there = installed(*verb, *form, cwd=tmp_path)
    got = [path for method, path in s3.seen if method == "GET"]
    assert {kind for part, kind in kinds.items() for path in got if part in path} == objects_read
    here = [str(chatbot_run.path) if one == URL else one for one in verb]
    expected = installed(*here, *form, cwd=tmp_path)
    assert (there.code, there.out) == (expected.code, expected.out), there.err


def test_a_table_of_an_earlier_version_is_stored_whole(s3: Proxy, tmp_path: Path) -> None:
    """Its row groups hold several months, which a folder of one month would deny."""
    with stored_run(URL, writes=True) as folder:
        fill(folder, LOGS["unsorted"], tmp_path)
        run = RunDir(folder)
        table = run.requests()
        write_table(table, run.requests_path, REQUESTS)
        content = run.requests_path.read_bytes()
    (name,) = held("requests.parquet")
    assert name.startswith("data/") and files()["requests.parquet"] == content
    assert not [one for one in stored() if "/requests/" in one]
    with stored_run(URL, writes=False) as copy:
        assert RunDir(copy).requests().equals(table)


def test_a_run_stored_by_an_earlier_version_is_read_and_then_cut(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "local", LOGS["months and no times"], tmp_path)
    client, named = boto3.client("s3"), {}
    for path in (tmp_path / "local").rglob("*"):
        if path.is_file() and path.name != ".costaudit":
            digest = stored_files.digest_of(path)
            one = {"object": f"data/{digest}-{path.name}", "size": path.stat().st_size,
                   "digest": digest, "mtime_ns": path.stat().st_mtime_ns}  # fmt: skip
            named[path.relative_to(tmp_path / "local").as_posix()] = one
            client.upload_file(str(path), "bucket", f"run/{one['object']}")
    manifest = {"version": 1, "generation": 3, "writer": "", "files": named, "retired": ["data/x"]}
    told = {"Bucket": "bucket", "Key": "run/costaudit-run.json"}
    client.put_object(**told, Body=msgspec.json.encode(manifest))
    before = (tmp_path / "local" / "requests.parquet").read_bytes()
    with stored_run(URL, writes=False) as copy:
        assert (copy / "requests.parquet").read_bytes() == before
    with stored_run(URL, writes=True):
        pass
    assert json.loads(stored()["run/costaudit-run.json"])["generation"] == 4
    assert len(held("requests.parquet")) == 3 and files()["requests.parquet"] == before
    assert not [name for name in stored() if name.endswith("-requests.parquet")]


def test_what_a_killed_commit_left_is_removed_and_nothing_else(s3: Proxy, tmp_path: Path) -> None:
    """Who reads all objects of a folder would count its rows twice; it may hold what is erased."""
    left = [f"requests/month=2026-10/{'a' * 32}.parquet", f"blocks/{'b' * 32}.parquet",
            f"data/{'c' * 32}-skips.parquet"]  # fmt: skip
    others = ["requests/month=2026-10/mine.parquet", "blocks/notes.txt", "data/own.csv", "a.txt"]
    for name in (*left, *others):
        boto3.client("s3").put_object(Bucket="bucket", Key=f"run/{name}", Body=b"x")
    with stored_run(URL, writes=True) as folder:
        fill(folder, LOGS["one month"], tmp_path)
    there = set(stored())
    assert there >= {f"run/{name}" for name in others}
    assert not there & {f"run/{name}" for name in left}
