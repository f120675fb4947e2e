"""`costaudit prefix`: prompt caching, and what breaks it."""

from costaudit.cli import options as opt
from costaudit.cli import values


def prefix(
    logs: opt.Logs,
    out: opt.Out = None,
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = "auto",
    show_prompts: opt.ShowPrompts = False,
    format: opt.TableFormat = "terminal",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Show the static share of prompts, what breaks it, and providers side by side."""
    from costaudit.cli.run import loaded_run, print_tables
    from costaudit.pipeline.prompt_caching import PromptCaches
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.prefix_tables import prefix_tables

    options = AnalyzeOptions(
        prices=prices, cost_mode=values.cost_mode(cost_mode), show_prompts=show_prompts
    )
    log = loaded_run(logs, out, options, quiet=quiet)
    section = PromptCaches(log, show_prompts=show_prompts).section()
    print_tables(prefix_tables(section), format, section)
    return 0
