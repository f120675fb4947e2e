"""Divide what each call of a session paid for: new text, text read again, and lost text."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import IN_BATCH, INPUT_CLASSES, READS_COUNTED
from costaudit.contracts.sessions import CAUSES
from costaudit.simulate.prefix.caches.replay import Markers, Replay
from costaudit.simulate.prefix.caches.static_share import static_tokens
from costaudit.simulate.prefix.rules.rules import Assigned
from costaudit.simulate.prefix.sessions.threads import SHRUNK, Threads
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Prompts
from costaudit.simulate.segments import ROLES, Ints, owners

NOISE_SHARE = 0.02  # share of a prompt by which counters and local token counts may differ
CODE = {name: number for number, name in enumerate(CAUSES)}
_READ, _WRITE_5M, _WRITE_1H, _WRITE_OTHER, _UNCACHED = 1, 2, 3, 4, 0
_IN_ORDER = (_WRITE_1H, _WRITE_5M, _WRITE_OTHER, _UNCACHED)  # in order after reads


@dataclass(frozen=True)
class Calls:
    """Input tokens of each call by purpose; they add up to its bill."""

    read: Ints
    missed: Ints  # tokens of an earlier prompt that were paid again
    new: Ints
    cause: NDArray[np.int8]  # index into CAUSES, for `missed`
    opens: NDArray[np.bool_]  # the call opens a thread
    gap_s: NDArray[np.float64]  # since the prefix was last used; NaN if unknown
    counted: NDArray[np.bool_]  # the log has counters of cache reads
    shed: Ints  # tokens that a compaction removed; 0 without one

    def split(self, billed: Ints) -> pl.DataFrame:
        """Return each call's tokens by cause and class: columns row, cause, class, tokens.

        `billed` is INPUT_CLASSES by request. Lost tokens directly follow the read ones.
        """
        left = self.missed.copy()
        frames = [self._rows("read", _READ, billed[:, _READ])]
        for place in _IN_ORDER:
            taken = np.minimum(left, billed[:, place])
            left -= taken
            rest = billed[:, place] - taken
            frames.append(self._rows(None, place, taken))
            frames.append(self._rows("first_write", place, np.where(self.opens, rest, 0)))
            frames.append(self._rows("growth", place, np.where(self.opens, 0, rest)))
        return pl.concat(frames)

    def _rows(self, cause: str | None, place: int, tokens: Ints) -> pl.DataFrame:
        rows = np.flatnonzero(tokens > 0)
        code = self.cause[rows] if cause is None else np.full(len(rows), CODE[cause], np.int8)
        return pl.DataFrame(
            {
                "row": rows,
                "cause": code,
                "class": np.full(len(rows), place, np.int8),
                "tokens": tokens[rows],
            },
            schema={"row": pl.Int64, "cause": pl.Int8, "class": pl.Int8, "tokens": pl.Int64},
        )


@dataclass(frozen=True)
class Seen:
    """The input for finding causes."""

    prompts: Prompts
    threads: Threads
    assigned: Assigned
    markers: Markers
    as_is: Replay  # by the provider's rules


def find_causes(requests: pl.DataFrame, seen: Seen) -> Calls:
    """Divide each call's billed input into read, lost and new tokens.

    A call could have read its longest common beginning with an earlier prompt, and at least what
    the call that it continues sent. The part of it that was not read is lost, unless it is less
    than NOISE_SHARE of the prompt.
    """
    from costaudit.simulate.prefix.sessions.session_kernels import common_beginnings

    prompts, threads = seen.prompts, seen.threads
    billed = requests.select(pl.col(INPUT_CLASSES).fill_null(0).clip(0)).to_numpy()
    total = billed.sum(axis=1)
    counted = requests.select(READS_COUNTED).to_series().to_numpy()
    read = billed[:, _READ]
    previous = threads.previous
    has = previous >= 0
    before = np.where(has, np.minimum(total, total[previous]), 0)
    static, user = static_tokens(prompts, prompts.sendable)
    static = np.minimum(static, total)
    could = np.maximum(static, before)
    missed = np.clip(could - read, 0, total - read)
    missed = np.where((missed < NOISE_SHARE * total) | (threads.session < 0), 0, missed)
    count = common_beginnings(previous, prompts.segments.offsets, prompts.segments.content)
    gone = has & (could - np.maximum(read, static) >= NOISE_SHARE * total) & (missed > 0)
    cause = np.full(len(total), CODE["provider"], np.int8)
    gap, early = _since(prompts, np.where(user >= 0, user, previous))
    timed = _by_rules(requests, seen, could, gap, early)
    changed = _by_change(requests, seen, count, total)
    cause = np.where(gone, changed, timed)
    bare = np.diff(prompts.segments.offsets) == 0
    cause = np.where(bare & has, np.where(changed != CODE["rewritten"], changed, timed), cause)
    cause = np.where(counted, cause, CODE["untold"]).astype(np.int8)
    return Calls(
        read=read,
        missed=missed,
        new=total - read - missed,
        cause=cause,
        opens=~has,
        gap_s=gap,
        counted=counted,
        shed=np.where(_compacted(threads, total), total[previous] - total, 0),
    )


def _since(prompts: Prompts, user: Ints) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return seconds since a prefix was last used, and whether it was not written yet then."""
    start = prompts.start
    known = (user >= 0) & (start != NO_TIME) & (start[user] != NO_TIME)
    gap = np.where(known, (start - start[user]) / 1e6, np.nan)
    return gap, known & (start < prompts.first_byte[user]) & (prompts.first_byte[user] > 0)


