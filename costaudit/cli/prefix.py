"""`costaudit prefix`: show prompt caching, and what breaks it."""

from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli import values


def prefix(
    logs: opt.Logs,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = "auto",
    show_prompts: opt.ShowPrompts = False,
    self_hosted: Annotated[
        bool,
        typer.Option(
            "--self-hosted",
            help="Show what a self-hosted server (vLLM, SGLang) would reuse, by cache size.",
        ),
    ] = False,
    block_tokens: Annotated[
        int,
        typer.Option(
            "--block-tokens", metavar="N", min=1, help="Block size of that server, in tokens."
        ),
    ] = 512,
    capacities: Annotated[
        str,
        typer.Option(
            "--capacities", metavar="N,...", help="Cache sizes, in blocks. [default: powers of 2]"
        ),
    ] = "",
    format: opt.TableFormat = "terminal",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Show how much of the prompts is static, and what breaks it.

    The same traffic is priced under the rules of every provider, side by side.
    """
    from costaudit.cli.session import loaded_run, part_of_log, print_tables
    from costaudit.pipeline.memory import PREFIX
    from costaudit.pipeline.prompt_caching import PromptCaches, self_hosted_curve
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.tables.prefix import capacity_table, prefix_tables

    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where),
        prices=prices,
        cost_mode=values.cost_mode(cost_mode),
        show_prompts=show_prompts,
    )
    log = loaded_run(logs, out, options, quiet=quiet, need=PREFIX)
    log = log.without_prompts("request_id", "native_id")
    if self_hosted:
        sizes = tuple(values.whole(text, "--capacities") for text in values.names(capacities))
        points = self_hosted_curve(log, block_tokens, sizes or None)
        print_tables([capacity_table(points, block_tokens)], format, points)
        return 0
    section = PromptCaches(log, show_prompts=show_prompts).section()
    print_tables(prefix_tables(section), format, section)
    return 0
