"""`costaudit erase`: remove a person's records from a run."""

from typing import Annotated

import typer

from costaudit.cli import options as opt
from costaudit.cli.process import say


def erase(
    run: opt.Written,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help="Whose data, such as user=alice. If repeated, all conditions must hold. Required.",
        ),
    ] = None,
    config: opt.Config = None,
) -> int:
    """Erase a person's requests, texts and vectors from a run.

    Removes results of the whole run too (audit, report, replays, verdicts); they can be made again.
    The log itself does not change.
    """
    from costaudit.contracts.run_dir import RunDir
    from costaudit.pipeline.erase import erase as take_out
    from costaudit.report.language import tr
    from costaudit.report.numbers import count

    done = take_out(RunDir(run), tuple(where or ()))
    told = tr("{requests} requests, {texts} texts and {vectors} vectors erased.")
    say(
        told.format(
            requests=count(done.requests), texts=count(done.blocks), vectors=count(done.vectors)
        )
    )
    if done.files:
        told = tr("Removed: {names}. Make them again: costaudit analyze {run}")
        say(told.format(names=", ".join(done.files), run=run))
    say(tr("The log itself still holds them."))
    return 0
