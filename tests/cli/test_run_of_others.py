"""A run directory that somebody else made is data: it moves no other file and fills no memory."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import msgspec
import polars as pl
import pyarrow.parquet
import pytest

from costaudit.contracts.run_dir import RunDir
from tests.cli.conftest import write_log
from tests.conftest import Said

Run = Callable[..., Said]


@pytest.fixture
def run(costaudit: Run, tmp_path: Path) -> RunDir:
    """A run directory with the tables of a small log."""
    write_log(tmp_path / "log.jsonl")
    assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
    return RunDir(tmp_path / "run")


def refused(said: Said, words: str) -> None:
    """Check that a command ended with one sentence, a hint and exit code 2."""
    assert said.code == 2, said.err
    error = [line for line in said.err.splitlines() if not line.startswith("  ")]
    assert len(error) == 1 and words in " ".join(said.err.split()), said.err


@pytest.mark.parametrize("verb", ["spend", "analyze", "report"])
def test_a_link_in_a_run_is_refused(costaudit: Run, run: RunDir, tmp_path: Path, verb: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept.txt").write_text("kept")
    (run.path / "vectors").symlink_to(victim)
    refused(costaudit(verb, "run"), "run/vectors is a link")
    assert (victim / "kept.txt").read_text() == "kept"


def test_the_marker_of_a_run_truncates_no_other_file(
    costaudit: Run, run: RunDir, tmp_path: Path
) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("kept")
    run.marker_path.unlink()
    run.marker_path.symlink_to(victim)
    refused(costaudit("ingest", "log.jsonl", "--out", "run"), "is a link")
    refused(costaudit("erase", "run", "--where", "user=anna"), "is a link")
    assert victim.read_text() == "kept"


def test_a_log_is_not_read_again_through_a_linked_folder(
    costaudit: Run, run: RunDir, tmp_path: Path
) -> None:
    staging = run.path / "staging"
    staging.rename(tmp_path / "elsewhere")
    staging.symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    refused(costaudit("ingest", "log.jsonl", "--out", "run"), "staging is a link")
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before


def test_a_pipe_in_a_run_does_not_hang(costaudit: Run, run: RunDir) -> None:
    os.mkfifo(run.path / "outcomes")
    refused(costaudit("spend", "run"), "outcomes is neither a file nor a folder")


def test_a_run_may_itself_be_named_by_a_link(costaudit: Run, run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run.path)
    assert costaudit("spend", "link").out == costaudit("spend", "run").out


def test_a_small_file_with_a_huge_table_is_refused_before_it_fills_memory(
    costaudit: Run, run: RunDir
) -> None:
    rows = 150_000_000
    pl.select(source_offset=pl.repeat(1, rows, dtype=pl.Int8)).write_parquet(run.skips_path)
    assert run.skips_path.stat().st_size < 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(costaudit("prefix", "run"), "skips.parquet declares 150,000,000 rows in a file of")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def varint(number: int) -> bytes:
    """Encode a number as Thrift does, in five bytes even if fewer would do."""
    return bytes(number * 2 >> 7 * place & 127 | (place < 4) << 7 for place in range(5))


def test_a_false_number_of_rows_hides_no_huge_table(costaudit: Run, run: RunDir) -> None:
    rows = 150_000_000
    pl.select(source_offset=pl.repeat(1, rows, dtype=pl.Int8)).write_parquet(
        run.skips_path, row_group_size=rows
    )
    content = run.skips_path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    assert content[footer:].count(varint(rows)) > 1
    false = content[footer:].replace(varint(rows), varint(1))
    run.skips_path.write_bytes(content[:footer] + false)
    refused(costaudit("prefix", "run"), "skips.parquet declares 1 rows in a file of")


def test_a_page_with_less_than_no_values_hides_no_huge_table(costaudit: Run, run: RunDir) -> None:
    rows = 150_000_000
    pl.select(source_offset=pl.repeat(1, rows, dtype=pl.Int8)).write_parquet(
        run.skips_path, row_group_size=rows, data_page_size=1 << 40
    )
    content = run.skips_path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    number = varint(rows)
    less = bytes([number[0] - 1 | 128, *number[1:]])  # odd numbers are below 0
    header = content[:footer].replace(number, less, 1)
    assert header != content[:footer]
    run.skips_path.write_bytes(header + content[footer:].replace(number, varint(1)))
    refused(costaudit("prefix", "run"), "skips.parquet is no Parquet table that can be read")


def test_texts_that_unpack_to_far_more_than_they_hold_are_refused(
    costaudit: Run, run: RunDir
) -> None:
    part = pl.DataFrame({"detail": ["\0" * (64 << 20)]}).to_arrow()
    with pyarrow.parquet.ParquetWriter(run.skips_path, part.schema, compression="zstd") as file:
        for _ in range(20):
            file.write_table(part)
    assert run.skips_path.stat().st_size < 1_000_000
    refused(costaudit("prefix", "run"), "reading them would take 1 GB of memory")


def test_many_values_in_one_row_are_refused(costaudit: Run, run: RunDir) -> None:
    values = pl.select(segments=pl.repeat(0, 150_000_000, dtype=pl.Int8).implode())
    values.write_parquet(run.requests_path)
    assert run.requests_path.stat().st_size < 1_000_000
    refused(costaudit("spend", "run"), "requests.parquet declares 1 rows in a file of")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 3, b"PAR1" + b"\xff" * 40 + b"PAR1"])
def test_what_is_no_table_is_refused(costaudit: Run, run: RunDir, content: bytes) -> None:
    run.blocks_path.write_bytes(content)
    refused(costaudit("prefix", "run"), "blocks.parquet is no Parquet table that can be read")


@pytest.mark.parametrize(("verb", "name"), [("spend", "manifest.json"), ("report", "audit.json")])
def test_a_huge_json_file_is_refused_before_it_is_read(
    costaudit: Run, run: RunDir, verb: str, name: str
) -> None:
    with (run.path / name).open("ab") as file:
        file.truncate(300 << 20)  # a hole: it takes no space
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(costaudit(verb, "run"), f"{name} has 315 MB")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.parametrize(("verb", "name"), [("spend", "manifest.json"), ("report", "audit.json")])
@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"", b"null", b"[]", b'{"a": 1}']
)
def test_other_json_is_refused(
    costaudit: Run, run: RunDir, verb: str, name: str, content: bytes
) -> None:
    (run.path / name).write_bytes(content)
    said = costaudit(verb, "run")
    refused(said, "another version" if "another version" in said.err else name)


@pytest.mark.parametrize("table", ["requests", "blocks", "skips"])
def test_tables_with_other_types_are_refused(costaudit: Run, run: RunDir, table: str) -> None:
    path = run.path / f"{table}.parquet"
    frame = pl.read_parquet(path)
    name = frame.columns[0]
    frame.with_columns(pl.lit(1, pl.Int8).alias(name)).write_parquet(path)
    refused(costaudit("prefix", "run"), f"{path.name} holds {name!r} as Int8, not as String")


def test_a_manifest_that_names_other_folders_reads_none(costaudit: Run, run: RunDir) -> None:
    manifest = msgspec.json.decode(run.manifest_path.read_bytes())
    manifest["inputs"][0]["name"] = "../../victim.jsonl"
    run.manifest_path.write_bytes(msgspec.json.encode(manifest))
    written = set(run.path.parent.rglob("*"))
    assert costaudit("spend", "run").code == 0  # the name is only shown
    assert {path for path in set(run.path.parent.rglob("*")) - written if path.is_dir()} == set()


@pytest.mark.parametrize("part", ["first_ts", "day"])
def test_an_audit_with_a_day_that_is_no_date_is_refused(
    costaudit: Run, run: RunDir, part: str
) -> None:
    assert costaudit("analyze", "run", "--quiet").code == 0
    audit = msgspec.json.decode(run.audit_path.read_bytes())
    if part == "day":
        audit["spend"]["by"]["day"][0]["group"] = "NaN"
    else:
        audit["quality"]["first_ts"] = "NaN"
    run.audit_path.write_bytes(msgspec.json.encode(audit))
    refused(costaudit("report", "run", "--format", "html"), "is not an audit: Invalid isoformat")


@pytest.mark.parametrize(
    "content", ["{", "[" * 100_000, '{"start": 0, "end": null, "pieces": 3}', ""]
)
def test_a_log_is_read_again_where_its_commit_is_damaged(
    costaudit: Run, run: RunDir, content: str
) -> None:
    before = run.requests()
    (commit,) = run.path.glob("staging/*/span-*.json")
    commit.write_text(content)
    assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
    assert run.requests().equals(before)


def test_a_commit_names_no_piece_outside_its_folder(
    costaudit: Run, run: RunDir, tmp_path: Path
) -> None:
    before = run.requests()
    (commit,) = run.path.glob("staging/*/span-*.json")
    for piece in commit.parent.glob("piece-*"):
        piece.rename(tmp_path / piece.name)
    told = msgspec.json.decode(commit.read_bytes())
    told["pieces"] = [f"../../../{name}" for name in told["pieces"]]
    commit.write_bytes(msgspec.json.encode(told))
    assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
    assert run.requests().equals(before)
    assert list(commit.parent.glob("piece-*"))


def test_a_damaged_piece_is_named(costaudit: Run, run: RunDir) -> None:
    for piece in run.path.glob("staging/*/piece-*"):
        piece.write_bytes(piece.read_bytes()[:20])
    (run.path / "requests.parquet").unlink()
    refused(
        costaudit("ingest", "log.jsonl", "--out", "run", "-q"), "run/staging holds of the log can't"
    )
