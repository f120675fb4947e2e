"""Replay a log through a live cache, and reject rules that the cache can't apply."""

import gc
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

from costaudit.errors import BackendError, CostauditError, UsageError
from costaudit.providers.call import Answer
from costaudit.replay.cache import CacheSettings, LiveCache, SizeLimit, notes_of
from costaudit.replay.journal import Header, Journal
from costaudit.replay.open_loop import replay_by_clock
from costaudit.replay.options import ReplayOptions
from costaudit.replay.result import ReplayResult, result_of
from costaudit.replay.sequential import kept_before, replay_by_log
from costaudit.replay.steps import Steps, Watchers, Workload
from costaudit.replay.stream import ReplayStream
from costaudit.replay.upstream import Upstream


def check_rules(cache: LiveCache, upstream: Upstream, options: ReplayOptions) -> None:
    """Raise UsageError for a rule that this cache can't apply."""
    if options.max_entries is not None:
        _check_size(cache, upstream, options)
    if options.guard and not cache.traits.keeps_rules:
        raise UsageError(
            f"{cache.traits.name} serves every entry that is similar enough, so it can't apply a "
            "guard: the application around it must.",
            hint="Replay through memory://, which applies guards, or leave --guard out.",
        )


def _check_size(cache: LiveCache, upstream: Upstream, options: ReplayOptions) -> None:
    if not cache.traits.keeps_rules:
        raise UsageError(
            f"{cache.traits.name} can't be limited to {options.max_entries:,} entries a scope: it "
            "evicts by its own memory, if at all.",
            hint="Replay through memory://, which evicts like the simulation, or leave "
            "--max-entries out and set maxmemory and maxmemory-policy on the server.",
        )
    if upstream.is_live:
        raise UsageError(
            "A cache of limited size can only be replayed with the log's own answers.",
            hint="Leave --upstream out, or --max-entries.",
        )
    if options.resume_path is not None:
        raise UsageError(
            "A replay through a cache of limited size keeps no journal, because a journal does not "
            "record when each entry was used.",
            hint="Leave the journal out; the replay starts again, and costs nothing.",
        )


class ReplayInterruptedError(CostauditError):
    """The user stopped the replay."""

    exit_code = 130  # as shells report ctrl-C


def replay(
    work: Workload,
    cache: LiveCache,
    upstream: Upstream,
    options: ReplayOptions,
    watchers: Watchers,
) -> ReplayResult:
    """Send all requests through `cache`, in order, and return what was measured.

    A run that stops early leaves its journal at `options.resume_path`, and the same call continues
    it. Raises BackendError if the cache, the model or the budget fails, and ReplayInterruptedError
    at Ctrl-C or SIGTERM.
    """
    check_rules(cache, upstream, options)
    stream, progress = work.stream, watchers.progress
    header = Header(stream.digest, _settings_line(options, cache, upstream), _new_prefix())
    with (
        Journal(options.resume_path, header, restart=options.restart) as journal,
        _terminable(),
        _frozen_heap(),
    ):
        before = len(journal.done)
        steps = Steps(work, cache, upstream, journal, options, watchers)
        progress.start("replay", len(stream), "requests")
        progress.advance(before)
        settings = CacheSettings(
            texts=work.texts,
            vectors=work.vectors,
            min_similarity=options.min_similarity,
            prefix=journal.header.prefix,
            ttl_s=options.ttl_s,
            ttl_kind=options.ttl_kind,
            speed=options.speed,
            shadow=options.shadow,
            resumed=before > 0,
            prompts=stream.prompts,
            concurrency=options.concurrency,
            size=_size_limit(stream, options),
            guard=work.guard,
            isolate=options.isolate,
            lasting=options.keep,
            answers=stream.answers,
            scopes=stream.scopes,
        )
        try:
            _drive(steps, cache, settings, journal)
        except KeyboardInterrupt:
            raise ReplayInterruptedError(
                f"Stopped after {len(journal.done):,} of {len(stream):,} requests.",
                hint=_how_to_go_on(options),
            ) from None
        except BackendError as error:
            raise BackendError(
                f"{error.message} {len(journal.done):,} of {len(stream):,} requests are done.",
                hint=f"{error.hint} {_how_to_go_on(options)}".strip(),
            ) from error
        result = result_of(
            stream,
            journal.done,
            options,
            resumed=before,
            cache=cache.traits.name,
            prefix=journal.header.prefix,
        )
    progress.finish()
    return replace(result, notes=(*result.notes, *notes_of(cache)))


@contextmanager
def _frozen_heap() -> Iterator[None]:
    """Keep what exists already out of garbage collections: models are large, and requests wait."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM stop the replay like Ctrl-C; only the main thread receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _drive(steps: Steps, cache: LiveCache, settings: CacheSettings, journal: Journal) -> None:
    cache.open(settings)
    try:
        journal.begin()
        todo = steps.todo()
        clock_s = float(steps.stream.ts_s[todo[0]]) if todo else 0.0
        arriving: list[tuple[int, Answer]] = []
        for kept in kept_before(steps.stream, journal.done, settings):
            if kept.ready_s > clock_s:
                arriving.append((kept.index, kept.answer))
            elif settings.ttl_s is None or kept.since_s + settings.ttl_s > clock_s:
                cache.store(steps.entry(kept.index, kept.answer.text, kept.since_s), clock_s)
        if settings.speed is None:
            replay_by_log(steps, todo, arriving)
        else:
            replay_by_clock(steps, todo, arriving, settings.speed)
    except BaseException:
        with suppress(BackendError):  # report the first failure
            cache.close(keep=steps.options.keep)
        raise
    cache.close(keep=steps.options.keep)


def _size_limit(stream: ReplayStream, options: ReplayOptions) -> SizeLimit | None:
    if options.max_entries is None:
        return None
    pools = stream.partitions if stream.pools is None else stream.pools
    return SizeLimit(options.max_entries, options.eviction, pools, stream.ready_s)


def _settings_line(options: ReplayOptions, cache: LiveCache, upstream: Upstream) -> str:
    """Return one line with all that decides hits, so that no other run continues this journal."""
    return (
        f"cache={cache.traits.name} upstream={upstream.name} "
        f"min_similarity={options.min_similarity:g} "
        f"ttl={options.ttl_s} {options.ttl_kind} speed={options.speed} shadow={options.shadow} "
        f"isolate={options.isolate} "
        f"guard={'+'.join(options.guard) or None}"
    )


def _new_prefix() -> str:
    return f"costaudit:{secrets.token_hex(6)}"


def _how_to_go_on(options: ReplayOptions) -> str:
    if options.resume_path is None:
        return "It has no journal: the same command starts from the beginning."
    return f"Run the same command again; it continues from {options.resume_path}."
