"""`costaudit spend`: show whose and which calls cost what."""

from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli import values
from costaudit.cli.progress import progress_on_stderr

_USUAL = "endpoint,tenant,model,day,hour"


def spend(
    logs: opt.Logs,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="NAME,...",
            help="Break it down by these: endpoint, tenant, user, provider, model, template, day, "
            "hour, session, agent, skill, branch. Questions are grouped by `costaudit clusters`, "
            "which embeds them.",
        ),
    ] = _USUAL,
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = "auto",
    invoice_usd: opt.Invoice = "",
    invoice: opt.InvoiceFiles = None,
    invoice_rate: opt.InvoiceRates = None,
    format: opt.TableFormat = "terminal",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Show spend by endpoint, tenant, user, model, template and time."""
    from costaudit.cli.session import (
        loaded_run,
        part_of_log,
        print_tables,
        run_path,
        say_of_log,
    )
    from costaudit.contracts.run_dir import RunDir
    from costaudit.pipeline.loaded import SPEND_GROUPS, spent_by
    from costaudit.pipeline.memory import PREFIX
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.pipeline.spending import spend_of_run
    from costaudit.report.language import stand_for
    from costaudit.report.tables.spend import spend_line, spend_tables
    from costaudit.report.tables.table import FORMATS

    values.one_of(format, FORMATS, "--format")
    names = tuple(values.one_of(name, SPEND_GROUPS, "--by") for name in values.names(by))
    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where),
        prices=prices,
        cost_mode=values.cost_mode(cost_mode),
        invoice_usd=values.dollars(invoice_usd, "--invoice-usd") if invoice_usd else None,
        invoice=tuple(invoice or ()),
        invoice_rates=values.rates(invoice_rate),
    )
    if "template" in names:
        log = loaded_run(logs, out, options, quiet=quiet, need=PREFIX)
        found = spent_by(log, options, names)
    else:
        run = RunDir(run_path(logs, out))
        with progress_on_stderr(quiet) as progress:
            named = None if by == _USUAL else names
            found, month = spend_of_run(logs, run, options, progress, named)
        stand_for(month.period, priced=found.has_price)
        say_of_log(run)
    print_tables(spend_tables(found), format, found, lead=spend_line(found))
    return 0
