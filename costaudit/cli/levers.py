"""`costaudit levers`: find savings other than caching, and what to test."""

from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli import values


def levers(
    logs: opt.Logs,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = "auto",
    show: Annotated[
        str,
        typer.Option(
            "--show", metavar="NAME", help="Show one lever with its calls. [default: all levers]"
        ),
    ] = "",
    lever: opt.Levers = None,
    commitments: opt.Commitments = None,
    format: opt.TableFormat = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Show what levers other than caching save, after the caches.

    Embeds nothing. A cache for similar questions needs vectors of all texts: only `costaudit
    analyze LOG` includes it, and prices the levers on what it leaves.
    """
    from costaudit.cli.progress import progress_on_stderr
    from costaudit.cli.session import loaded_run, part_of_log, print_tables
    from costaudit.pipeline.ledger import levered
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.language import tr
    from costaudit.report.tables.levers import lever_page, lever_tables
    from costaudit.report.tables.table import FORMATS

    values.one_of(format, FORMATS, "--format")
    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where),
        prices=prices,
        cost_mode=values.cost_mode(cost_mode),
        levers=tuple(lever or ()),
        commitments=commitments,
        seed=seed,
    )
    loaded = [loaded_run(logs, out, options, quiet=quiet)]
    with progress_on_stderr(quiet) as progress:
        rows, tests = levered(loaded.pop(), options, progress)  # so that it can free the prompts
    if show:
        values.one_of(show, tuple(row.lever for row in rows) or ("none",), "--show")
        (row,) = [row for row in rows if row.lever == show]
        print_tables(lever_page(row), format, row)
        return 0
    lead = "" if rows else tr("No lever beside caching has evidence in this log.")
    print_tables(lever_tables(rows, tests), format, (*rows, *tests), lead=lead)
    return 0
