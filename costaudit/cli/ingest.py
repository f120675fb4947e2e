"""`costaudit ingest`: only read logs into a run directory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import say

if TYPE_CHECKING:
    from costaudit.ingest.options import IngestOptions


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
            "--dry-run", help="Print how much is to be read, and how long it will take, and stop."
        ),
    ] = False,
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
        return _print_plan(logs, options)
    with progress_on_stderr(quiet) as progress:
        summary = read(logs, run, options, progress)
    lost = lost_files(file.source for file in summary.files)
    if lost:
        say(f"costaudit: {lost}", "  ", err=True)
    say(shown_run(run.path))
    return 0


def _print_plan(logs: Sequence[str], options: "IngestOptions") -> int:
    """Print the plan of reading logs; 0 is the exit code."""
    from costaudit.ingest.reading_plan import LINKED_BYTES, reading_plan

    plan = reading_plan(logs, options)
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
    say("Nothing was written.")
    return 0


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _size(count: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count / 1e3:,.0f} kB"


def _time(seconds: float) -> str:
    return f"{seconds / 60:,.0f} min" if seconds >= 120 else f"{seconds:,.2g} s"
