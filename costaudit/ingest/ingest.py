"""Read logs into a run's tables: requests, blocks and skips."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import fields, replace
from itertools import chain

import msgspec
import polars as pl

from costaudit.contracts.audit import EMPTY, OTHER
from costaudit.contracts.manifest import (
    ByteRange,
    IngestCounts,
    IngestRecord,
    InputFile,
    Manifest,
    ManifestInput,
    ReadingOptions,
    RedactionMode,
    TablesMade,
)
from costaudit.contracts.requests import SKIPS
from costaudit.contracts.run_dir import RunDir
from costaudit.engine.count import watched
from costaudit.engine.engine import Engine, Processes, check_engine, engine_named
from costaudit.engine.pool import return_memory
from costaudit.errors import InputError, RunDirError, UsageError
from costaudit.ingest.assembly.assemble import Assembled, assemble
from costaudit.ingest.content.redaction import Redaction, Redactor, redaction_of
from costaudit.ingest.content.tokenizer import ENCODING
from costaudit.ingest.files.containers import is_stream
from costaudit.ingest.files.inputs import Input, expand, is_other_kind
from costaudit.ingest.files.sniff import NoLogError, open_source
from costaudit.ingest.mapping.field_map import check_used, read_maps
from costaudit.ingest.options import IngestOptions, IngestSummary, parse_condition
from costaudit.ingest.sources.mapped import Mapped
from costaudit.ingest.staging.pieces import (
    FilePieces,
    Pieces,
    earlier_summary,
    staged_key,
    table_stamps,
)
from costaudit.ingest.staging.plan import STAGING, options_key, plan_file, stagings
from costaudit.ingest.staging.read_task import Unit, keep, read_apart, read_unit
from costaudit.progress import Progress

HIDES: tuple[RedactionMode, ...] = ("none", "mask", "hash")  # each hides more than the one before

FEWEST_PIECES = 4  # fewer are assembled before another process would have started
WHOLE_FILE = -1  # source_offset of the skip of a whole file


def ingest(
    inputs: Sequence[str], run: RunDir, options: IngestOptions, progress: Progress
) -> IngestSummary:
    """Read logs into a run; only bytes that the run has not read yet are read.

    Raises UsageError for options that can't work, and InputError if nothing can be read, or with
    `strict` if any record or file can't be read.
    """
    _check(run, options)
    with run.claimed():
        was_read = (run.path / STAGING).exists()
        try:
            return _ingest(inputs, run, options, progress)
        except (pl.exceptions.PolarsError, msgspec.MsgspecError) as error:
            if not was_read:
                raise
            raise RunDirError(
                f"What {run.path / STAGING} holds of the log can't be read: {error}.",
                hint="Delete that folder: the log is then read again.",
            ) from error


def _ingest(
    inputs: Sequence[str], run: RunDir, options: IngestOptions, progress: Progress
) -> IngestSummary:
    _sweep(run)
    redaction = redaction_of(options.redact, run.path)
    _forget_other_options(run, options_key(options, redaction))
    redactor = Redactor(redaction)
    items = [replace(item, name=redactor.file_name(item.name)) for item in expand(inputs)]
    _forget_other_inputs(run, items, redactor)
    units, no_logs = _plan(items, run, options, redaction)
    is_here = all(is_stream(unit.address) for unit in units)  # only this process can read them
    with closing(engine_named("local" if is_here else options.engine, options.workers)) as engine:
        read_bytes = _read(units, engine, progress)
        return _assembled(run, options, no_logs, read_bytes, engine, progress)


def _assembled(
    run: RunDir,
    options: IngestOptions,
    no_logs: dict[str, InputError],
    read_bytes: int,
    engine: Engine,
    progress: Progress,
) -> IngestSummary:
    """Assemble what was read."""
    return_memory()
    pieces = Pieces(run.path)
    if pieces.is_empty:
        raise _nothing(pieces, no_logs)
    if options.strict:
        _be_strict(pieces, no_logs)
    made = staged_key(pieces, list(no_logs), options.dedupe)
    if not read_bytes and (summary := earlier_summary(run, made)):
        pieces.close()
        return summary
    progress.start("assemble", sum(span.kept for f in pieces.files for span in f.spans), "rows")
    whole_files = _whole_file_skips(no_logs)
    with closing(_of_this_machine(engine, options, len(pieces.all))) as processes:
        assembled = assemble(run, pieces, whole_files, options, processes, progress)
    progress.finish()
    summary = _summary(pieces, no_logs, assembled, read_bytes)
    _write_manifest(run, pieces, options, summary, made)
    return summary


def _of_this_machine(engine: Engine, options: IngestOptions, pieces: int) -> Engine:
    """Return the engine that assembles pieces, which lie on this machine."""
    if pieces < FEWEST_PIECES or options.engine == "local":
        return Processes(1)
    is_pool = not engine.is_apart and engine.workers == options.workers
    return engine if is_pool else Processes(options.workers)


def _check(run: RunDir, options: IngestOptions) -> None:
    if run.path.exists() and not run.path.is_dir():
        raise UsageError(f"{run.path} is a file.", hint="Name a folder for the run.")
    check_engine(options.engine)
    _keep_redacted(run, options)
    for text in options.where:
        parse_condition(text)
    if options.maps and options.source not in ("auto", Mapped.name):
        raise UsageError("--map and --source exclude each other.", hint="Leave one of them out.")
    if options.source != "auto" and not options.maps:
        open_source(options.source, None)


def _keep_redacted(run: RunDir, options: IngestOptions) -> None:
    """Raise UsageError if reading would restore erased records, or texts in a redacted run."""
    told = run.manifest_of_any_version().get("ingest")
    if isinstance(told, dict) and told.get("erased"):
        raise UsageError(
            f"Records were erased from {run.path}; the log would bring them back.",
            hint=f"Name {run.path} itself instead of the log, or another folder with --out.",
        )
    asked = told.get("options") if isinstance(told, dict) else None
    was = asked.get("redact", "none") if isinstance(asked, dict) else "none"
    if was in HIDES[HIDES.index(options.redact) + 1 :]:
        now = "unredacted" if options.redact == "none" else f"with --redact {options.redact}"
        raise UsageError(
            f"{run.path} was read with --redact {was}; the log would be read into it {now}.",
            hint=f"Name {run.path} itself instead of the log, or another folder with --out.",
        )


def _sweep(run: RunDir) -> None:
    """Remove partial files that a killed ingest left behind."""
    for table in (run.requests_path, run.blocks_path, run.skips_path, run.manifest_path):
        for path in table.parent.glob(f".{table.name}.*.part"):
            path.unlink(missing_ok=True)


def _forget_other_options(run: RunDir, key: str) -> None:
    """Drop pieces read with other options, so that no part of a run is left unredacted.

    Drop damaged ones too: their files are read again.
    """
    for state, staging in stagings(run.path):
        if state.options_key != key or not staging.is_whole():
            staging.drop()


def _forget_other_inputs(run: RunDir, items: list[Input], redactor: Redactor) -> None:
    """Drop the pieces of files that are not among the inputs.

    Raises UsageError if none of the run's files is among them: the run belongs to another log.
    """
    names = {item.name for item in items}
    addresses = {redactor.address(item.address) for item in items}
    held = stagings(run.path)
    if held and not any(one.name in names or one.address in addresses for one, _ in held):
        shown = ", ".join(state.name for state, _ in held[:3])
        raise UsageError(
            f"{run.path} is the run of another log: {shown}{', ...' if len(held) > 3 else ''}.",
            hint="Name another folder with --out. A run of all of them is made by naming them all.",
        )
    for state, staging in held:
        if state.name not in names:
            staging.drop()


def _plan(
    items: list[Input], run: RunDir, options: IngestOptions, redaction: Redaction
) -> tuple[list[Unit], dict[str, InputError]]:
    units: list[Unit] = []
    no_logs: dict[str, InputError] = {}
    maps = read_maps(options.maps)
    used: set[str] = set()
    misfits: dict[str, InputError] = {}  # mapping → why it doesn't fit a file that it applies to
    for item in items:
        try:
            _refuse_pipe(item)
            planned, mapping = plan_file(item, run.path, options, redaction, maps)
        except InputError as error:
            if item.asked_for and item.is_only:
                raise
            no_logs[item.name] = error
            if isinstance(error, NoLogError):
                error.is_other = not item.asked_for and is_other_kind(item.name)
            if isinstance(error, NoLogError) and error.mapping:
                misfits.setdefault(error.mapping, error)
            continue
        units.extend(planned)
        used |= {mapping.name} if mapping is not None else set()
    for name, misfit in misfits.items():
        if name not in used:
            raise misfit
    check_used(maps, used | set(misfits))
    return units, no_logs


def _refuse_pipe(item: Input) -> None:
    """Raise NoLogError for a pipe found in a folder, because it may never get a writer."""
    if not item.asked_for and is_stream(item.address):
        raise NoLogError(f"{item.name} is a pipe.", hint="Name it by its own name.")


def _read(units: list[Unit], engine: Engine, progress: Progress) -> int:
    total = 0
    sizes = [None if unit.end is None else unit.end - unit.start for unit in units]
    known = [size for size in sizes if size is not None]
    progress.start("ingest", sum(known) if len(known) == len(sizes) else None, "bytes")
    if not units:
        progress.finish()
        return 0
    here = [unit for unit in units if is_stream(unit.address)]  # only this process can read them
    there = [unit for unit in units if not is_stream(unit.address)]
    with watched(progress.advance, 1 if engine.is_apart else engine.workers) as watch:
        for size in chain(map(read_unit, here), _read_on(engine, there, watch.joins)):
            total += size
    watch.settle(total)
    progress.finish()
    return total


def _read_on(engine: Engine, units: list[Unit], prepare: Callable[[], None]) -> Iterator[int]:
    """Run read tasks, and yield the bytes that each has read."""
    if engine.is_apart:
        yield from map(keep, units, engine.map(read_apart, units))
    else:
        yield from engine.map(read_unit, units, prepare)


def _nothing(pieces: Pieces, no_logs: dict[str, InputError]) -> InputError:
    if no_logs:
        first = next(iter(no_logs.values()))
        return InputError(
            f"None of {len(no_logs)} files is a log that can be read; the first: {first.message}",
            hint=first.hint,
        )
    names = ", ".join(file.state.name for file in pieces.files)
    return InputError(f"There is no record in {names}.", hint="Export the log again.")


def _be_strict(pieces: Pieces, no_logs: dict[str, InputError]) -> None:
    for error in no_logs.values():
        raise InputError(error.message, hint="Leave out --strict to skip and count such files.")
    bad = pieces.skips().filter((pl.col("fate") == "skipped") & (pl.col("reason") != "filtered"))
    for row in bad.sort("source_file", "offset").head(1).iter_rows(named=True):
        raise InputError(
            f"{row['source_file']}, offset {row['offset']}: {row['reason']}. {row['detail']}",
            hint="Leave out --strict to skip and count such records.",
        )


def _whole_file_skips(no_logs: dict[str, InputError]) -> pl.DataFrame:
    rows = [
        (name, WHOLE_FILE, "skipped", "not-a-log", error.message, None)
        for name, error in sorted(no_logs.items())
    ]
    return pl.DataFrame(rows, schema=SKIPS, orient="row")


def _summary(
    pieces: Pieces, no_logs: dict[str, InputError], assembled: Assembled, read_bytes: int
) -> IngestSummary:
    counts: dict[tuple[str, str], int] = {}
    reasons: dict[str, int] = {}
    for name, fate, reason, size in assembled.fates.iter_rows():
        counts[name, fate] = counts.get((name, fate), 0) + size
        if fate != "kept":
            reasons[reason] = reasons.get(reason, 0) + size
    files = [_input_file(file, counts) for file in pieces.files]
    files += [
        InputFile(name, _source_of(error), error.message, 0, 1, 0, 0, 1)
        for name, error in sorted(no_logs.items())
    ]
    summary = IngestSummary(
        records=sum(span.records for file in pieces.files for span in file.spans) + len(no_logs),
        kept=sum(f.kept for f in files),
        merged=sum(f.merged for f in files),
        skipped=sum(f.skipped for f in files),
        skip_reasons=dict(sorted(reasons.items())),
        files=tuple(sorted(files, key=lambda f: f.name)),
        merged_cost=assembled.merged_cost,
        ambiguous_conventions=assembled.ambiguous_conventions,
        conventions=assembled.conventions,
        colliding_ids=assembled.colliding_ids,
        checks=assembled.checks,
        unread_usage=_unread(pieces),
        unreadable_usage=_unreadable(pieces),
        read_bytes=read_bytes,
    )
    if summary.records != summary.kept + summary.merged + summary.skipped:
        raise AssertionError(f"records went missing: {summary}")
    return summary


def _source_of(error: InputError) -> str:
    """Return the `source` to record for a file that was not read."""
    if not isinstance(error, NoLogError):
        return ""
    return EMPTY if error.is_empty else OTHER if error.is_other else ""


def _unread(pieces: Pieces) -> dict[str, tuple[int, float]]:
    """Return usage numbers that we don't use, by name: number of calls and sum.

    Duplicate calls are included.
    """
    sums: dict[str, tuple[int, float]] = {}
    for name, (calls, total) in (
        each for file in pieces.files for span in file.spans for each in span.unread.items()
    ):
        before, sum_before = sums.get(name, (0, 0.0))
        sums[name] = (before + calls, sum_before + total)
    return dict(sorted(sums.items()))


def _unreadable(pieces: Pieces) -> dict[str, int]:
    """Return by name how many calls state a count that can't be read, including duplicates."""
    calls: Counter[str] = Counter()
    for file in pieces.files:
        for span in file.spans:
            calls.update(span.unreadable)
    return dict(sorted(calls.items()))


