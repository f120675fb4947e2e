"""`costaudit report`: print an audit in another format, or the audit of a part of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.errors import UsageError

if TYPE_CHECKING:
    from costaudit.contracts.audit import Audit


def report(
    run: opt.Audited,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help="Audit only this part of the run; != leaves rows out. The log is not read again. "
            "[default: all]",
        ),
    ] = None,
    format: opt.Format = "terminal",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write here. [default: standard output]"),
    ] = None,
    show_prompts: opt.ShowPrompts = False,
    quiet: opt.Quiet = False,
    no_color: opt.NoColor = False,
    config: opt.Config = None,
) -> int:
    """Render an audit: terminal, html, md, json, csv or focus.

    With --where, the audit of a part of the run is computed first, with default settings and the
    run's own embedder; --show-prompts applies only to that audit.
    """
    from costaudit.cli.session import audit_at, deliver
    from costaudit.report.reporters import reporter_named

    reporter_named(format)
    audit = _part(run, where, show_prompts, quiet) if where else audit_at(run)
    deliver(audit, format, out, run=None if where else run, color=not no_color)
    return 0


def _part(run: Path, where: list[str], show_prompts: bool, quiet: bool) -> "Audit":
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import audit_at
    from costaudit.contracts.policies import SemanticPolicy
    from costaudit.contracts.run_dir import RunDir
    from costaudit.pipeline.analyze import audit_of
    from costaudit.pipeline.loaded import load
    from costaudit.pipeline.settings import AnalyzeOptions

    held = RunDir(run)
    if not RunDir.is_run(run):
        raise UsageError(
            f"--where needs a run directory; {run} is not one.",
            hint="Name the folder that `costaudit analyze` or `costaudit ingest` wrote.",
        )
    whole = audit_at(run) if held.audit_path.is_file() else None
    section = whole.semantic if whole else None
    policy = SemanticPolicy(1.0, embedder=section.embedder if section else "minilm")
    options = AnalyzeOptions(policy=policy, show_prompts=show_prompts)
    with progress_on_stderr(quiet) as progress:
        return audit_of(load(held, options, where), options, progress)
