"""`costaudit sessions`: show what agents' sessions cost, and why."""

from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli import values


def sessions(
    logs: opt.Logs,
    out: opt.Out = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = "auto",
    session: Annotated[
        str,
        typer.Option(
            "--session",
            metavar="ID",
            help="Show only this session: its turns and calls. [default: all sessions]",
        ),
    ] = "",
    format: opt.TableFormat = "terminal",
    quiet: opt.Quiet = False,
    config: opt.Config = None,
) -> int:
    """Show what sessions of agents cost, and why.

    Also shows the cheapest cache lifetime for each.

    A session is one by the log's own name, or else a conversation. Its causes add up to its spend.
    """
    from costaudit.cli.session import loaded_run, part_of_log, print_tables
    from costaudit.pipeline.sessions.section import no_sessions, sessions_of
    from costaudit.pipeline.settings import AnalyzeOptions
    from costaudit.report.tables.sessions import sessions_line, sessions_tables
    from costaudit.report.tables.table import FORMATS

    values.one_of(format, FORMATS, "--format")
    options = AnalyzeOptions(
        ingest=part_of_log(since, until, where),
        prices=prices,
        cost_mode=values.cost_mode(cost_mode),
    )
    log = loaded_run(logs, out, options, quiet=quiet)
    section = sessions_of(log, session=session)
    if section is None:
        raise no_sessions()
    print_tables(sessions_tables(section), format, section, lead=sessions_line(section))
    return 0
