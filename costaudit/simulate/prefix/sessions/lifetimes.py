"""Simulate the reads of sessions under each cache lifetime, and with pings that keep it alive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.caches.replay import (
    UNCACHED,
    WRITE_1H,
    WRITE_5M,
    WRITE_OTHER,
    reported_read,
)
from costaudit.simulate.prefix.rules.rules import Assigned
from costaudit.simulate.prefix.sessions.threads import Threads
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Prompts
from costaudit.simulate.segments import Ints

SECOND = 1_000_000
EARLY_S = 20  # seconds between a ping and the entry's expiry
PINGS = (1, 2, 3, 6, 12)  # maximum number of pings in one pause
SECONDS = {"5m": 300, "1h": 3_600, "30m": 1_800, "12h": 43_200, "24h": 86_400}
_COLUMN = {"5m": WRITE_5M, "1h": WRITE_1H}
_FOREVER = 2**60


@dataclass(frozen=True)
class Lifetime:
    """One policy: a lifetime, and the most pings that keep an entry alive."""

    ttl: str  # "" for no caching
    pings: int = 0

    @property
    def name(self) -> str:
        """Return its name for people."""
        if not self.ttl:
            return "none"
        if not self.pings:
            return self.ttl
        return f"{self.ttl}, kept alive by {self.pings} ping{'s' if self.pings > 1 else ''}"


@dataclass(frozen=True)
class LifetimeRun:
    """The bill of the calls under one policy."""

    policy: Lifetime
    tokens: Ints  # (requests, INPUT_CLASSES)
    ping_tokens: Ints  # tokens read by the pings after each call
    pings: Ints


def policies(assigned: Assigned) -> tuple[Lifetime, ...]:
    """Return the lifetimes that a log's providers offer, with their pings."""
    known = {ttl for rules in assigned.used() for ttl in rules.write_ttls if ttl in SECONDS}
    found = [Lifetime("")]
    for ttl in sorted(known, key=SECONDS.__getitem__):
        found.append(Lifetime(ttl))
        found += [Lifetime(ttl, pings) for pings in PINGS if SECONDS[ttl] <= 3_600]
    return tuple(found)


def offered(assigned: Assigned, policy: Lifetime) -> NDArray[np.bool_]:
    """Return the requests whose provider offers a policy."""
    if not policy.ttl:
        return np.ones(len(assigned.index), np.bool_)
    return np.array([policy.ttl in rules.write_ttls for rules in assigned.rules])[assigned.index]


def run_lifetime(
    prompts: Prompts, threads: Threads, assigned: Assigned, billed: Ints, policy: Lifetime
) -> LifetimeRun:
    """Simulate a policy: read live common prefixes, and write the rest like agents do.

    `billed` is INPUT_CLASSES by request. What a session's first call read from before the log is
    read under every policy.
    """
    total = billed.sum(axis=1)
    tokens = np.zeros_like(billed)
    if not policy.ttl:
        tokens[:, UNCACHED] = total
        nothing = np.zeros_like(total)
        return LifetimeRun(policy, tokens, nothing, nothing)
    life = np.full(len(total), SECONDS[policy.ttl] * SECOND)
    seen = np.where(prompts.start == NO_TIME, NO_TIME, prompts.first_byte)
    shared, pings = _replayed(prompts, threads, total, life, seen, policy)
    read = np.where(shared >= 0, reported_read(shared, assigned), 0)
    warm = (threads.previous < 0) & (read == 0)
    read = np.minimum(np.where(warm, billed[:, 1], read), total)
    long_enough = total >= assigned.each(lambda rules: rules.min_tokens)
    column = _COLUMN.get(policy.ttl, WRITE_OTHER)
    tokens[:, 1] = read
    tokens[:, column] = np.where(long_enough, total - read, 0)
    tokens[:, UNCACHED] = np.where(long_enough, 0, total - read)
    return LifetimeRun(policy, tokens, pings * np.where(long_enough, total, 0), pings)


def _replayed(
    prompts: Prompts,
    threads: Threads,
    total: Ints,
    life: Ints,
    seen: Ints,
    policy: Lifetime | None,
) -> tuple[Ints, Ints]:
    from costaudit.simulate.prefix.sessions.session_kernels import replay_lifetime

    previous = threads.previous
    keeps = np.where(previous >= 0, np.minimum(total, total[previous]), 0)
    pings = policy.pings if policy else 0
    period = (SECONDS[policy.ttl] - EARLY_S) * SECOND if policy else SECOND
    return replay_lifetime(
        threads.order, threads.session, prompts.offsets, prompts.node, prompts.tokens,
        prompts.start, seen, life, previous, keeps, period, pings, prompts.nodes,
    )  # fmt: skip


def shared_within(prompts: Prompts, threads: Threads, seconds: int | None) -> Ints:
    """Return the tokens that each call shares with its session's calls of the last `seconds`.

    What was sent can be read immediately; using it renews it. None means no limit.
    """
    total = np.where(threads.session >= 0, prompts.billed, 0)
    limit = _FOREVER if seconds is None else seconds * SECOND
    life = np.full(len(total), limit)
    read, _ = _replayed(prompts, threads, total, life, prompts.start, None)
    return np.minimum(read, total)


assert INPUT_CLASSES[1] == "cache_read_tokens"
