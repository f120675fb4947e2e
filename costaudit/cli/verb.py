"""Add to every verb: -h, examples, and the options about its output."""

import inspect
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from costaudit.cli.examples import EXAMPLES
from costaudit.cli.options import Engine, Mapping, Source

_PRINTS_TABLES = {"spend", "sweep", "clusters", "prefix", "levers", "doctor", "judge", "replay",
                  "sessions", "forecast", "route", "claims"}  # fmt: skip
_KEEPS_ITS_RUN = {"analyze", "ingest", "judge", "replay", "warm", "demo", "route"}


@dataclass
class _Running:
    """The running verb: how it reads and prints, and its temporary folder."""

    every_row: bool = False
    source: str = "auto"
    maps: tuple[str, ...] = ()
    engine: str = "pool"
    keeps_its_run: bool = True
    said_first: str = ""
    scratch: Path | None = None
    closing: ExitStack = field(default_factory=ExitStack)


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
        made = now.closing.enter_context(tempfile.TemporaryDirectory(prefix="costaudit-"))
        now.scratch = Path(made) / "run"
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
            every_row=bool(told.get("all")),
            source=told.get("source", "auto"),
            maps=tuple(told.get("mapping") or ()),
            engine=told.get("engine", "pool"),
            keeps_its_run=verb.__name__ in _KEEPS_ITS_RUN,
        )
        token = _RUNNING.set(now)
        try:
            with using(wanted), standing_for("month"), now.closing:
                return verb(*arguments, **options)
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
