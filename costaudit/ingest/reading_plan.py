"""Plan what reading logs will take, by a trial of their first records."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import polars as pl

from costaudit.contracts.requests import SKIPS
from costaudit.contracts.run_dir import RunDir
from costaudit.engine.engine import Processes
from costaudit.errors import InputError, UsageError
from costaudit.ingest.assembly.assemble import assemble
from costaudit.ingest.content.redaction import redaction_of
from costaudit.ingest.files.containers import (
    Ahead,
    BrokenStreamError,
    is_stream,
    open_input,
    plain_chunks,
)
from costaudit.ingest.files.inputs import Input, expand
from costaudit.ingest.mapping.field_map import read_maps
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.staging.pieces import Pieces
from costaudit.ingest.staging.plan import plan_file, size_of
from costaudit.ingest.staging.read_task import Span, Unit, read_unit
from costaudit.progress import SilentProgress

TRIAL_BYTES = 32 << 20  # unpacked, of each file that is tried
WARM_UP = 16  # this part of them is read before, because the tokenizer takes a second to load
TRIED_FILES = 2  # the largest ones of those in parts, and of the others
# of assembly, in all processes of a pool of two (`benchmarks/bench_scale.py`): 900 MB for a million
# short calls, 1,900 for ten million
MEMORY_BYTES, MEMORY_BYTES_PER_CALL = 800e6, 120
LINKED_BYTES = 1_100  # more for each call that is compared with others whole


@dataclass(frozen=True)
class ReadingPlan:
    """What is to be read, and what that will take on this machine."""

    files: int
    no_logs: int  # further files, in which no calls were recognised
    stored_bytes: int
    partitions: int
    whole_files: int  # read by one worker each: compressed, or not of lines that stand alone
    workers: int  # that read at the same time
    tried_bytes: int  # stored bytes that were read on trial
    tried_records: int
    tried_s: float  # of one worker
    untold_bytes: int  # of files without lines, such as Parquet: they were not tried
    records: float  # estimate, without those files
    read_s: float  # estimate of the wall time, without those files
    is_whole: bool  # everything was read on trial, so that nothing is an estimate but the time

    @property
    def memory_bytes(self) -> float:
        """Estimate the peak memory of assembling the calls, if none of them are linked."""
        return MEMORY_BYTES + MEMORY_BYTES_PER_CALL * self.records


@dataclass(frozen=True)
class _Trial:
    stored_bytes: int
    records: int
    seconds: float
    is_whole: bool  # all of the file was read


@dataclass(frozen=True)
class _File:
    item: Input
    stored_bytes: int
    units: list[Unit]

    @property
    def is_whole(self) -> bool:
        """Whether one worker reads all of it."""
        return self.units[0].end is None

    @property
    def has_lines(self) -> bool:
        """Whether a part of its lines can be tried."""
        return self.units[0].layout == "lines"


def reading_plan(
    inputs: Sequence[str], options: IngestOptions, run: RunDir, trial_bytes: int = TRIAL_BYTES
) -> ReadingPlan:
    """Plan the reading of logs into a new run directory.

    Up to `trial_bytes` of unpacked content are read from each file that is tried, and staged in
    `run`, an empty folder. Raises UsageError for standard input and pipes, InputError if there is
    no log.
    """
    items = expand(inputs)
    files = _files(items, run.path, options)
    known: list[tuple[_File, float]] = []  # the time of one worker for each file
    records, tried = 0.0, []
    for is_whole in (True, False):
        alike = [one for one in files if one.is_whole == is_whole and one.has_lines]
        largest = sorted(alike, key=lambda one: -one.stored_bytes)[:TRIED_FILES]
        trials = [_tried(one, run.path, options, trial_bytes) for one in largest]
        stored = max(sum(one.stored_bytes for one in trials), 1)
        each = sum(one.records for one in trials) / stored
        each_s = sum(one.seconds for one in trials) / stored
        tried += trials
        records += each * sum(one.stored_bytes for one in alike)
        known += [(one, each_s * one.stored_bytes) for one in alike]
    partitions = sum(len(one.units) for one in files)
    workers = max(min(options.workers, partitions), 1)
    longest = max((seconds for one, seconds in known if one.is_whole), default=0.0)
    total = sum(one.stored_bytes for one in files)
    return ReadingPlan(
        files=len(files),
        no_logs=len(items) - len(files),
        stored_bytes=total,
        partitions=partitions,
        whole_files=sum(one.is_whole for one in files),
        workers=workers,
        tried_bytes=sum(one.stored_bytes for one in tried),
        tried_records=sum(one.records for one in tried),
        tried_s=sum(one.seconds for one in tried),
        untold_bytes=total - sum(one.stored_bytes for one, _ in known),
        records=records,
        read_s=max(sum(seconds for _, seconds in known) / workers, longest),
        is_whole=len(tried) == len(files) and all(one.is_whole for one in tried),
    )


def assemble_trial(run: RunDir, options: IngestOptions) -> None:
    """Write the tables of the records that `reading_plan` staged in `run`, in this process."""
    nothing = pl.DataFrame(schema=SKIPS)
    assemble(run, Pieces(run.path), nothing, options, Processes(1), SilentProgress())


def _files(items: Sequence[Input], folder: Path, options: IngestOptions) -> list[_File]:
    """Return the files that are logs, with their read tasks."""
    maps, redaction = read_maps(options.maps), redaction_of("none", folder)
    found, first = [], None
    for item in items:
        if is_stream(item.address):
            raise UsageError(
                f"{item.name} can be read only once, so it can't be tried.",
                hint="Store it in a file, or leave out --dry-run.",
            )
        try:
            units, _ = plan_file(item, folder, options, redaction, maps)
        except InputError as error:
            first = first or error
            continue
        if units:
            found.append(_File(item, size_of(item)[0], units))
    if not found:
        raise first or InputError("There is no record in the logs.", hint="Export them again.")
    return found


def _tried(file: _File, folder: Path, options: IngestOptions, most: int) -> _Trial:
    """Read the first records of a file, stage them, and return what that took."""
    text, is_whole, stored = bytearray(), True, 0
    with open_input(file.item.address) as opened:
        source = Ahead(opened)
        chunks = plain_chunks(source, options.max_ratio)
        try:
            for chunk in chunks:
                text += chunk
                if len(text) >= most:
                    break
            stored = source.count
            is_whole = next(chunks, None) is None
        except BrokenStreamError:  # counted when the file is read, which ends here too
            pass
    whole = text if is_whole else text[: text.rfind(b"\n") + 1] or text
    first = whole[: whole.find(b"\n", len(whole) // WARM_UP) + 1] or whole
    with tempfile.TemporaryDirectory(dir=folder) as lines:
        unit = replace(
            file.units[0], address=str(Path(lines) / "lines"), start=0, end=None, is_tail=False
        )
        _read(replace(unit, folder=lines), first)
        started = time.perf_counter()
        records = _read(unit, whole)
        seconds = time.perf_counter() - started
    part = file.stored_bytes if is_whole else round(stored * len(whole) / max(len(text), 1))
    return _Trial(max(part, 1), records, seconds, is_whole)


def _read(unit: Unit, text: bytearray) -> int:
    """Read some lines as a read task would; return how many records they have."""
    Path(unit.address).write_bytes(text)
    read_unit(unit)
    spans = [one.read_bytes() for one in Path(unit.folder).glob("span-*.json")]
    return sum(msgspec.json.decode(one, type=Span).records for one in spans)