def _input_file(file: FilePieces, counts: dict[tuple[str, str], int]) -> InputFile:
    name = file.state.name
    return InputFile(
        name=name,
        source=file.state.source,
        evidence=file.state.evidence,
        bytes=file.state.size,
        rows=sum(span.records for span in file.spans),
        kept=counts.get((name, "kept"), 0),
        merged=counts.get((name, "merged"), 0),
        skipped=counts.get((name, "skipped"), 0),
    )


def _write_manifest(
    run: RunDir, pieces: Pieces, options: IngestOptions, summary: IngestSummary, key: str
) -> None:
    layouts = {file.state.name: file.state.layout for file in pieces.files}
    ranges = {
        file.state.name: tuple(ByteRange(one.start, one.stop, one.digest) for one in file.spans)
        for file in pieces.files
    }
    inputs = [
        ManifestInput(
            **vars(file), layout=layouts.get(file.name, ""), ranges=ranges.get(file.name, ())
        )
        for file in summary.files
    ]
    told = msgspec.convert(msgspec.to_builtins(options, enc_hook=str), ReadingOptions)
    counts = {each.name: getattr(summary, each.name) for each in fields(IngestCounts)}
    record = IngestRecord(**counts, options=told, made=TablesMade(key, table_stamps(run)))
    run.write_manifest(Manifest(tuple(inputs), ENCODING, record))
