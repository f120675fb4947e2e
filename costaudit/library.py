"""The library: the command line's audits as functions that return typed values."""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import msgspec
import polars as pl

from costaudit.contracts.audit import Audit, read_audit
from costaudit.contracts.prefix import PrefixSection
from costaudit.contracts.run_dir import RunDir, atomic_write
from costaudit.contracts.semantic import SemanticSection
from costaudit.errors import InputError, UsageError
from costaudit.progress import Progress, SilentProgress
from costaudit.scratch import scratch_folder

if TYPE_CHECKING:
    from costaudit.pipeline.loaded import Loaded
    from costaudit.pipeline.settings import AnalyzeOptions

Place: TypeAlias = str | PathLike[str]
_Path = TypeVar("_Path", bound=str | PathLike[str] | None)
NOTEBOOK_COLUMNS = 100  # width of the summary that a notebook shows
_NOT_SETTINGS = {
    "logs": "The log is the first argument.",
    "format": "Use Result.to_html and Result.to_markdown.",
    "quiet": "The library prints nothing.",
    "no_color": "The library prints nothing.",
    "config": "Read the file yourself, and give its values as settings.",
}


def analyze(
    log: Any,
    mapping: Place | Mapping[str, str] | None = None,
    *,
    out: Place | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> "Result":
    """Audit a log and return the result.

    `log` is a path or address, a sequence of these, a run directory, or a table: a Polars or pandas
    frame, an Arrow table, or any object that exports an Arrow stream. `mapping` says which column
    or field holds which of costaudit's fields: a dict, or a TOML or JSON file as for `--map`. The
    settings are the options of `costaudit analyze` with underscores, for example `ttl="24h"`,
    `max_wrong=0.005`, `scope=["tenant", "model"]`, `since=datetime(2026, 11, 1)`.

    With `out`, the run directory, its audit.json and its report.html are written there; it may be
    an address such as `s3://bucket/run`, and then `Result.run` is a local copy. Without it,
    nothing is kept: the tables are in a temporary folder that is removed together with the result.
    If the log is a run directory, it is used in place, and its audit.json doesn't change. Raise the
    exceptions of `costaudit.errors`.
    """
    from costaudit.pipeline.analyze import analyze as audited
    from costaudit.pipeline.analyze import analyze_and_write

    asked = _option_texts(settings)
    with _stored(out, writes=True) as out, _as_inputs(log, mapping) as (inputs, fields):
        options = _options({**asked, "mapping": [str(fields)] if fields else None})
        run = _run_directory(inputs, out, isinstance(log, str | PathLike))
        kept = ExitStack()
        result = Result(run or RunDir(kept.enter_context(scratch_folder("result-"))), asked)
        weakref.finalize(result, kept.close)
        work = audited if out is None else analyze_and_write
        result.__dict__["audit"] = work(inputs, result.run, options, progress or SilentProgress())
    return result


def open_run(path: Place) -> "Result":
    """Return the result of an earlier audit from its run directory.

    `path` may be an address such as `s3://bucket/run`. Raise RunDirError if it isn't a run
    directory. If the log was only ingested, the tables
    exist, but `Result.audit` raises RunDirError.
    """
    with _stored(path, writes=False) as folder:
        run = RunDir(Path(folder))
    run.manifest()
    return Result(run, {})


class Result:
    """An audit, its tables, and further analyses of them."""

    def __init__(self, run: RunDir, settings: Mapping[str, Any]) -> None:
        self.run = run  # the tables' run directory; a temporary folder if nothing is kept
        self._settings = dict(settings)  # in the form of command-line options
        self._loaded: tuple[AnalyzeOptions, Loaded] | None = None

    @cached_property
    def audit(self) -> Audit:
        """Everything that a report shows, as typed values; raise RunDirError if there is none."""
        return read_audit(self.run.audit_path)

    @cached_property
    def requests(self) -> pl.DataFrame:
        """One row per logged call, as in `requests.parquet`."""
        return self.run.requests()

    @cached_property
    def blocks(self) -> pl.DataFrame:
        """One row per distinct piece of content, as in `blocks.parquet`."""
        return self.run.blocks()

    @cached_property
    def skips(self) -> pl.DataFrame:
        """One row per record that isn't a request of its own, with the reason."""
        return self.run.skips()

    def sweep(
        self, *, approx: bool = False, progress: Progress | None = None, **settings: Any
    ) -> SemanticSection:
        """Return what a semantic cache would do at each threshold, like `costaudit sweep`.

        `settings` override those of `analyze`. `ttl` may be a list, and `ttl_kind` may be "both":
        then `SemanticSection.lifetimes` compares them. `approx` searches similar texts
        approximately. Raise InsufficientDataError if the log has no questions to compare.
        """
        from costaudit.cli.sweep import read_lifetimes
        from costaudit.pipeline.loaded import nothing_to_compare
        from costaudit.pipeline.semantic.section import swept

        asked = {**self._settings, **_option_texts(settings)}
        lifetimes = read_lifetimes(asked.get("ttl", ""), asked.get("ttl_kind", "fixed"))
        first_ttl, first_kind = lifetimes[0]
        asked.update(ttl="" if first_ttl is None else f"{first_ttl!r}s", ttl_kind=first_kind)
        options = replace(
            _options(asked),
            approximate=approx,
            lifetimes=lifetimes if len(lifetimes) > 1 else (),
        )
        log = self._log(options)
        result = swept(log, options, progress or SilentProgress())
        if result is None:
            raise nothing_to_compare(log, options.policy)
        return result.section

    def prefix(self, **settings: Any) -> PrefixSection:
        """Return what the provider's prompt caching does and could do, like `costaudit prefix`.

        `settings` override those of `analyze`.
        """
        from costaudit.pipeline.prompt_caching import PromptCaches

        options = _options({**self._settings, **_option_texts(settings)})
        return PromptCaches(self._log(options), show_prompts=options.show_prompts).section()

    def to_html(self, path: Place) -> Path:
        """Write the report as one HTML file and return its path."""
        return self._write(path, "html")

    def to_markdown(self, path: Place | None = None) -> str:
        """Return the report as Markdown, and write it to `path` if one is given."""
        if path is not None:
            self._write(path, "md")
        return self._rendered("md").decode()

    def _rendered(self, form: Literal["html", "md"]) -> bytes:
        from costaudit.report.reporters import render

        return render(self.audit, form)

    def _write(self, path: Place, form: Literal["html", "md"]) -> Path:
        target = Path(path)
        if target.is_dir():
            raise UsageError(f"{target} is a folder.", hint="Name a file to write.")
        with atomic_write(target) as part:
            part.write_bytes(self._rendered(form))
        return target

    def _log(self, options: "AnalyzeOptions") -> "Loaded":
        from costaudit.pipeline.loaded import ingested

        if self._loaded is None or self._loaded[0] != options:
            silent = SilentProgress()
            self._loaded = options, ingested([str(self.run.path)], self.run, options, silent)
        return self._loaded[1]

    def __repr__(self) -> str:
        return f"Result({str(self.run.path)!r})"

    def _repr_html_(self) -> str:
        """Return the summary for notebooks: the verdict, the waterfall and what to do first."""
        from costaudit.report.terminal import TerminalReporter

        text = TerminalReporter(width=NOTEBOOK_COLUMNS).render(self.audit).decode()
        return f'<pre style="line-height: 1.25">{escape(text)}</pre>'


@contextmanager
def _stored(path: _Path, *, writes: bool) -> Iterator[_Path | Path]:
    """Yield a path as it is; for a run on object storage, yield its local copy."""
    from costaudit.pipeline.stored_run import stored_run, url_of

    url = None if path is None else url_of(path)
    if url is None:
        yield path
        return
    with stored_run(url, writes=writes) as folder:
        yield folder


def _run_directory(inputs: Sequence[str], out: Place | None, named: bool) -> RunDir | None:
    """Return the run directory: `out`, or the log if it is one; None if nothing is kept."""
    if out is not None:
        return RunDir(Path(out))
    if named and RunDir.is_run(Path(inputs[0])):
        return RunDir(Path(inputs[0]))
    return None


@contextmanager
def _as_inputs(
    log: Any, mapping: Place | Mapping[str, str] | None
) -> Iterator[tuple[list[str], Path | None]]:
    """Yield the log as paths, and the mapping as a file; remove temporary files afterwards."""
    with scratch_folder("table-") as folder:
        fields = Path(mapping) if isinstance(mapping, str | PathLike) else None
        if isinstance(mapping, Mapping):
            fields = folder / "mapping.json"
            fields.write_bytes(msgspec.json.encode(dict(mapping)))
        if isinstance(log, str | PathLike):
            yield [str(log)], fields
        elif isinstance(log, Sequence) and all(isinstance(one, str | PathLike) for one in log):
            yield [str(one) for one in log], fields
        else:
            path = folder / "table.parquet"
            _frame(log).write_parquet(path)
            yield [str(path)], fields


def _frame(log: Any) -> pl.DataFrame:
    """Return a table of any supported library as a Polars frame; else raise InputError."""
    if isinstance(log, pl.LazyFrame):
        return log.collect()
    if isinstance(log, pl.DataFrame):
        return log
    if hasattr(log, "__arrow_c_stream__"):  # pandas, Arrow, DuckDB and others
        return pl.DataFrame(log)
    raise InputError(
        f"A log can't be read from {type(log).__name__}.",
        hint="Use a path, a list of paths, or a Polars, pandas or Arrow table.",
    )


def _options(asked: Mapping[str, Any]) -> "AnalyzeOptions":
    from costaudit.cli.analyze import Asked

    return Asked(**asked).options()


def _defaults() -> dict[str, Any]:
    """Return the options of `costaudit analyze` with their defaults, by name."""
    from costaudit.cli.analyze import Asked

    return {one.name: one.default for one in fields(Asked)}


def _option_texts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in the form of command-line options; raise UsageError for unknown ones."""
    known = _defaults()
    for name in settings:
        if name in known:
            continue
        near = get_close_matches(name, known, n=1)
        hint = _NOT_SETTINGS.get(name) or (f"Did you mean {near[0]}?" if near else "")
        raise UsageError(
            f"There is no setting {name!r}.", hint=hint or f"Choose from {', '.join(known)}."
        )
    return {
        name: _text(name, value, known[name])
        for name, value in settings.items()
        if value is not None
    }


@dataclass(frozen=True)
class _Kind:
    """The names of the settings that aren't text, by type."""

    # options that may be repeated
    lists: tuple[str, ...] = ("where", "lever", "effort_usd", "invoice", "invoice_rate")
    numbers: tuple[str, ...] = ("max_entries", "seed", "horizon")
    paths: tuple[str, ...] = ("prices", "commitments")


_KIND = _Kind()


def _text(name: str, value: Any, default: Any) -> Any:
    """Return one setting in its command-line form; a string is one item, not its characters."""
    if name in _KIND.lists:
        pairs = [f"{key}={one}" for key, one in value.items()] if isinstance(value, Mapping) else []
        return pairs or ([value] if isinstance(value, str) else list(value))
    if name in _KIND.paths and isinstance(value, str | PathLike):
        return Path(value)
    if isinstance(default, bool) or name in _KIND.numbers:
        if isinstance(value, bool) is isinstance(default, bool) and isinstance(value, int):
            return value
        raise UsageError(f"{name}={value!r} can't be used.", hint=f"The default is {default!r}.")
    if isinstance(value, bool):
        raise UsageError(f"{name}={value!r} can't be used.", hint=f"The default is {default!r}.")
    return _written(name, value)


def _written(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, date):  # includes datetime, a subclass
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds()!r}s"
    if isinstance(value, int | float | Decimal):
        return f"{value}"
    if isinstance(value, Sequence):
        return ",".join(_written(name, one) for one in value)
    raise UsageError(
        f"{name}={value!r} can't be used.", hint="Write it as text, as on the command line."
    )
