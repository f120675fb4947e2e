"""Describe how a log is read, and what it can and can't show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from costaudit.contracts.manifest import Check, Convention, FileLayout
from costaudit.contracts.run_dir import RunDir
from costaudit.errors import InputError
from costaudit.ingest.assembly.quality import answers_and_gaps
from costaudit.ingest.content.redaction import Redactor, redaction_of
from costaudit.ingest.files.inputs import Input, expand
from costaudit.ingest.files.sniff import (
    NoLogError,
    first_records,
    layout_at,
    look_at,
    open_source,
    values_of,
)
from costaudit.ingest.ingest import ingest
from costaudit.ingest.mapping.columns import Column
from costaudit.ingest.mapping.field_map import FieldMap, read_maps
from costaudit.ingest.mapping.influence import read_as
from costaudit.ingest.mapping.paths import KeyPath, drafted_map, key_paths, map_text
from costaudit.ingest.options import IngestOptions, IngestSummary
from costaudit.ingest.staging.pieces import stored_summary
from costaudit.ingest.staging.plan import stagings
from costaudit.progress import Progress, SilentProgress
from costaudit.scratch import scratch_folder

LOOKED_AT = 200  # records of a file whose paths are listed


@dataclass(frozen=True)
class Diagnosis:
    """What was detected and why, how tokens are counted, and what the log lacks."""

    summary: IngestSummary  # files with source and evidence; what became of the records
    layouts: dict[str, FileLayout | Literal[""]]  # by file
    conventions: tuple[Convention, ...]
    checks: tuple[Check, ...]
    shares: dict[str, float]  # prompts, answers, times, ... → share of calls that have them
    cannot_tell: tuple[str, ...]  # data that no call has, each with the question it would answer
    columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)  # tables only, by file
    fields: dict[str, "Fields"] = field(default_factory=dict)  # by file
    unread: str = ""  # why nothing could be read; "" if something was


@dataclass(frozen=True)
class Fields:
    """The paths in a file's first records, and a draft mapping if the format is unknown."""

    records: int  # number of records looked at
    paths: tuple[KeyPath, ...]
    draft: str = ""  # of a mapping, in TOML


def diagnose(
    inputs: Sequence[str], options: IngestOptions, progress: Progress | None = None
) -> Diagnosis:
    """Read whole logs into a temporary run and describe them; a run directory is described as is.

    Raises the errors of `ingest`. But if the log can't be read and its fields can be listed,
    `unread` holds the error's message instead.
    """
    if len(inputs) == 1 and RunDir.is_run(Path(inputs[0])):
        return _of_run(RunDir(Path(inputs[0])), options)
    with scratch_folder("doctor-") as folder:
        run = RunDir(folder)
        told = replace(options, strict=False)
        redactor = Redactor(redaction_of(told.redact, run.path))
        items = [(redactor.file_name(item.name), item) for item in expand(inputs)]
        fields = {name: found for name, item in items if (found := _fields(item, told))}
        try:
            summary = ingest(inputs, run, told, progress or SilentProgress())
        except InputError as error:
            if not any(one.paths for one in fields.values()):
                raise
            return replace(NOTHING_READ, fields=fields, unread=error.message)
        return _read(run, summary, fields)


def _of_run(run: RunDir, options: IngestOptions) -> Diagnosis:
    """Describe a run by its manifest, and by the fields of its log files that still exist."""
    fields: dict[str, Fields] = {}
    for state, _ in stagings(run.path):
        if Path(state.address).is_file():
            found = _fields(Input(state.name, state.address, False, True), options, state.mapping)
            fields |= {state.name: found} if found else {}
    return _read(run, stored_summary(run), fields)


def _read(run: RunDir, summary: IngestSummary, fields: dict[str, Fields]) -> Diagnosis:
    shares, gaps = answers_and_gaps(run.requests())
    skips = run.skips().filter(reason="unknown-format")["source_file"].unique().to_list()
    fields |= {
        name: replace(fields[name], draft=map_text(drafted_map(fields[name].paths)))
        for name in skips
        if name in fields
    }
    return Diagnosis(
        summary=summary,
        layouts={each.name: each.layout for each in run.manifest().inputs},
        conventions=summary.conventions,
        checks=summary.checks,
        shares=shares,
        cannot_tell=gaps,
        columns={state.name: state.columns for state, _ in stagings(run.path) if state.columns},
        fields=fields,
    )


def _fields(item: Input, options: IngestOptions, mapping: FieldMap | None = None) -> Fields | None:
    """Return the paths in a file's first records; None if it has no records."""
    maps = read_maps(options.maps)
    source = ""
    try:
        if mapping is None:
            look = look_at(item, options, maps)
            source, mapping = look.detection.source, look.mapping
        else:
            source = "mapped"
    except NoLogError:
        mapping = None
    except InputError:
        return None
    found = _values(item, options)
    if mapping is not None:
        found = (call for value in found for call in mapping.within(value))
    values = list(islice(found, LOOKED_AT))
    if not values:
        return None
    paths = key_paths(values)
    if source:
        reads = read_as(lambda: open_source(source, mapping, item.address), values, paths)
        return Fields(len(values), tuple(reads))
    return Fields(len(values), tuple(paths), map_text(drafted_map(paths)))


def _values(item: Input, options: IngestOptions) -> Iterator[Any]:
    """Yield the decoded records of a file; none if its layout is unknown."""
    try:
        layout = layout_at(item, options)
    except InputError:
        return
    if layout.kind is not None:
        yield from (value for value, _ in values_of(first_records(item, layout, options)))


NOTHING_READ = Diagnosis(
    summary=IngestSummary(
        records=0,
        kept=0,
        merged=0,
        skipped=0,
        skip_reasons={},
        merged_cost={},
        colliding_ids=(0, 0),
        ambiguous_conventions=0,
        conventions=(),
        checks=(),
        unread_usage={},
        unreadable_usage={},
        files=(),
        read_bytes=0,
    ),
    layouts={},
    conventions=(),
    checks=(),
    shares={},
    cannot_tell=(),
)
