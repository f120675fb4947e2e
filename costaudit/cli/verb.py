"""Add to every verb: -h, examples, and the options about its output."""

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from costaudit.cli.examples import EXAMPLES
from costaudit.cli.options import Audited, Baseline, Engine, Mapping, Out, Run, Source, Written
from costaudit.scratch import remove_left, scratch_folder

_PRINTS_TABLES = {"spend", "sweep", "clusters", "prefix", "levers", "doctor", "judge", "replay",
                  "sessions", "forecast", "route", "claims"}  # fmt: skip
_KEEPS_ITS_RUN = {"analyze", "ingest", "judge", "replay", "warm", "demo", "route"}
_READS = {"doctor": "CALLS", "spend": "TABLES", "prefix": "TABLES", "levers": "TABLES",
          "sessions": "TABLES", "forecast": "TABLES"}  # of a stored run; others: all  # fmt: skip


@dataclass
class _Running:
    """The running verb: how it reads and prints, and its temporary folder."""

    verb: str = ""
    every_row: bool = False
    source: str = "auto"
    maps: tuple[str, ...] = ()
    engine: str = "pool"
    said_first: str = ""
    scratch: Path | None = None
    stored: dict[Path, str] = field(default_factory=dict)  # local copy → URL of the run
    closing: ExitStack = field(default_factory=ExitStack)

    @property
    def keeps_its_run(self) -> bool:
        """Whether the verb writes a run directory that stays."""
        return not self.verb or self.verb in _KEEPS_ITS_RUN


_RUNS: dict[Any, bool] = {  # is it written?
    Out: True, Written: True, Run: False, Audited: False, Baseline: False,
}  # fmt: skip
_RUNNING: ContextVar[_Running] = ContextVar("costaudit_running")
Lang = Annotated[str, typer.Option("--lang", metavar="en|es", help="Language of the output.")]
Currency = Annotated[
    str, typer.Option("--currency", metavar="CODE", help="Currency of the output, with --rate.")
]
Rate = Annotated[
    str,
    typer.Option(
        "--rate",
        metavar="NUMBER",
        help="Price of one US dollar in that currency, such as 0.92. [default: 1, for USD]",
    ),
]
All = Annotated[
    bool,
    typer.Option("--all", help="Every row of every table. [default: the first 10]"),
]


def add_verb(app: typer.Typer, verb: Callable[..., int]) -> None:
    """Add a function as a verb, with the output options that all verbs share."""
    name = verb.__name__
    examples = EXAMPLES.get(name, (f"costaudit {name} --help",))
    app.command(
        name,
        epilog="\b\nExamples:\n" + "\n".join(f"  {one}" for one in examples),
        context_settings={"help_option_names": ["-h", "--help"]},
    )(_in_style(verb))


def _running() -> _Running:
    return _RUNNING.get(_Running())


def every_row() -> bool:
    """Return whether the running verb has --all."""
    return _running().every_row


def reading() -> tuple[str, tuple[str, ...], str]:
    """Return the running verb's log source, mappings and engine."""
    return _running().source, _running().maps, _running().engine


def shown_run(path: Path) -> str:
    """Return the URL of a run that is on object storage, or else its path."""
    return _running().stored.get(path, str(path))


def _with_copies(now: _Running, own: inspect.Signature, given: dict[str, Any]) -> dict[str, Any]:
    """Return a verb's arguments with a local copy for each run directory at a URL.

    The copy that the verb writes is committed when the verb has succeeded.
    """
    from costaudit.pipeline.stored_run import Reads, is_stored_run, stored_run, url_of

    def copy(path: str | Path, writes: bool, reads: Reads) -> Path | None:
        url = url_of(path)
        if url is None:
            return None
        held = {one: folder for folder, one in now.stored.items()}
        if url not in held:
            held[url] = now.closing.enter_context(stored_run(url, writes=writes, reads=reads))
            now.stored[held[url]] = url
        return held[url]

    changed = dict(given)
    for name, one in own.parameters.items():
        value = given.get(name)
        is_written = _RUNS.get(one.annotation)
        if is_written is not None and isinstance(value, Path):
            only_audit = one.annotation in (Audited, Baseline) and not given.get("where")
            reads = Reads.AUDIT if only_audit else Reads.ALL
            changed[name] = copy(value, is_written, reads) or value
    logs = given.get("logs") or []
    if len(logs) == 1 and (url := url_of(logs[0])) is not None and is_stored_run(url):
        reads = Reads[_READS.get(now.verb, "ALL")]
        changed["logs"] = [str(copy(url, now.keeps_its_run and not given.get("out"), reads))]
    return changed


def say_first(sentence: str) -> None:
    """Print a sentence above the running verb's tables."""
    _running().said_first = sentence


def said_first() -> str:
    """Return the sentences above the running verb's tables."""
    return _running().said_first


def scratch() -> Path | None:
    """Return a folder that is removed when the verb ends; None if the verb keeps its run."""
    now = _running()
    if now.keeps_its_run:
        return None
    if now.scratch is None:
        now.scratch = now.closing.enter_context(scratch_folder()) / "run"
    return now.scratch


def _in_style(verb: Callable[..., int]) -> Callable[..., int]:
    """Return a verb that runs with the shared options: language, currency, log source."""
    extra: dict[str, tuple[Any, Any]] = {
        "lang": (Lang, "en"),
        "currency": (Currency, "USD"),
        "rate": (Rate, ""),
    }
    if verb.__name__ in _PRINTS_TABLES:
        extra["all"] = (All, False)
    own = inspect.signature(verb)
    if "logs" in own.parameters and "mapping" not in own.parameters:
        extra |= {"source": (Source, "auto"), "mapping": (Mapping, None)}
        extra |= {"engine": (Engine, "pool")}

    @wraps(verb)
    def run(*arguments: Any, **options: Any) -> int:
        from costaudit.report.language import standing_for, style_of, using

        told = {name: options.pop(name, default) for name, (_, default) in extra.items()}
        wanted = style_of(told["lang"], told["currency"], told["rate"])
        now = _Running(
            verb=verb.__name__,
            every_row=bool(told.get("all")),
            source=told.get("source", "auto"),
            maps=tuple(told.get("mapping") or ()),
            engine=told.get("engine", "pool"),
        )
        remove_left()
        token = _RUNNING.set(now)
        try:
            with using(wanted), standing_for("month"), now.closing:
                return verb(*arguments, **_with_copies(now, own, options))
        finally:
            _RUNNING.reset(token)

    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in extra.items()
    ]
    parameters = [*own.parameters.values(), *added]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {**verb.__annotations__, **{n: a for n, (a, _) in extra.items()}}
    del run.__wrapped__
    return run