def lifetimes_s(requests: pl.DataFrame, seen: Seen) -> Ints:
    """Return the lifetime in seconds that each request's thread asks for, or the default."""
    thread = seen.threads.thread
    rows = requests.select(
        pl.Series("thread", thread),
        hour=pl.col("cache_write_1h_tokens").fill_null(0),
        short=pl.col("cache_write_5m_tokens").fill_null(0),
        asked=pl.Series(_longest_marker(seen)),
    ).with_columns(
        asked=pl.col("asked").max().over("thread"),
        longer=(pl.col("hour").sum() > pl.col("short").sum()).over("thread"),
    )
    default = seen.assigned.default_microseconds // 1_000_000
    asked = np.maximum(rows["asked"].to_numpy() // 1_000_000, 0)
    found = np.where(asked > 0, asked, default)
    return np.where(rows["longer"].to_numpy(), np.maximum(found, 3600), found).astype(np.int64)


def _longest_marker(seen: Seen) -> Ints:
    offsets, code = seen.prompts.segments.offsets, seen.markers.code
    assigned, marked = seen.assigned, np.flatnonzero(code > 0)
    owner = owners(marked, offsets)
    longest = np.zeros(len(offsets) - 1, np.int64)
    asked = assigned.ttl_microseconds[assigned.index[owner], code[marked]]
    np.maximum.at(longest, owner, asked)
    return longest


def _by_rules(
    requests: pl.DataFrame,
    seen: Seen,
    could: Ints,
    gap: NDArray[np.float64],
    early: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """Return why a prefix that was sent before was not read: a rule of the cache, or unknown.

    The last cause that applies counts: a pause can't lose what was too short to be stored.
    """
    assigned, as_is, previous = seen.assigned, seen.as_is, seen.threads.previous
    life = lifetimes_s(requests, seen)
    least = assigned.each(lambda rules: rules.min_tokens)
    cached = requests.select(
        (pl.sum_horizontal("^cache_.*_tokens$").fill_null(0).sum() > 0).over(
            pl.Series("thread", seen.threads.thread)
        )
    ).to_series()
    knows = as_is.chosen & (as_is.read < could * (1 - NOISE_SHARE)) & ~seen.markers.inferred
    markable = assigned.matching("breakpoints")
    batch = requests.select(IN_BATCH).to_series().to_numpy()
    found = np.full(len(could), CODE["provider"], np.int8)
    for chosen, name in (
        (knows & markable & (previous >= 0), "markers"),
        (~cached.to_numpy(), "not_cached"),
        (early & ~batch, "parallel"),
        (np.nan_to_num(gap) > life, "idle"),
        (could < least, "short"),
        (assigned.matching("none"), "not_cached"),
    ):
        found = np.where(chosen, CODE[name], found)
    return found.astype(np.int8)


def _compacted(threads: Threads, total: Ints) -> NDArray[np.bool_]:
    previous = threads.previous
    smaller = (previous >= 0) & (total < SHRUNK * total[previous])
    return (smaller | threads.restarted) & (threads.session >= 0)


def _by_change(requests: pl.DataFrame, seen: Seen, count: Ints, total: Ints) -> NDArray[np.int8]:
    """Return what differs from the call before: model, place, settings, tools, system, history."""
    prompts, threads = seen.prompts, seen.threads
    previous, segments = threads.previous, prompts.segments
    has = previous >= 0
    at = segments.offsets[:-1] + count
    role = np.append(segments.role, -1)[np.minimum(at, len(segments.role))]
    role = np.where(at < segments.offsets[1:], role, -1)
    kinds = np.array([*("thinking" in k or "reasoning" in k for k in segments.kinds), False])
    old = np.where(has, segments.offsets[previous] + count, 0)
    was = kinds[np.append(segments.kind, -1)[np.minimum(old, len(segments.kind))]]
    differs = {
        name: has & _differs(requests[name], previous)
        for name in ("model", "client_version", "cache_key")
    }
    found = np.full(len(total), CODE["rewritten"], np.int8)
    for chosen, name in (
        (was & (role > 1), "thinking_stripped"),
        (_compacted(threads, total), "compaction"),
        (_settings(prompts, previous), "settings"),
        (role == ROLES.index("system"), "system"),
        (role == ROLES.index("tools"), "tools"),
        ((role >= 0) & (role <= 1) & differs["client_version"], "version"),
        (has & (prompts.scope != prompts.scope[previous]), "place"),
        (differs["cache_key"], "cache_key"),
        (differs["model"], "model"),
    ):
        found = np.where(chosen, CODE[name], found)
    bare = np.diff(segments.offsets) == 0
    found = np.where(bare & differs["client_version"], CODE["version"], found)
    return found.astype(np.int8)


def _settings(prompts: Prompts, previous: Ints) -> NDArray[np.bool_]:
    """Return whether a setting in the prefix differs from the previous call's."""
    changed = np.zeros(len(previous), np.bool_)
    for codes in prompts.settings.codes.values():
        changed |= (previous >= 0) & (codes != codes[previous])
    return changed


def _differs(values: pl.Series, previous: Ints) -> NDArray[np.bool_]:
    code = values.fill_null("").rank("dense").to_numpy()
    return np.asarray(code != code[previous])
