"""`costaudit forecast`: the next month, and what made spend grow."""

from costaudit.cli import options as opt
from costaudit.cli import values


def forecast(
    logs: opt.Logs,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = "auto",
    seed: opt.Seed = 0,
    format: opt.TableFormat = "terminal",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Forecast the next month, and explain what made spend grow.

    Tests its interval on the log itself. Splits growth into requests, tokens per request, mix of
    models and prices, and names the causes of unusual days and longer prompts.
    """
    from costaudit.cli.session import loaded_run, part_of_log, print_tables
    from costaudit.pipeline.forecast import forecast_of
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.tables.forecast import forecast_line, forecast_tables
    from costaudit.report.tables.table import FORMATS

    values.one_of(format, FORMATS, "--format")
    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where),
        prices=prices,
        cost_mode=values.cost_mode(cost_mode),
        seed=seed,
    )
    found = forecast_of(loaded_run(logs, out, options, quiet=quiet))
    print_tables(forecast_tables(found), format, found, lead=forecast_line(found))
    return 0
