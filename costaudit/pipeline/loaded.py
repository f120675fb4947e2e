"""Load a run directory and price it; add up its spend by groups; count what can't be cached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from costaudit.contracts.audit import TOTALS_HINT, DataQuality, only_totals
from costaudit.contracts.manifest import Manifest
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.requests import SKIPS, in_order
from costaudit.contracts.run_dir import RunDir, check_writable, lean
from costaudit.contracts.spend import Spend
from costaudit.costing.cost import cost
from costaudit.costing.groups.codes import keyed
from costaudit.costing.months.month import Month, month_of, with_trend
from costaudit.costing.months.times import Times
from costaudit.costing.prices.conventions import TABLE, settled_by_cost
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.prices.overlay import read_overlay
from costaudit.costing.quality import data_quality
from costaudit.costing.spend import GROUPS, LogFacts, Whole, spend_of, spend_of_log
from costaudit.costing.spending.parts import PriceTerms
from costaudit.costing.spending.tally import Priced
from costaudit.costing.tariff import Tariff, tariff
from costaudit.costing.traffic import Traffic
from costaudit.embed.embedders import HOSTED, embedder_named
from costaudit.embed.store import VectorStore
from costaudit.errors import CostauditError, InputError, InsufficientDataError, UsageError
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions, parse_condition
from costaudit.pipeline.memory import ANALYZE, Need, say_need
from costaudit.pipeline.narrow import (
    HAS_ANSWER,
    HAS_PROMPT,
    read_tables,
)
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.report.summary import bypass_line
from costaudit.simulate.prefix.tree.prompts import group_requests, read_prompts
from costaudit.simulate.segments import Segments, flat_segments
from costaudit.simulate.semantic.keys import REASONS, bypass_codes, keys_of
from costaudit.simulate.templates import system_templates


@dataclass(frozen=True)
class Loaded:
    """The tables of one run, with their prices."""

    run: RunDir
    manifest: Manifest
    requests: pl.DataFrame  # REQUESTS, in order
    keyed: pl.DataFrame  # the same, with the columns to group by as enumerations
    blocks: pl.DataFrame  # BLOCKS; both with numbers as keys, see `narrow.py`
    tariff: Tariff
    quality: DataQuality
    spend: Spend
    month: Month
    laid_out: Segments | None = None  # the prompts, if `requests` no longer has them

    @cached_property
    def segments(self) -> Segments:
        """The prompts of all requests, laid out flat."""
        return self.laid_out or flat_segments(self.requests, self.blocks)

    def without_prompts(self, *others: str) -> "Loaded":
        """Return the log with its prompts only laid out flat, in a tenth of the memory.

        `others` are further columns of REQUESTS that are not needed.
        """
        needless = ("segments", *others)
        requests, keyed = self.requests.drop(needless), self.keyed.drop(needless)
        left = replace(
            self,
            requests=requests,
            keyed=keyed,
            tariff=replace(self.tariff, requests=requests),
            laid_out=self.segments,
        )
        known = {"templates", "sent_usd"} & vars(self).keys()
        vars(left).update({name: vars(self)[name] for name in known})
        return left

    @cached_property
    def keys(self) -> pl.Series:
        """The keys of BLOCKS, in its order."""
        return self.run.blocks(without=("kind", "text", "chars", "tokens"))["block_id"]

    @property
    def hashed(self) -> bool:
        """Return whether the log was read with --redact hash: it has ids instead of texts."""
        return self.manifest.ingest.options.redact == "hash"

    @cached_property
    def compared(self) -> pl.DataFrame:
        """BLOCKS as a cache compares them: ids replace texts that were not kept."""
        if not self.hashed:
            return self.blocks
        key = pl.col("block_id").cast(pl.String)
        return self.blocks.with_columns(text=pl.when(pl.col("chars") > 0).then(key))

    @cached_property
    def templates(self) -> pl.Series:
        """The system template of each request, which both kinds of cache use."""
        return system_templates(self.requests, self.blocks, self.laid_out)

    @cached_property
    def sent_usd(self) -> np.ndarray:
        """The bill of each request by its tokens and units, in float64."""
        return Traffic.logged(self.tariff).request_usd()

    @property
    def priced(self) -> Priced:
        """The calls as they are billed."""
        return Priced(self.keyed, self.tariff.table, self.tariff.basis)

    def month_usd(self, rows: np.ndarray) -> Decimal:
        """Return the monthly bill of the requests in a mask."""
        return self.month.usd(self.sent_usd * rows)

    def usd_of(self, rows: np.ndarray) -> Decimal:
        """Return the bill of the requests in a mask, over the log's period."""
        return cost(self.tariff.classes, self.tariff.billed, pl.Series(rows)).total_usd


