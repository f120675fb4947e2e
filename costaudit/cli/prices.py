"""`costaudit prices`: print the price that an audit uses, with its date and source."""

import sys
from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import columns_of, say


def prices(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As the log writes it.")],
    provider: Annotated[
        str,
        typer.Option(
            "--provider", metavar="NAME", help="openai, anthropic, aws, google, ... [default: any]"
        ),
    ] = "",
    date: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="Price of this day. [default: now]")
    ] = "",
    overrides: opt.Prices = None,
    config: opt.Config = None,
) -> int:
    """Print a model's rates, with their date and source.

    Rates are in dollars per million tokens.
    """
    from costaudit.cli.values import moment
    from costaudit.costing.prices.quote import quote
    from costaudit.report.language import said

    found = quote(model, provider, moment(date, "--date"), overrides)
    say("\n".join(found.lines(columns_of(sys.stdout), said)), "  ")
    return 0
