"""Functions that verbs share: parse options, name the run directory, print an audit."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from costaudit.cli import values
from costaudit.cli.process import columns_of
from costaudit.cli.progress import progress_on_stderr
from costaudit.errors import UsageError

if TYPE_CHECKING:
    from costaudit.contracts.audit import Audit
    from costaudit.contracts.policies import SemanticPolicy
    from costaudit.contracts.run_dir import RunDir
    from costaudit.ingest.options import IngestOptions
    from costaudit.pipeline.loaded import Loaded
    from costaudit.pipeline.memory import Need
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.tables.table import Table


_SUFFIXES = re.compile(r"(\.(jsonl?|ndjson|csv|parquet|gz|zst|log|txt))+$", re.IGNORECASE)


def run_path(logs: Sequence[str], out: Path | None) -> Path:
    """Return the run directory: `--out`, the run itself, or costaudit-NAME after the first log.

    A verb that only reads uses a temporary folder, unless that run exists.
    """
    from costaudit.cli.verb import scratch

    if out is not None:
        return out
    if len(logs) == 1 and (Path(logs[0]) / "manifest.json").is_file():
        return Path(logs[0])
    name = _SUFFIXES.sub("", logs[0].rstrip("/").rsplit("/", 1)[-1])
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "log"
    named = Path(f"costaudit-{cleaned}")
    return named if (named / "manifest.json").is_file() else scratch() or named


@dataclass(frozen=True)
class LogPart:
    """The options that select a part of a log, as typed."""

    since: str = ""
    until: str = ""
    where: Sequence[str] | None = None


def ingest_options(
    part: LogPart,
    source: str,
    mapping: Sequence[str] | None,
    *,
    strict: bool = False,
    dedupe: bool = True,
    redact: str = "none",
) -> "IngestOptions":
    """Return the checked options of reading."""
    from costaudit.contracts.manifest import RedactionMode
    from costaudit.engine.pool import default_workers
    from costaudit.ingest.options import IngestOptions

    levels: tuple[RedactionMode, ...] = get_args(RedactionMode)
    return IngestOptions(
        source=source,
        maps=tuple(mapping or ()),
        strict=strict,
        dedupe=dedupe,
        since=values.moment(part.since, "--since"),
        until=values.moment(part.until, "--until"),
        where=tuple(part.where or ()),
        redact=values.one_of(redact, levels, "--redact"),
        workers=default_workers(),
    )


def part_of_log(since: str, until: str, where: list[str] | None) -> "IngestOptions":
    """Return the checked options that select a part of a log."""
    from costaudit.cli.verb import reading
    from costaudit.engine.engine import check_engine

    source, maps, engine = reading()
    return replace(
        ingest_options(LogPart(since, until, where), source, maps), engine=check_engine(engine)
    )


@dataclass(frozen=True)
class EntryLife:
    """The options about a cache entry's life, as typed."""

    ttl: str = ""
    ttl_kind: str = "fixed"
    max_entries: int | None = None
    eviction: str = "lru"
    visible_after: str = "response"


def semantic_policy(
    embedder: str, scope: str, key: str, life: EntryLife = EntryLife(), guard: str = ""
) -> "SemanticPolicy":
    """Return the checked policy of the cache; the sweep sets its threshold."""
    from costaudit.contracts import policies

    keys: tuple[policies.CacheKey, ...] = get_args(policies.CacheKey)
    kinds: tuple[policies.TtlKind, ...] = get_args(policies.TtlKind)
    evictions: tuple[policies.Eviction, ...] = get_args(policies.Eviction)
    moments: tuple[policies.VisibleAfter, ...] = get_args(policies.VisibleAfter)
    return policies.SemanticPolicy(
        min_similarity=1.0,
        embedder=embedder,
        scope=values.scope_fields(scope),  # type: ignore[arg-type]  # the policy refuses others
        key=values.one_of(key, keys, "--key"),
        ttl_s=values.duration_s(life.ttl),
        ttl_kind=values.one_of(life.ttl_kind, kinds, "--ttl-kind"),
        max_entries=life.max_entries,
        eviction=values.one_of(life.eviction, evictions, "--eviction"),
        visible_after=values.one_of(life.visible_after, moments, "--visible-after"),
        guard=values.names(guard),
    )


