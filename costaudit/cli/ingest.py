"""`costaudit ingest`: only read logs into a run directory."""

from dataclasses import replace

from costaudit.cli import options as opt
from costaudit.cli.process import say


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
    with progress_on_stderr(quiet) as progress:
        summary = read(logs, run, options, progress)
    lost = lost_files(file.source for file in summary.files)
    if lost:
        say(f"costaudit: {lost}", "  ", err=True)
    say(shown_run(run.path))
    return 0
