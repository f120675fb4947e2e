"""Erase a person's records from a run: rows, texts, vectors, and all results based on them."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import polars as pl
from xxhash import xxh3_128_hexdigest

from costaudit.contracts.manifest import Manifest
from costaudit.contracts.requests import BLOCKS, MERGED, REQUESTS, SKIPS
from costaudit.contracts.run_dir import RunDir, atomic_write, write_table
from costaudit.errors import RunDirError, UsageError
from costaudit.ingest.assembly.assemble import write_again
from costaudit.ingest.content.redaction import Redactor, redaction_of
from costaudit.ingest.options import parse_condition
from costaudit.pipeline.loaded import as_skips, parted
from costaudit.untrusted import decoded


@dataclass(frozen=True)
class Erased:
    """What was erased from a run."""

    requests: int
    blocks: int  # texts that no other request uses
    vectors: int
    files: tuple[str, ...]  # results of the whole run, deleted


@dataclass(frozen=True)
class _Begun:
    """What an erasure found before it changed anything."""

    where: str  # digest of its conditions
    found: Erased


def erase(run: RunDir, where: Sequence[str]) -> Erased:
    """Erase the requests that meet all conditions, such as `user=alice`.

    Values are also compared in their redacted form. Each table is written completely or not at all,
    requests last; the same call finishes an interrupted erasure, and returns what both erased.
    Raises UsageError without a condition, or for a field that the run does not have.
    """
    if not where:
        raise UsageError("Nothing is named to erase.", hint="Name it, such as --where user=alice.")
    manifest, requests, blocks, skips = run.manifest(), run.requests(), run.blocks(), run.skips()
    redactor = Redactor(redaction_of(manifest.ingest.options.redact, run.path))
    known = [_as_stored(text, redactor, requests) for text in where]
    gone, kept = parted(requests, known)
    told = run.merged().filter(pl.col("merged_into").is_in(kept["request_id"].implode()))
    skips = _with_fates(skips, gone)
    used = pl.concat([
        kept.select(pl.col("segments").list.explode().struct.field("block_id")).to_series(),
        kept["answer_id"],
    ]).drop_nulls().unique()  # fmt: skip
    left = blocks.filter(pl.col("block_id").is_in(used.implode()))
    with run.claimed():
        vectors, results = _useless_vectors(run, left["block_id"]), _results(run)
        names = tuple(path.name for path in results if not path.name.startswith("."))
        done = _begun(run, where, Erased(len(gone), len(blocks) - len(left), vectors, names))
        run.write_manifest(replace(manifest, ingest=replace(manifest.ingest, erased=True)))
        _drop(results)
        if run.merged_path.exists():
            write_table(told, run.merged_path, MERGED)
        write_table(skips, run.skips_path, SKIPS)
        write_again(left, run.blocks_path, BLOCKS)
        write_again(kept, run.requests_path, REQUESTS)
        _drop_vectors(run, left["block_id"])
        _tell(run, manifest, kept, skips)
        run.erasing_path.unlink()
    return done


def _begun(run: RunDir, where: Sequence[str], found: Erased) -> Erased:
    """Return what the same call found if it was interrupted; else note down `found`, for its sake.

    What it has erased can't be found again.
    """
    digest = xxh3_128_hexdigest("\n".join(where).encode())
    with suppress(FileNotFoundError, RunDirError, msgspec.ValidationError):
        begun = msgspec.convert(decoded(run.erasing_path), _Begun)
        if begun.where == digest:
            files = tuple(sorted({*begun.found.files, *found.files}))
            return replace(begun.found, files=files)
    with atomic_write(run.erasing_path) as part:
        part.write_bytes(msgspec.json.encode(_Begun(digest, found)))
    return found


def _as_stored(text: str, redactor: Redactor, requests: pl.DataFrame) -> str:
    """Return a condition with its value as the run stores it."""
    one = parse_condition(text)
    stored = redactor.names(pl.Series([one.value]))[0]
    if one.field not in requests.columns or stored == one.value:
        return text
    values = requests[one.field].cast(pl.String, strict=False)
    return text if (values == one.value).any() else text.replace(one.value, stored)


def _results(run: RunDir) -> list[Path]:
    """Return all results, except the tables, the manifest and the vectors, which are rewritten."""
    kept = {
        path.name
        for path in (
            run.requests_path, run.blocks_path, run.skips_path, run.merged_path,
            run.manifest_path, run.vectors_path, run.marker_path, run.erasing_path,
        )
    }  # fmt: skip
    return sorted(path for path in run.path.iterdir() if path.name not in kept)


def _drop(results: Sequence[Path]) -> None:
    for path in results:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # what a killed process left half written is tidied away


def _useless_vectors(run: RunDir, block_ids: pl.Series) -> int:
    """Count the stored vectors of texts that will no longer be in the run."""
    parts = [pl.read_parquet(path, columns=["text_id"])["text_id"] for path in _parts(run)]
    return sum(part.filter(~part.is_in(block_ids.implode())).len() for part in parts)


def _parts(run: RunDir) -> list[Path]:
    return sorted(run.vectors_path.glob("*/part-*.parquet"))


def _drop_vectors(run: RunDir, block_ids: pl.Series) -> None:
    """Rewrite stored vectors without those of texts that are no longer in the run."""
    for path in _parts(run):
        part = pl.read_parquet(path)
        left = part.filter(pl.col("text_id").is_in(block_ids.implode()))
        if len(left) < len(part):
            with atomic_write(path) as written:
                left.write_parquet(written, compression="uncompressed", statistics=False)


def _with_fates(skips: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Return SKIPS with a row for each erased request, so that every record has a fate."""
    new = as_skips(gone, "erased", "It was erased from the run on request.")
    merged = pl.col("merged_into")
    left = skips.with_columns(
        pl.when(merged.is_in(gone["request_id"].implode())).then(None).otherwise(merged)
        .alias("merged_into")
    )  # fmt: skip
    return pl.concat([left, new]).unique(maintain_order=True)  # some may exist already


def _tell(run: RunDir, manifest: Manifest, kept: pl.DataFrame, skips: pl.DataFrame) -> None:
    """Write the manifest with new counts of the tables' rows."""
    by_file = dict(kept.group_by("source_file").len().iter_rows())
    inputs = tuple(
        replace(one, kept=n, skipped=one.rows - one.merged - n)
        for one in manifest.inputs
        for n in (by_file.get(one.name, 0),)
    )
    before = manifest.ingest
    erased = skips.filter(pl.col("reason") == "erased").height
    ingest = replace(
        before,
        kept=len(kept),
        skipped=before.records - before.merged - len(kept),
        skip_reasons=dict(sorted({**before.skip_reasons, "erased": erased}.items())),
        made=None,
        erased=True,
    )
    run.write_manifest(replace(manifest, inputs=inputs, ingest=ingest))
