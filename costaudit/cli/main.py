"""The console script: parse, call the verb, and turn errors into a message and an exit code."""

import errno
import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from costaudit import __version__
from costaudit.cli import (
    analyze,
    claims,
    clusters,
    compare,
    debug,
    demo,
    doctor,
    erase,
    forecast,
    gate,
    ingest,
    judge,
    levers,
    monitor,
    prefix,
    prices,
    replay,
    report,
    route,
    schema,
    sessions,
    spend,
    sweep,
    warm,
)
from costaudit.cli.process import check_memory_limit, open_streams, say, signals_interrupt
from costaudit.cli.verb import add_verb
from costaudit.engine.hub import without_telemetry
from costaudit.errors import CostauditError, UsageError

SIGNALLED = 128  # plus the signal's number, as in shells
INTERRUPTED = 130
YOUNG = 50_000  # new objects between two searches for unreachable ones, which take 5% of an audit
NOT_WRITTEN = {  # why a file could not be written, and the next step
    errno.EFBIG: (
        "A file could not be written: it is larger than this shell allows (ulimit -f).",
        "Raise the limit and run the same command again: what was done so far is kept.",
    ),
    errno.ENOSPC: (
        "A file could not be written: there is no space left on the device.",
        "Free some space and run the same command again: what was done so far is kept.",
    ),
}

app = typer.Typer(
    name="costaudit",
    help="Audit LLM request logs: what caching and other levers would have saved, and how safely.",
    epilog="Start with:  costaudit analyze LOG    Exit codes: 0 done, 1 internal failure, "
    "2 usage or input, 3 gate failed, 4 not enough data, 5 backend failed.",
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
VERBS = (
    analyze.analyze,
    doctor.doctor,
    ingest.ingest,
    spend.spend,
    forecast.forecast,
    sweep.sweep,
    clusters.clusters,
    prefix.prefix,
    sessions.sessions,
    levers.levers,
    judge.judge,
    route.route,
    replay.replay,
    warm.warm,
    monitor.monitor,
    compare.compare,
    gate.gate,
    report.report,
    prices.prices,
    claims.claims,
    demo.demo,
    schema.schema,
    erase.erase,
    debug.debug,
)
for verb in VERBS:
    add_verb(app, verb)


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Define the options that come before the verb."""
    if version:
        typer.echo(f"costaudit {__version__}")
        raise typer.Exit


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code; print errors to stderr, without a traceback.

    `--debug` anywhere on the command line, or COSTAUDIT_DEBUG=1, shows tracebacks.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # our own threads divide matrix products
    gc.set_threshold(YOUNG)
    without_telemetry()
    open_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or os.environ.get("COSTAUDIT_DEBUG") == "1"
    arguments = [argument for argument in arguments if argument != "--debug"] or ["--help"]
    with signals_interrupt() as came:
        try:
            check_memory_limit()
            result = app(arguments, standalone_mode=False)
            if result == INTERRUPTED:  # how the parser reports an interruption
                raise KeyboardInterrupt
        except (KeyboardInterrupt, typer.Abort):
            _say(
                "Interrupted.", "What was done so far is kept: run the same command again to go on."
            )
            return SIGNALLED + came[0] if came else INTERRUPTED
        except SystemExit as end:
            if not isinstance(end.__context__, BrokenPipeError):
                raise
            return 0  # the reader, such as `head`, has enough; the parser ends with 1
        except Exception as error:
            if debug:
                raise
            return _said(error)
    return result if isinstance(result, int) else 0


def _said(error: Exception) -> int:
    """Print the error that ended a verb, and return the exit code."""
    if isinstance(error, CostauditError):
        _say(error.message, error.hint)
        return error.exit_code
    return _unforeseen(error)


def _unforeseen(error: Exception) -> int:
    """Print what an exception from the parser or a defect means, and return the exit code."""
    if isinstance(error, OSError) and error.errno in NOT_WRITTEN and not error.filename:
        _say(*NOT_WRITTEN[error.errno])
        return UsageError.exit_code
    if isinstance(error, MemoryError):
        _say("There is not enough memory.", "Use a larger machine, or read a part of the log.")
        return UsageError.exit_code
    if isinstance(error, OSError) and error.strerror:
        _say(
            f"{error.filename or 'A file'}: {error.strerror}.",
            "Check the path, its permissions and the free space.",
        )
        return UsageError.exit_code
    if isinstance(error, ModuleNotFoundError) and error.name:
        _say(f"This needs the package {error.name}.", f"Run `pip install {error.name}`.")
        return UsageError.exit_code
    exit_code = getattr(error, "exit_code", None)
    if isinstance(exit_code, int):
        text = getattr(error, "format_message", lambda: "")()
        if text:
            sentence = text if text.endswith(("?", ".")) else f"{text}."
            _say(sentence, "See `costaudit --help`, or `costaudit VERB --help`.")
        return exit_code
    _say(
        f"Internal failure: {type(error).__name__}: {error}.",
        "This is a defect: run again with --debug and report the traceback.",
    )
    return 1


def _say(message: str, hint: str) -> None:
    say("\n".join([f"costaudit: {message}", *([f"  {hint}"] if hint else [])]), "  ", err=True)
