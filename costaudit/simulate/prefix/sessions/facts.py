"""Collect all facts about a log's sessions, in tokens."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.sessions import LifetimeName
from costaudit.simulate.prefix.caches.replay import logged_markers, replay
from costaudit.simulate.prefix.rules.rules import Assigned, assign_rules
from costaudit.simulate.prefix.sessions.causes import Calls, Seen, find_causes
from costaudit.simulate.prefix.sessions.lifetimes import (
    LifetimeRun,
    policies,
    run_lifetime,
    shared_within,
)
from costaudit.simulate.prefix.sessions.threads import Threads, find_threads
from costaudit.simulate.prefix.tree.prompts import Prompts, without_settings
from costaudit.simulate.prefix.tree.settings import FIELDS
from costaudit.simulate.segments import Ints

LIMITS: tuple[tuple[LifetimeName, int | None], ...] = (
    ("5 min", 300),
    ("1 h", 3_600),
    ("no limit", None),
)


@dataclass(frozen=True)
class SessionFacts:
    """The calls of all sessions."""

    threads: Threads
    calls: Calls
    assigned: Assigned
    billed: Ints  # (requests, INPUT_CLASSES)
    runs: tuple[LifetimeRun, ...]  # the bill under each lifetime
    shared: tuple[
        tuple[LifetimeName, Ints], ...
    ]  # by lifetime: tokens read with one cache per session
    simulated: tuple[LifetimeRun, Calls] | None  # if no call has read counters: the shortest
    # lifetime, and the causes under it


def session_facts(requests: pl.DataFrame, prompts: Prompts) -> SessionFacts | None:
    """Replay the sessions of a log; return None if no call names a session."""
    threads = find_threads(requests, prompts)
    if not len(threads.names):
        return None
    assigned = assign_rules(requests, prompts)
    markers = logged_markers(requests, prompts, assigned, _places(requests))
    as_is = replay(prompts, assigned, markers, prompts.sendable)
    seen = Seen(prompts, threads, assigned, markers, as_is)
    calls = find_causes(requests, seen)
    billed = requests.select(pl.col(INPUT_CLASSES).fill_null(0).clip(0)).to_numpy()
    together = one_cache_each(prompts, threads)
    runs = tuple(
        run_lifetime(prompts, threads, assigned, billed, policy) for policy in policies(assigned)
    )
    told = calls.counted[threads.session >= 0].any()
    return SessionFacts(
        threads=threads,
        calls=calls,
        assigned=assigned,
        billed=billed,
        runs=runs,
        shared=tuple((name, shared_within(together, threads, limit)) for name, limit in LIMITS),
        simulated=_simulated(requests, seen, runs[1]) if len(runs) > 1 and not told else None,
    )


def _simulated(requests: pl.DataFrame, seen: Seen, run: LifetimeRun) -> tuple[LifetimeRun, Calls]:
    """Return a run, and the causes as if it were the bill."""
    billed = requests.with_columns(
        *(pl.Series(name, run.tokens[:, place]) for place, name in enumerate(INPUT_CLASSES)),
        usage_convention=pl.lit("simulated"),
        usage_source=pl.lit("provider"),
    )
    return run, find_causes(billed, seen)


def one_cache_each(prompts: Prompts, threads: Threads) -> Prompts:
    """Return the prompts as if each session had one cache for all its models and settings."""
    return without_settings(replace(prompts, scope=(threads.session + 1).astype(np.int32)), FIELDS)


def _places(requests: pl.DataFrame) -> Ints:
    routes = pl.struct("endpoint", "provider", "model").rank("dense")
    return requests.select(routes).to_series().cast(pl.Int64).to_numpy()
