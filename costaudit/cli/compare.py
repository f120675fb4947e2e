"""`costaudit compare`: two audits side by side."""

import os
import sys
from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli import values

_FORMATS = ("terminal", "md", "json")


def compare(
    base: opt.Audited,
    new: opt.Audited,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="terminal, md or json.")
    ] = "terminal",
    no_color: opt.NoColor = False,
    config: opt.Config = None,
) -> int:
    """Show what changed between two audits, beyond the noise."""
    import msgspec

    from costaudit.cli.session import audit_at, terminal_width
    from costaudit.pipeline.change import causes_of_change
    from costaudit.pipeline.semantic.store import centres_of
    from costaudit.report.compare import compare as compared
    from costaudit.report.comparison import comparison_markdown, comparison_terminal

    values.one_of(format, _FORMATS, "--format")
    audits = audit_at(base), audit_at(new)
    centres = centres_of(base, audits[0].semantic), centres_of(new, audits[1].semantic)
    found = compared(*audits, centres, causes_of_change(*audits))
    if format == "json":
        data = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    elif format == "md":
        data = comparison_markdown(found)
    else:
        color = not no_color and "NO_COLOR" not in os.environ and sys.stdout.isatty()
        data = comparison_terminal(found, width=terminal_width(), color=color)
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
    return 0
