"""`costaudit erase`: a person's records out of a run."""

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli import options as opt


def erase(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory to rewrite.")],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help="Whose data, such as user=alice. Of several, all must hold. Required.",
        ),
    ] = None,
    config: opt.Config = None,
) -> int:
    """Erase a person's requests, texts and vectors from a run.

    Results made of the whole run (audit, report, replays, verdicts) are removed and can be made
    again. The log itself is not touched.
    """
    from costaudit.contracts.run_dir import RunDir
    from costaudit.pipeline.erase import erase as take_out

    done = take_out(RunDir(run), tuple(where or ()))
    typer.echo(
        f"{done.requests:,} requests, {done.blocks:,} texts and {done.vectors:,} vectors erased."
    )
    if done.files:
        typer.echo(f"Removed: {', '.join(done.files)}. Make them again: costaudit analyze {run}")
    typer.echo("The log itself still holds them.")
    return 0
