"""`costaudit spend`: who and what costs."""

from costaudit.cli import options as opt
from costaudit.cli import values


def spend(
    logs: opt.Logs,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = "auto",
    invoice_usd: opt.Invoice = "",
    format: opt.TableFormat = "terminal",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Show spend by endpoint, tenant, model, day and hour."""
    from costaudit.cli.run import loaded_run, part_of_log, print_tables
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.spend_tables import spend_line, spend_tables
    from costaudit.report.table import FORMATS

    values.one_of(format, FORMATS, "--format")
    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where),
        prices=prices,
        cost_mode=values.cost_mode(cost_mode),
        invoice_usd=values.dollars(invoice_usd, "--invoice-usd") if invoice_usd else None,
    )
    found = loaded_run(logs, out, options, quiet=quiet).spend
    print_tables(spend_tables(found), format, found, lead=spend_line(found))
    return 0
