"""Requests as a semantic cache sees them: texts, partitions, and nodes of equal requests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from costaudit.contracts.policies import ScopeField, SemanticPolicy
from costaudit.contracts.run_dir import column
from costaudit.errors import UsageError
from costaudit.simulate.semantic.keys import (
    ELIGIBLE,
    REASONS,
    Keys,
    bypass_codes,
    first_of,
    groups_of,
    keys_of,
)


@dataclass(frozen=True)
class Stream:
    """Requests in the order of decision, with their distinct texts."""

    texts: pl.DataFrame  # text; distinct, in order of appearance
    text: np.ndarray  # int32 (n,), row of texts; -1 where bypassed
    partition: np.ndarray  # int32 (n,): equal scope fields and, by the key, equal history
    pool: np.ndarray  # int32 (n,): equal scope fields; max_entries counts here
    ts_s: np.ndarray  # float64 (n,); the request's place in the order where the log has no time
    ready_s: np.ndarray  # float64 (n,), when the answer can be served; not before ts_s
    bypass: np.ndarray  # int8 (n,), place in REASONS; ELIGIBLE where not bypassed
    timed: bool  # False: no eligible request has a time, so that no TTL can run
    checked: np.ndarray | None = (
        None  # int32 (n,): equal fields of scope_after; None: there are none
    )

    def bypassed(self) -> dict[str, int]:
        """Return the number of bypassed requests for each reason that occurred."""
        counts = np.bincount(self.bypass[self.bypass != ELIGIBLE], minlength=len(REASONS))
        return {name: int(n) for name, n in zip(REASONS, counts, strict=True) if n}


def keyed_stream(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    policy: SemanticPolicy,
    system_template: pl.Series | None = None,
    keys: Keys | None = None,
) -> Stream:
    """Return the stream of REQUESTS, already in order, by a policy's scope, key and eligibility.

    `system_template` is the template of each request's system prompt, which the scope field
    `system` compares; if the scope has that field and the templates are missing, UsageError is
    raised. `keys` are the keys of the policy's key, if the caller has them.
    """
    keys = keys or keys_of(requests, blocks, policy.key)
    codes = bypass_codes(
        requests, keys.has_text, keys.has_image, policy.max_temperature, policy.no_bypass
    )
    pool, partition, checked = _partitions(requests, policy, keys, system_template)
    at = column(requests, "ts")
    ts = at.dt.epoch("us").to_numpy().astype(np.float64) / 1e6
    untimed = at.is_null().to_numpy()
    eligible = codes == ELIGIBLE
    timed = bool((eligible & ~untimed).any())
    if timed:
        codes[eligible & untimed] = REASONS.index("no_time")
    latency = column(requests, "latency_ms").fill_null(0.0).fill_nan(0.0).clip(0.0).to_numpy() / 1e3
    if not timed:
        ts, latency = np.arange(len(requests), dtype=np.float64), np.zeros(len(requests))
    elif policy.visible_after == "request":
        latency = np.zeros(len(requests))
    texts, text = keys.distinct(codes == ELIGIBLE)
    return Stream(
        texts=texts,
        text=text,
        partition=partition,
        pool=pool,
        ts_s=ts,
        ready_s=ts + latency,
        bypass=codes,
        timed=timed,
        checked=checked,
    )


def rescoped(
    stream: Stream,
    requests: pl.DataFrame,
    policy: SemanticPolicy,
    system_template: pl.Series | None,
    keys: Keys,
) -> Stream:
    """Return a stream partitioned by the scope of another policy that differs in scope only."""
    pool, partition, checked = _partitions(requests, policy, keys, system_template)
    return replace(stream, pool=pool, partition=partition, checked=checked)


def _partitions(
    requests: pl.DataFrame,
    policy: SemanticPolicy,
    keys: Keys,
    system_template: pl.Series | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    def grouped(scope: Sequence[ScopeField]) -> np.ndarray:
        return groups_of(_scope_columns(requests, scope, keys.fields, system_template))

    pool = grouped(policy.scope)
    partition = groups_of([pool, keys.history])
    return pool, partition, grouped(policy.scope_after) if policy.scope_after else None


def _scope_columns(
    requests: pl.DataFrame,
    scope: Sequence[ScopeField],
    fields: Mapping[str, np.ndarray],
    system_template: pl.Series | None,
) -> Iterator[pl.Series | np.ndarray]:
    yield np.zeros(len(requests), dtype=np.int32)
    for field in scope:
        if field == "system":
            if system_template is None:
                raise UsageError(
                    "The scope field 'system' needs the templates of the system prompts.",
                    hint="Compare bytes with 'system_raw', or leave the field out.",
                )
            yield system_template
        elif field in fields:
            yield fields[field]
        elif field in requests.columns:
            yield column(requests, field)


@dataclass(frozen=True)
class Segment:
    """Whole neighbouring pools; no entry of another segment can serve their requests."""

    requests: slice  # of Nodes.order
    nodes: slice  # of Nodes.text


@dataclass(frozen=True)
class Nodes:
    """Eligible requests by pool and time, and their nodes by pool, partition, first appearance."""

    order: np.ndarray  # int32 (r,), place in the stream
    node: np.ndarray  # int32 (r,)
    pool: np.ndarray  # int32 (r,)
    text: np.ndarray  # int32 (m,)
    partition: np.ndarray  # int32 (m,), numbered anew so that it rises
    first: np.ndarray  # int32 (m,), place in the stream of the first request
    last: np.ndarray  # int32 (m,), and of the last
    segments: tuple[Segment, ...]

    def of(self, segments: Sequence[Segment]) -> "Nodes":
        """Return the requests and nodes of some rising segments, numbered from 0."""
        requests = np.concatenate([np.r_[one.requests] for one in segments])
        nodes = np.concatenate([np.r_[one.nodes] for one in segments])
        moved, request, node = [], 0, 0
        for one in segments:
            ends = request + one.requests.stop - one.requests.start
            stop = node + one.nodes.stop - one.nodes.start
            moved.append(Segment(slice(request, ends), slice(node, stop)))
            request, node = ends, stop
        return Nodes(
            order=self.order[requests],
            node=np.searchsorted(nodes, self.node[requests]).astype(np.int32),
            pool=self.pool[requests],
            text=self.text[nodes],
            partition=self.partition[nodes],
            first=self.first[nodes],
            last=self.last[nodes],
            segments=tuple(moved),
        )


def nodes_of(stream: Stream, together: int = 2_048) -> Nodes:
    """Merge identical texts of a partition into nodes, and cut the stream into segments.

    together: nodes up to which neighbouring pools are one segment.
    """
    order = np.flatnonzero(stream.text >= 0).astype(np.int32)
    order = order[np.argsort(stream.pool[order], kind="stable")]
    found = groups_of([stream.partition[order], stream.text[order]])
    places = order[first_of(found)]  # by pool, then by first appearance
    rank = np.lexsort((stream.partition[places], stream.pool[places]))
    number = np.empty(len(rank), dtype=np.int32)
    number[rank] = np.arange(len(rank), dtype=np.int32)
    node = number[found]
    last = np.empty(len(rank), dtype=np.int32)
    last[node] = order  # assigned in order within a pool: the last request stays
    first = places[rank]
    pool = stream.pool[order]
    node_pool, partition = stream.pool[first], stream.partition[first]
    changed = (np.diff(node_pool) != 0) | (np.diff(partition) != 0)
    return Nodes(
        order=order,
        node=node,
        pool=pool,
        text=stream.text[first],
        partition=np.concatenate([[0], np.cumsum(changed)])[: len(first)].astype(np.int32),
        first=first,
        last=last,
        segments=_segments(pool, node_pool, together),
    )


def largest_pool(stream: Stream, most: int) -> int:
    """Return the nodes of the pool with most, if they are more than `most`; else 0."""
    eligible = stream.text >= 0
    if int(eligible.sum()) <= most:
        return 0
    nodes = nodes_of(stream, 0)
    largest = max(one.nodes.stop - one.nodes.start for one in nodes.segments)
    return largest if largest > most else 0


def _segments(
    request_pool: np.ndarray, node_pool: np.ndarray, together: int
) -> tuple[Segment, ...]:
    """Join neighbouring small pools; both arrays rise."""
    if not len(node_pool):
        return ()
    ends = np.append(np.flatnonzero(np.diff(node_pool)) + 1, len(node_pool))
    request_ends = np.append(np.flatnonzero(np.diff(request_pool)) + 1, len(request_pool))
    segments = []
    node_start = request_start = 0
    for place, end in enumerate(ends):
        following = ends[place + 1] if place + 1 < len(ends) else None
        if following is None or following - node_start > together:
            segments.append(
                Segment(slice(request_start, int(request_ends[place])), slice(node_start, int(end)))
            )
            node_start, request_start = int(end), int(request_ends[place])
    return tuple(segments)
