"""`costaudit doctor`: check how a log is read, before an audit."""

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli import values
from costaudit.errors import InputError, UsageError


def doctor(
    logs: opt.Logs,
    source: opt.Source = "auto",
    mapping: opt.Mapping = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    no_dedupe: opt.NoDedupe = False,
    draft_map: Annotated[
        Path | None,
        typer.Option(
            "--draft-map",
            metavar="FILE",
            help="Write a first mapping of an unknown format here. [default: none]",
        ),
    ] = None,
    format: opt.TableFormat = "terminal",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Show how a log is read, and what it can and can't show."""
    from costaudit.cli.doctor_tables import diagnosis_line, diagnosis_tables
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import LogPart, ingest_options, print_tables
    from costaudit.ingest.doctor import diagnose
    from costaudit.report.tables.table import FORMATS

    values.one_of(format, FORMATS, "--format")
    options = ingest_options(
        LogPart(since, until, where), source, mapping, dedupe=not no_dedupe, redact="mask"
    )
    with progress_on_stderr(quiet) as progress:
        found = diagnose(logs, options, progress)
    drafts = [one.draft for one in found.fields.values() if one.draft]
    if draft_map is not None:
        _write_draft(draft_map, drafts)
    print_tables(diagnosis_tables(found), format, found, lead=diagnosis_line(found))
    if found.unread:
        hint = "Check the drafted map and read the log with --map FILE.toml." if drafts else ""
        raise InputError(found.unread, hint=hint or "Name its format with --source.")
    return 0


def _write_draft(path: Path, drafts: list[str]) -> None:
    """Write the first drafted mapping; raises UsageError if there is none or the file exists."""
    from costaudit.contracts.run_dir import atomic_write

    if not drafts:
        raise UsageError("There is nothing to draft a map from.", hint="Leave --draft-map out.")
    if path.exists():
        raise UsageError(f"{path} exists.", hint="Name a new file for the draft.")
    with atomic_write(path) as part:
        part.write_text(drafts[0], "utf-8")
