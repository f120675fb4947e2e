"""`costaudit levers`: find savings other than caching, and what to test."""

from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli import values

if TYPE_CHECKING:
    from costaudit.pipeline.loaded import Loaded


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
    from costaudit.errors import InsufficientDataError
    from costaudit.pipeline.ledger import levered
    from costaudit.pipeline.memory import LEVERS
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
    loaded = [loaded_run(logs, out, options, quiet=quiet, need=LEVERS)]
    unknown, lacks = _lacks(loaded[0])
    with progress_on_stderr(quiet) as progress:
        rows, tests = levered(loaded.pop(), options, progress)  # so that it can free the prompts
    if show:
        values.one_of(show, tuple(row.lever for row in rows) or ("none",), "--show")
        (row,) = [row for row in rows if row.lever == show]
        print_tables(lever_page(row), format, row)
        return 0
    if unknown and not any(row.units for row in rows):
        if tests:
            print_tables(lever_tables((), tests), format, tests)
        raise InsufficientDataError(unknown[0], hint=unknown[1])
    lead = [] if rows else [tr("No lever beside caching has evidence in this log."), *lacks]
    print_tables(lever_tables(rows, tests), format, (*rows, *tests), lead=" ".join(lead))
    return 0


def _lacks(log: "Loaded") -> tuple[tuple[str, str] | None, list[str]]:
    """Return why no lever can be priced, with the next step, and what else the log lacks."""
    import polars as pl

    from costaudit.contracts.requests import ANSWERED
    from costaudit.report.language import tr
    from costaudit.report.numbers import count

    requests, calls = log.requests, count(len(log.requests))
    answered = requests.select(
        pl.col("model", "answer_id").filter(ANSWERED),
        prompt=(pl.col("segments").list.len() > 0).filter(ANSWERED),
    )
    if answered.is_empty():
        return (
            tr("None of the {calls} calls was answered, so no lever can be judged.").format(
                calls=calls
            ),
            tr("`costaudit doctor LOG` shows their states; what failures cost is in `spend`."),
        ), []
    if log.tariff.billed.rate_ids.null_count() == len(requests):
        return (
            tr("None of the {calls} calls has a price, so no lever can be priced.").format(
                calls=calls
            ),
            tr("Name the rates of their models in a file: --prices FILE."),
        ), []
    lacks = []
    if not answered["prompt"].any():
        lacks.append(tr("It holds no prompts: tools, texts and repeated calls can't be judged."))
    if answered["answer_id"].null_count() == len(answered):
        lacks.append(tr("It holds no answers: their length, form and twins can't be judged."))
    if answered["model"].n_unique() == 1:
        lacks.append(
            tr("All calls are of one model: `costaudit route` tries another one on a sample.")
        )
    return None, lacks
