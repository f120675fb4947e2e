"""Turn the diagnosis of a log into tables."""

from costaudit.contracts.audit import TOTALS_HINT, lost_files, only_totals
from costaudit.ingest.doctor import Diagnosis
from costaudit.report.language import said, tr
from costaudit.report.numbers import count, counted, share
from costaudit.report.tables.table import Table

_SENTENCE = 120  # characters of a cell that holds one


def diagnosis_tables(found: Diagnosis) -> tuple[Table, ...]:
    """Return tables of files, skipped records, token counting, checks, and calls' content."""
    return (
        _files(found),
        *_drafts(found),
        _columns(found),
        Table(
            "Records that were left out",
            ("reason", "records"),
            tuple((said(why), count(n)) for why, n in sorted(found.summary.skip_reasons.items())),
        ),
        Table(
            "How tokens are counted",
            ("file", "provider", "model", "convention", "calls", "undecided"),
            tuple(
                (
                    one.file,
                    one.provider,
                    one.model,
                    said(one.convention),
                    count(one.rows),
                    count(one.ambiguous),
                )
                for one in found.conventions
            ),
            left=(0, 1, 2, 3),
            note="undecided: nothing in these calls shows the convention; they follow the others.",
        ),
        Table(
            "Checks",
            ("file", "check", "calls", "failing", ""),
            tuple(
                (
                    one.file,
                    said(one.name),
                    count(one.rows),
                    count(one.failing),
                    share(one.failing / one.rows) if one.failing else tr("ok"),
                )
                for one in found.checks
                if one.rows
            ),
            left=(0, 1),
        ),
        Table(
            "What the calls hold",
            ("what", "share of calls"),
            tuple((said(name), share(value)) for name, value in found.shares.items()),
        ),
        Table(
            "What this log can't tell",
            ("the log has", "so it can't show"),
            tuple(
                (said(part), said(gap))
                for part, _, gap in (s.partition(": ") for s in found.cannot_tell)
            ),
            left=(0, 1),
            widest=_SENTENCE,
        ),
        _fields(found),
    )


def _columns(found: Diagnosis) -> Table:
    return Table(
        "How numbers and dates of tables are written",
        ("file", "column", "convention", "because", "cells", "unread"),
        tuple(
            (
                name,
                one.name,
                said(one.convention),
                said(one.evidence),
                count(one.cells),
                count(one.unread),
            )
            for name, columns in found.columns.items()
            for one in columns
        ),
        left=(0, 1, 2, 3),
        widest=_SENTENCE,
        note="unread: cells that don't fit this convention; they are missing, not 0.",
    )


def _fields(found: Diagnosis) -> Table:
    of_one = len(found.fields) == 1
    return Table(
        "Fields of the first records",
        ("field", "type", "present", "shape", "read as")
        if of_one
        else ("file", "field", "type", "present", "shape", "read as"),
        tuple(
            (
                *(() if of_one else (name,)),
                one.path,
                said(one.type),
                share(one.records / fields.records),
                said(one.shape),
                ", ".join(map(said, one.read_as)),
            )
            for name, fields in found.fields.items()
            for one in fields.paths
        ),
        left=(0, 1, 3, 4) if of_one else (0, 1, 2, 4, 5),
        widest=_SENTENCE,
        note="shape: x is a letter, 9 a digit. read as: what costaudit uses the field for; "
        "empty if it uses it for nothing.",
    )


def _drafts(found: Diagnosis) -> list[Table]:
    return [
        Table(
            tr("Draft of a --map file for {name}: check it").format(name=name),
            ("our field", "yours"),
            tuple(
                (key.strip(), value.strip().strip('"'))
                for line in fields.draft.splitlines()[1:]
                for key, _, value in (line.partition("="),)
            ),
            left=(0, 1),
            widest=_SENTENCE,
        )
        for name, fields in found.fields.items()
        if fields.draft
    ]


def diagnosis_line(found: Diagnosis) -> str:
    """Return a sentence about what was read and whether it adds up."""
    summary = found.summary
    if found.unread:
        return tr("Nothing was read: {why}").format(why=said(found.unread))
    if totals := only_totals(file.source for file in summary.files):
        return said(f"{totals} {TOTALS_HINT}")
    failing = sum(one.failing > 0 for one in found.checks)
    checks = tr("every check holds")
    if failing:
        checks = tr("{n} checks fail for some calls").format(n=count(failing))
    if failing == 1:
        checks = tr("1 check fails for some calls")
    lost = lost_files(file.source for file in summary.files)
    told = tr("{records}: {calls} kept, {merged} merged, {skipped} skipped; {checks}.").format(
        records=counted(summary.records, "record"),
        calls=counted(summary.kept, "call"),
        merged=count(summary.merged),
        skipped=count(summary.skipped),
        checks=checks,
    )
    return f"{told} {said(lost)}".strip()


def _files(found: Diagnosis) -> Table:
    return Table(
        "Files",
        ("file", "layout", "source", "evidence", "records", "kept", "merged", "skipped"),
        tuple(
            (
                one.name,
                said(found.layouts.get(one.name, "")),
                one.source,
                said(one.evidence),
                count(one.rows),
                count(one.kept),
                count(one.merged),
                count(one.skipped),
            )
            for one in found.summary.files
        ),
        left=(0, 1, 2, 3),
        widest=_SENTENCE,
    )
