"""A run directory in memory, priced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from costaudit.contracts.audit import DataQuality
from costaudit.contracts.requests import in_order
from costaudit.contracts.run_dir import RunDir, check_writable
from costaudit.contracts.spend import Spend
from costaudit.costing.cost import cost
from costaudit.costing.prices import price_requests
from costaudit.costing.quality import data_quality
from costaudit.costing.spend import spend
from costaudit.costing.tariff import Tariff, tariff
from costaudit.embed.store import VectorStore
from costaudit.embed.table import embedder_named
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.run import ingest
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.templates import system_templates

HOSTED = ("openai", "bedrock")  # embedders that are asked over a network


@dataclass(frozen=True)
class Loaded:
    """The tables of one run, with their prices."""

    run: RunDir
    manifest: dict[str, Any]
    requests: pl.DataFrame  # REQUESTS, in order
    blocks: pl.DataFrame  # BLOCKS
    tariff: Tariff
    quality: DataQuality
    spend: Spend

    @property
    def hashed(self) -> bool:
        """Tell whether the log was read with --redact hash: texts are known by their ids only."""
        return _hashed(self.manifest)

    @cached_property
    def compared(self) -> pl.DataFrame:
        """BLOCKS as a cache compares them: where texts were not kept, ids stand for them."""
        if not self.hashed:
            return self.blocks
        return self.blocks.with_columns(text=pl.when(pl.col("chars") > 0).then("block_id"))

    @cached_property
    def templates(self) -> pl.Series:
        """The system template of each request, which both kinds of cache go by."""
        return system_templates(self.requests, self.blocks)

    def usd_of(self, rows: np.ndarray) -> Decimal:
        """Add up what a mask of requests was billed, over the log's period."""
        return cost(self.tariff.classes, self.tariff.billed, pl.Series(rows)).total_usd


def ingested(
    inputs: Sequence[str], run: RunDir, options: AnalyzeOptions, progress: Progress
) -> Loaded:
    """Bring logs into a run directory and read it; a run that is its own input is only read."""
    options.check()
    if options.ingest.redact != "hash":
        check_embedder(options.policy.embedder, run)
    if len(inputs) == 1 and Path(inputs[0]) == run.path and RunDir.is_run(run.path):
        _refuse_other_part(run, options.ingest)
    else:
        check_writable(run.manifest_path)
        ingest(inputs, run, options.ingest, progress)
    return load(run, options)


def check_embedder(name: str, run: RunDir) -> None:
    """Raise for an embedder that can't be used, before a log is read for it.

    A hosted one is asked for one word, unless the run holds vectors of it: those need no key.
    """
    embedder = embedder_named(name)
    stored = VectorStore(run.vectors_path, embedder.name, embedder.revision, 0)
    if embedder.name.partition(":")[0] in HOSTED and not any(stored.folder.glob("*")):
        embedder.encode(["ready"])


def _refuse_other_part(run: RunDir, wanted: IngestOptions) -> None:
    """Raise UsageError where a part of a log is asked for that a finished run does not hold."""
    told = run.manifest().get("ingest", {}).get("options", {})
    asked = msgspec.to_builtins((wanted.since, wanted.until, list(wanted.where)))
    read = (told.get("since"), told.get("until"), told.get("where"))
    if any(one and one != other for one, other in zip(asked, read, strict=True)):
        raise UsageError(
            f"{run.path} is a finished run, which was read without these --since, --until and "
            "--where.",
            hint="They apply while a log is read: name the log itself, and --out for the new run.",
        )


def load(run: RunDir, options: AnalyzeOptions) -> Loaded:
    """Read a run directory and price it."""
    manifest, requests, blocks = run.manifest(), in_order(run.requests()), run.blocks()
    if requests.is_empty():
        raise InsufficientDataError(
            f"None of {len(run.skips()):,} records is left.",
            hint=f"Loosen --since, --until and --where, and see the reasons in {run.skips_path}.",
        )
    pricing = price_requests(requests, options.prices)
    return Loaded(
        run=run,
        manifest=manifest,
        requests=requests,
        blocks=blocks,
        tariff=tariff(requests, pricing, options.cost_mode, overrides=options.prices),
        quality=data_quality(
            requests,
            run.skips(),
            manifest["inputs"],
            blocks,
            manifest["tokenizer"],
            hashed=_hashed(manifest),
        ),
        spend=spend(requests, pricing, options.cost_mode, options.invoice_usd),
    )


def _hashed(manifest: Mapping[str, Any]) -> bool:
    told = manifest.get("ingest", {}).get("options", {})
    return bool(told.get("redact") == "hash")
