"""`costaudit prices`: the price that an audit would use, its date and its source."""

from typing import Annotated

import typer

from costaudit.cli import options as opt


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
    from costaudit.costing.prices.lookup import quote
    from costaudit.report.language import said

    told = quote(model, provider, moment(date, "--date"), overrides)
    typer.echo("\n".join(map(said, told.splitlines())))
    return 0