def ingested(
    inputs: Sequence[str],
    run: RunDir,
    options: AnalyzeOptions,
    progress: Progress,
    need: Need = ANALYZE,
) -> Loaded:
    """Ingest logs into a run directory and load it; a run that is its own input is only loaded."""
    made(inputs, run, options, progress)
    say_need(need, run, progress)
    return load(run, options)


def made(inputs: Sequence[str], run: RunDir, options: AnalyzeOptions, progress: Progress) -> None:
    """Ingest logs into a run directory, unless it is its own input; check the options first."""
    options.check()
    if options.ingest.redact != "hash":
        check_embedder(options.policy.embedder, run)
    if len(inputs) == 1 and Path(inputs[0]) == run.path and RunDir.is_run(run.path):
        _refuse_other_part(run, options.ingest)
    else:
        check_writable(run.manifest_path)
        ingest(inputs, run, options.ingest, progress)


def check_embedder(name: str, run: RunDir) -> None:
    """Raise an error for an embedder that can't be used, before a log is read.

    A hosted embedder embeds one word as a test, unless the run already has vectors of it.
    """
    embedder = embedder_named(name)
    stored = VectorStore(run.vectors_path, embedder.spec.name, embedder.spec.revision, 0)
    if embedder.spec.name.partition(":")[0] in HOSTED and not any(stored.folder.glob("*")):
        embedder.encode(["ready"])


def _refuse_other_part(run: RunDir, wanted: IngestOptions) -> None:
    """Raise UsageError if the options ask for another part of the log than a finished run holds."""
    told = run.manifest().ingest.options
    asked = msgspec.to_builtins((wanted.since, wanted.until, list(wanted.where)))
    read = (told.since, told.until, list(told.where))
    if any(one and one != other for one, other in zip(asked, read, strict=True)):
        raise UsageError(
            f"{run.path} is a finished run, made without these --since, --until and --where.",
            hint="They apply when a log is read: name the log itself, and --out for the new run.",
        )


def nothing_left(manifest: Manifest, skips: pl.DataFrame) -> CostauditError:
    """Return an error that says why no record is a call, and what to do about the main reason."""
    totals = only_totals(each.source for each in manifest.inputs)
    if totals:
        return InputError(totals, hint=TOTALS_HINT)
    reasons = skips.group_by("reason").len().sort("len", "reason", descending=[True, False])
    said = ", ".join(f"{reason} {count:,}" for reason, count in reasons.iter_rows())
    hints = {
        "unknown-format": "They hold no readable token counts: `costaudit doctor LOG --draft-map "
        "FIELDS.toml` lists their fields and drafts a map for --map.",
        "filtered": "Loosen --since, --until and --where.",
    }
    return InsufficientDataError(
        f"None of {len(skips):,} records is left: {said}.",
        hint=hints.get(
            str(reasons["reason"][0]) if len(reasons) else "",
            "`costaudit doctor LOG` shows what they contain.",
        ),
    )


def load(run: RunDir, options: AnalyzeOptions, where: Sequence[str] = ()) -> Loaded:
    """Read and price a run directory, or the part of it that meets conditions on REQUESTS."""
    manifest, skips = run.manifest(), run.skips()
    requests, blocks = read_tables(run)
    requests = in_order(requests)
    if where:
        requests, others = parted(requests, where)
        left_out = as_skips(others, "filtered", "It does not meet the conditions.")
        skips = pl.concat([skips, left_out])
    if requests.is_empty():
        raise nothing_left(manifest, skips)
    texts = requests.select("status", prompt=HAS_PROMPT, answer=HAS_ANSWER)
    requests = settled_by_cost(requests.drop(HAS_PROMPT, HAS_ANSWER), options.prices)
    by_code = keyed(requests)
    pricing = price_requests(by_code, options.prices)
    quality = data_quality(
        requests,
        skips,
        manifest.inputs,
        texts,
        manifest.tokenizer,
        hashed=manifest.ingest.options.redact == "hash",
    )
    times = Times.of(requests)
    priced = tariff(requests, pricing, options.cost_mode, options.prices, times.last_day)
    month = month_of(requests, quality.covered_days, options.seed)
    user = read_overlay(options.prices) if options.prices else None
    facts = LogFacts(
        times=times,
        month=month,
        terms=PriceTerms(user, options.cost_mode, times.last_day),
        merged=run.merged(),
        ingest=manifest.ingest,
        bill=options.bill,
        bill_rates=options.invoice_rates,
        invoice_usd=options.invoice_usd,
    )
    return Loaded(
        run=run,
        manifest=manifest,
        requests=lean(requests),
        keyed=lean(by_code),
        blocks=blocks,
        tariff=replace(priced, requests=lean(requests), classes=lean(priced.classes)),
        quality=quality,
        spend=spend_of_log(Whole(Priced(by_code, pricing, priced.basis)), facts),
        month=with_trend(month, priced.request_usd),
    )


