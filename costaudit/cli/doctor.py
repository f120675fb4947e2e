"""`costaudit doctor`: what a log is, before time is spent on it."""

from costaudit.cli import options as opt
from costaudit.cli import values


def doctor(
    logs: opt.Logs,
    source: opt.Source = "auto",
    mapping: opt.Mapping = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    no_dedupe: opt.NoDedupe = False,
    format: opt.TableFormat = "terminal",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Show how a log is read, and what it can and can't tell."""
    from costaudit.cli.doctor_tables import diagnosis_line, diagnosis_tables
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import ingest_options, print_tables
    from costaudit.ingest.doctor import diagnose
    from costaudit.report.tables.table import FORMATS

    values.one_of(format, FORMATS, "--format")
    options = ingest_options(
        source, mapping, since, until, where, strict=False, dedupe=not no_dedupe, redact="mask"
    )
    with progress_on_stderr(quiet) as progress:
        found = diagnose(logs, options, progress)
    print_tables(diagnosis_tables(found), format, found, lead=diagnosis_line(found))
    return 0
