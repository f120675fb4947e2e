"""`costaudit ingest`: only read logs into a run directory."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import say

if TYPE_CHECKING:
    from costaudit.ingest.reading_plan import ReadingPlan
    from costaudit.pipeline.dry_run import EmbeddingPlan


def ingest(
    logs: opt.Logs,
    out: opt.Out = None,
    source: opt.Source = "auto",
    mapping: opt.Mapping = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    strict: opt.Strict = False,
    no_dedupe: opt.NoDedupe = False,
    redact: opt.Redact = "none",
    engine: opt.Engine = "pool",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what reading and embedding the log will take and cost, and stop.",
        ),
    ] = False,
    embedder: Annotated[
        str,
        typer.Option(
            "--embedder", metavar="NAME", help="With --dry-run: what would embed the questions."
        ),
    ] = "minilm",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Read logs into Parquet, with what was skipped and why."""
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import LogPart, ingest_options, run_path
    from costaudit.cli.verb import shown_run
    from costaudit.contracts.audit import lost_files
    from costaudit.contracts.run_dir import RunDir
    from costaudit.engine.engine import check_engine
    from costaudit.ingest.ingest import ingest as read
    from costaudit.pipeline.dry_run import dry_run as tried

    run = RunDir(run_path(logs, out))
    options = ingest_options(
        LogPart(since, until, where),
        source,
        mapping,
        strict=strict,
        dedupe=not no_dedupe,
        redact=redact,
    )
    options = replace(options, engine=check_engine(engine))
    if dry_run:
        reading, embedding = tried(logs, options, embedder)
        _print_reading(reading)
        _print_embedding(embedding, is_whole=reading.is_whole)
        say("Nothing was written.")
        return 0
    with progress_on_stderr(quiet) as progress:
        summary = read(logs, run, options, progress)
    lost = lost_files(file.source for file in summary.files)
    if lost:
        say(f"costaudit: {lost}", "  ", err=True)
    say(shown_run(run.path))
    return 0


def _print_reading(plan: "ReadingPlan") -> None:
    """Print what reading and assembling logs will take."""
    from costaudit.ingest.reading_plan import LINKED_BYTES

    say(
        f"{_many(plan.files, 'file')} of {_size(plan.stored_bytes)} in "
        f"{_many(plan.partitions, 'partition')}; on this machine, {plan.workers:,} at a time."
    )
    if plan.whole_files:
        say(
            f"{_many(plan.whole_files, 'file')} among them compressed, or not of lines that stand "
            "alone: one partition each."
        )
    if plan.no_logs:
        say(f"{_many(plan.no_logs, 'further file')} without calls that can be recognised.")
    if plan.tried_records:
        say(
            f"On trial, one process read {plan.tried_records:,} records "
            f"({_size(plan.tried_bytes)}) in {plan.tried_s:.2g} s."
        )
        say(
            f"So there are about {plan.records:,.0f} records, and reading takes about "
            f"{_time(plan.read_s)}. Assembling them comes after, with about "
            f"{_size(plan.memory_bytes)} of memory in all processes, and up to "
            f"{LINKED_BYTES / 1e3:g} KB more for each call that may be the same as another."
        )
    if plan.untold_bytes:
        say(f"Not estimated: {_size(plan.untold_bytes)} of tables, Parquet or JSON without lines.")


def _print_embedding(plan: "EmbeddingPlan", *, is_whole: bool) -> None:
    """Print what embedding the questions will take; of a log tried whole, the exact numbers."""
    if plan.texts is None:
        say("It can't be told how many texts are embedded." + (plan.untold and f" {plan.untold}"))
        return
    asked, differ = f"{plan.tried_questions:,}", f"{plan.tried_texts:,}"
    if is_whole:
        say(f"A cache could answer {_many(plan.tried_questions, 'question')}, {differ} different.")
    else:
        say(
            f"On trial, {differ} of {asked} questions that a cache could answer are different. So "
            f"there are {_between(plan.texts, _count)} different ones, if the rest of the log is "
            "like its start. It can't be told what comes back only after more calls than these."
        )
    if plan.usd is not None:
        assert plan.tokens is not None
        say(
            f"{plan.embedder} embeds them for {_between(plan.usd, _dollars)}: "
            f"{_between(plan.tokens, _count)} tokens at ${plan.per_mtok} per million. How long it "
            "takes depends on your limits there. Nothing was sent."
        )
    if plan.seconds is not None:
        say(
            f"{plan.embedder} embeds them in {_between(plan.seconds, _time)}, by the rate measured "
            "on some of them."
        )
    if plan.untold:
        say(f"Not estimated, what embedding takes: {plan.untold}")
    if plan.vector_bytes is not None:
        say(
            f"Their vectors take {_between(plan.vector_bytes, _size)} of memory. An audit also "
            "embeds answers, which may take as much again."
        )


def _between(ends: tuple[float, float], shown: Callable[[float], str]) -> str:
    low, high = (shown(end) for end in ends)
    return low if low == high else f"{low} to {high}"


def _count(number: float) -> str:
    """Write an estimated number with three digits that count."""
    return f"{float(f'{number:.3g}'):,.0f}"


def _dollars(usd: float) -> str:
    return f"${usd:,.2f}" if usd >= 0.01 else "less than $0.01"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _size(count: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count / 1e3:,.0f} kB"


def _time(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds / 60:,.0f} min"
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:,.2g} s"
