"""`costaudit report`: an audit once more, in another form."""

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli import options as opt


def report(
    run: opt.Run,
    format: opt.Format = "terminal",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write here. [default: standard output]"),
    ] = None,
    no_color: opt.NoColor = False,
) -> int:
    """Render the audit of a run: terminal, html, md, json, csv or focus."""
    from costaudit.cli.run import deliver
    from costaudit.contracts.audit import read_audit
    from costaudit.contracts.run_dir import RunDir

    audit = read_audit(RunDir(run).audit_path if run.is_dir() else run)
    deliver(audit, format, out, run=run, color=not no_color)
    return 0