def has_tables(manifest: Manifest) -> bool:
    """Return whether some of the log was a table, whose conventions its own costs may settle."""
    return any(each.source in (TABLE, "mixed") for each in manifest.inputs)


def parted(requests: pl.DataFrame, where: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the requests that meet conditions such as endpoint=/v1/chat, and the others."""
    holds = pl.lit(True)
    for text in where:
        one = parse_condition(text)
        if one.field not in requests.columns:
            raise UsageError(
                f"--where {text!r}: a run directory does not hold {one.field}.",
                hint="Name a column of requests.parquet, such as endpoint, tenant or model.",
            )
        equal = pl.col(one.field).cast(pl.String).fill_null("") == one.value
        holds &= equal if one.equal else ~equal
    return requests.filter(holds), requests.filter(~holds)


def as_skips(requests: pl.DataFrame, reason: str, detail: str) -> pl.DataFrame:
    """Return requests that are left out, as rows of SKIPS."""
    fates = requests.select(
        "source_file",
        "source_offset",
        fate=pl.lit("skipped"),
        reason=pl.lit(reason),
        detail=pl.lit(detail),
        merged_into=pl.lit(None, pl.String),
    )
    return fates.select(SKIPS.names()).cast(SKIPS)


def uncacheable(log: Loaded, policy: SemanticPolicy) -> dict[str, int]:
    """Return how many requests a cache under a policy must bypass, by reason."""
    keys = keys_of(log.requests, log.compared, policy.key)
    codes = bypass_codes(
        log.requests, keys.has_text, keys.has_image, policy.max_temperature, policy.no_bypass
    )
    counts = np.bincount(codes, minlength=len(REASONS)).tolist()
    return {name: n for name, n in zip(REASONS, counts, strict=True) if name and n}


def nothing_to_compare(log: Loaded, policy: SemanticPolicy) -> InsufficientDataError:
    """Return the error for a log without a question to compare."""
    return InsufficientDataError(
        f"No question could be cached: {bypass_line(uncacheable(log, policy))}.",
        hint="`costaudit doctor LOG` shows what the log contains.",
    )


def no_texts(log: Loaded) -> InsufficientDataError:
    """Return the error for a hashed log, whose texts are needed for similarity."""
    return InsufficientDataError(
        f"{log.run.path} was read with --redact hash, and similarity needs texts: it only shows "
        "which questions are identical.",
        hint="`analyze` and `sweep` count those; for more, read the log with --redact mask, or "
        "without.",
    )


SPEND_COLUMNS: Mapping[str, pl.Expr | pl.Series] = {
    **GROUPS,
    "user": pl.col("user"),
    "provider": pl.col("provider"),
    "session": pl.coalesce(pl.col("session").cast(pl.String), "conversation"),
    "agent": pl.col("agent"),
    "skill": pl.col("skill"),
    "branch": pl.col("branch"),
}
SPEND_GROUPS = (*SPEND_COLUMNS, "template")


def spent_by(log: Loaded, options: AnalyzeOptions, names: Sequence[str]) -> Spend:
    """Return what the log cost, by each of the named SPEND_GROUPS."""
    groups = {
        name: _templates(log) if name == "template" else SPEND_COLUMNS[name] for name in names
    }
    found = spend_of(Whole(log.priced), groups, options.cost_mode, options.invoice_usd)
    known = log.spend
    return replace(
        found,
        counting=known.counting,
        invoice=known.invoice,
        invoice_usd=known.invoice_usd,
        invoice_gap_share=known.invoice_gap_share,
        unused_prices=known.unused_prices,
    )


def _templates(log: Loaded) -> pl.Series:
    """Return the name of each request's prompt template, as in `prefix`; null without a prompt."""
    prompts = read_prompts(log.requests, log.blocks, log.laid_out)
    found = group_requests(log.requests, prompts, log.templates)
    names = [
        " ".join(part for part in (one.template_id, one.endpoint, one.model) if part)
        for one in found.groups
    ]
    return pl.Series(
        [names[number] if number >= 0 else None for number in found.index], dtype=pl.String
    )
