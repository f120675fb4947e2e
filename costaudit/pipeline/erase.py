"""Take a person's records out of a run: rows, texts, vectors, and all that was made of them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from costaudit.contracts.manifest import Manifest
from costaudit.contracts.requests import BLOCKS, REQUESTS, SKIPS
from costaudit.contracts.run_dir import RunDir, atomic_write, write_table
from costaudit.errors import UsageError
from costaudit.ingest.content.redaction import Redactor, redaction_of
from costaudit.ingest.options import parse_condition
from costaudit.pipeline.loaded import parted


@dataclass(frozen=True)
class Erased:
    """What was taken out of a run."""

    requests: int
    blocks: int  # texts that no other request uses
    vectors: int
    files: tuple[str, ...]  # what was made of the whole run, and is gone


def erase(run: RunDir, where: Sequence[str]) -> Erased:
    """Erase the requests that meet all conditions, such as `user=alice`.

    Values are also compared as the run's redaction writes them. The tables are written whole or
    not at all, results first: an erasure that was interrupted ends by the same call. Raises
    UsageError without a condition, or for a field that the run does not hold.
    """
    if not where:
        raise UsageError("Nothing is named to erase.", hint="Name it, such as --where user=alice.")
    manifest, requests, blocks, skips = run.manifest(), run.requests(), run.blocks(), run.skips()
    redactor = Redactor(redaction_of(manifest.ingest.options.redact, run.path))
    known = [_as_stored(text, redactor, requests) for text in where]
    gone, _ = parted(requests, known)
    kept = requests.join(gone.select("request_id"), on="request_id", how="anti")
    with run.claimed():
        files = _drop_results(run)
        used = pl.concat([
            kept.select(pl.col("segments").list.explode().struct.field("block_id")).to_series(),
            kept["answer_id"],
        ]).drop_nulls().unique()  # fmt: skip
        left = blocks.filter(pl.col("block_id").is_in(used.implode()))
        write_table(_with_fates(skips, gone), run.skips_path, SKIPS)
        write_table(left, run.blocks_path, BLOCKS)
        write_table(kept, run.requests_path, REQUESTS)
        vectors = _drop_vectors(run, left["block_id"])
        _tell(run, manifest, gone)
    return Erased(len(gone), len(blocks) - len(left), vectors, files)


def _as_stored(text: str, redactor: Redactor, requests: pl.DataFrame) -> str:
    """Return a condition with its value as the run stores it."""
    one = parse_condition(text)
    stored = redactor.names(pl.Series([one.value]))[0]
    if one.field not in requests.columns or stored == one.value:
        return text
    values = requests[one.field].cast(pl.String, strict=False)
    return text if (values == one.value).any() else text.replace(one.value, stored)


def _drop_results(run: RunDir) -> tuple[str, ...]:
    """Remove all but the tables, the manifest and the vectors, which are rewritten."""
    kept = {
        path.name
        for path in (
            run.requests_path, run.blocks_path, run.skips_path, run.manifest_path,
            run.vectors_path, run.marker_path,
        )
    }  # fmt: skip
    found = sorted(path for path in run.path.iterdir() if path.name not in kept)
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return tuple(path.name for path in found)


def _drop_vectors(run: RunDir, block_ids: pl.Series) -> int:
    """Rewrite stored vectors without those of texts that are no longer in the run."""
    dropped = 0
    for path in sorted(run.vectors_path.glob("*/part-*.parquet")):
        part = pl.read_parquet(path)
        left = part.filter(pl.col("text_id").is_in(block_ids.implode()))
        if len(left) < len(part):
            dropped += len(part) - len(left)
            with atomic_write(path) as written:
                left.write_parquet(written, compression="uncompressed", statistics=False)
    return dropped


def _with_fates(skips: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """Return SKIPS with a row for each erased request, so that every record has a fate."""
    new = gone.select(
        "source_file",
        "source_offset",
        fate=pl.lit("skipped"),
        reason=pl.lit("erased"),
        detail=pl.lit("It was erased from the run on request."),
        merged_into=pl.lit(None, pl.String),
    )
    merged = pl.col("merged_into")
    left = skips.with_columns(
        pl.when(merged.is_in(gone["request_id"].implode())).then(None).otherwise(merged)
        .alias("merged_into")
    )  # fmt: skip
    return pl.concat([left, new.select(SKIPS.names()).cast(SKIPS)])


def _tell(run: RunDir, manifest: Manifest, gone: pl.DataFrame) -> None:
    """Keep the manifest's counts right, and say that a part of the log was erased."""
    by_file = dict(gone.group_by("source_file").len().iter_rows())
    inputs = []
    for one in manifest.inputs:
        n = by_file.get(one.name, 0)
        inputs.append(replace(one, kept=one.kept - n, skipped=one.skipped + n))
    before = manifest.ingest
    reasons = dict(before.skip_reasons)
    reasons["erased"] = reasons.get("erased", 0) + len(gone)
    ingest = replace(
        before,
        kept=before.kept - len(gone),
        skipped=before.skipped + len(gone),
        skip_reasons=dict(sorted(reasons.items())),
        made=None,
        erased=True,
    )
    run.write_manifest(replace(manifest, inputs=tuple(inputs), ingest=ingest))
