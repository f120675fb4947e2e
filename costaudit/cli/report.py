"""`costaudit report`: an audit once more, in another form."""

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli import options as opt


def report(
    run: opt.Audited,
    format: opt.Format = "terminal",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write here. [default: standard output]"),
    ] = None,
    no_color: opt.NoColor = False,
    config: opt.Config = None,
) -> int:
    """Render an audit: terminal, html, md, json, csv or focus."""
    from costaudit.cli.session import audit_at, deliver

    deliver(audit_at(run), format, out, run=run, color=not no_color)
    return 0