def loaded_run(
    logs: Sequence[str],
    out: Path | None,
    options: "AnalyzeOptions",
    *,
    quiet: bool,
    need: "Need | None" = None,
) -> "Loaded":
    """Ingest logs, or load them if they are a run, and return them priced.

    `need` says what is read, by default everything, and how much memory the verb takes.
    """
    from costaudit.contracts.run_dir import RunDir
    from costaudit.pipeline.loaded import ingested
    from costaudit.pipeline.memory import ANALYZE
    from costaudit.report.language import stand_for

    run = RunDir(run_path(logs, out))
    with progress_on_stderr(quiet) as progress:
        log = ingested(logs, run, options, progress, need or ANALYZE)
    stand_for(log.month.facts.period, priced=log.spend.has_price)
    say_of_log(run)
    return log


def say_of_log(run: "RunDir") -> None:
    """Print first which files of a run's log could not be read."""
    from costaudit.cli.verb import say_first
    from costaudit.contracts.audit import lost_files

    say_first(lost_files(one.source for one in run.manifest().inputs))


def print_tables(tables: "Sequence[Table]", form: str, data: object, lead: str = "") -> None:
    """Print tables on standard output, in the terminal's width, or 100 columns elsewhere."""
    from costaudit.cli.verb import every_row, said_first
    from costaudit.report.language import said
    from costaudit.report.tables.table import Screen, render_tables

    lead = " ".join(part for part in (lead, said(said_first())) if part)
    screen = Screen(max(terminal_width(100), 40), every_row())
    written = render_tables(tables, form, data, lead, screen)
    write_out(written, for_people=form == "terminal")


_PLAIN = str.maketrans({
    "█": "#", "…": "...", "−": "-", "–": "-", "→": "->", "≥": ">=", "≤": "<=", "×": "x", "÷": "/",
    "·": "-", "‹": "<", "›": ">", "\u00a0": " ", "’": "'", "€": "EUR", "☐": "[ ]",
})  # fmt: skip


def write_out(written: bytes, *, for_people: bool) -> None:
    """Write to standard output; a terminal without UTF-8 gets the characters that it can show."""
    encoding = sys.stdout.encoding or "utf-8"
    if for_people and encoding.lower().replace("-", "") != "utf8":
        written = written.decode().translate(_PLAIN).encode(encoding, "replace")
    sys.stdout.buffer.write(written)
    sys.stdout.flush()


def audit_run(
    logs: Sequence[str],
    out: Path | None,
    options: "AnalyzeOptions",
    form: str,
    *,
    quiet: bool,
    color: bool,
) -> int:
    """Ingest, analyze, write audit.json and report.html, and print the audit as `form`."""
    from costaudit.contracts.run_dir import RunDir
    from costaudit.pipeline.analyze import analyze_and_write
    from costaudit.report.reporters import reporter_named

    reporter_named(form)
    run = RunDir(run_path(logs, out))
    with progress_on_stderr(quiet) as progress:
        audit = analyze_and_write(logs, run, options, progress)
    deliver(audit, form, None, run=run.path, color=color)
    return 0


def audit_at(path: Path) -> "Audit":
    """Return the audit of a run directory, or of an audit.json."""
    from costaudit.contracts.audit import read_audit
    from costaudit.contracts.run_dir import RunDir

    return read_audit(RunDir(path).audit_path if path.is_dir() else path)


def deliver(audit: "Audit", form: str, out: Path | None, *, run: Path | None, color: bool) -> None:
    """Print an audit, or write it to a file; only a terminal that supports colour gets it.

    `run` holds the audit's files; None if it was not written.
    """
    from costaudit.contracts.run_dir import atomic_write
    from costaudit.report.reporters import render, reporter_named
    from costaudit.report.terminal import TerminalReporter

    reporter = reporter_named(form)
    made = (run / "report.html", run / "audit.json") if run else ()
    files = tuple(str(path) for path in made if path.exists())
    wants = color and "NO_COLOR" not in os.environ and sys.stdout.isatty() and out is None
    if form == "terminal":
        reporter = TerminalReporter(width=terminal_width(), color=wants, files=files)
    data = render(audit, reporter)
    if out is None:
        write_out(data, for_people=form == "terminal")
        return
    if out.is_dir():
        raise UsageError(f"{out} is a folder.", hint="Name a file with --out.")
    with atomic_write(out) as part:
        part.write_bytes(data)


def terminal_width(elsewhere: int = 80) -> int:
    """Return the columns of the terminal, or `elsewhere` if the output is not a terminal."""
    return columns_of(sys.stdout) or elsewhere
