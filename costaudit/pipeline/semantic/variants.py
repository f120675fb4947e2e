"""Try other scopes, lifetimes and capacities at the recommended point."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import xxhash

from costaudit.answers.tally import RatePoint
from costaudit.answers.traps.detectors import TRAP_NAMES
from costaudit.contracts.policies import SCOPE_FIELDS, ScopeField, SemanticPolicy
from costaudit.contracts.semantic import LifetimeSweep, ScopeRow, SweepPoint, VariantRow
from costaudit.pipeline.semantic.keyed_run import KeyedRun
from costaudit.simulate.semantic.stream import Stream

_LADDER: tuple[tuple[ScopeField, ...], ...] = (
    (),
    ("model",),
    ("model", "system"),
    ("model", "system", "tools"),
    ("model", "system", "tools", "tenant"),
    ("model", "system", "tools", "tenant", "user"),
)
TTLS_S = (3_600.0, 86_400.0, 604_800.0)
_CAPACITY_SHARES = (0.1, 0.25, 0.5)  # shares of an unbounded cache's peak
_REPLICATES = 47  # of the bootstrap; with the log itself, three batches for the threads
_ONE_GUARD = tuple((name, (name,)) for name in TRAP_NAMES)
_SIDE_BY_SIDE = 50  # of the bootstrap, for many sweeps side by side


def scope_rows(
    run: KeyedRun, policy: SemanticPolicy, chosen: SweepPoint
) -> tuple[tuple[ScopeRow, ...], tuple[ScopeRow, ...]]:
    """Return rows for each level of isolation, then for the scope without each of its fields.

    Scopes that divide the requests in the same way share a row; `chosen` is the row of the policy
    itself. Scopes too large for an exact sweep have no row.
    """
    own = ScopeRow(
        scope=policy.scope,
        removed="",
        partitions=_pools(run, run.stream),
        raw_hit_share=chosen.raw_hit_share,
        valid_hit_share=chosen.valid_hit_share,
        unsafe_served_share=chosen.unsafe_served_share,
        net_saved=chosen.net_saved,
    )
    known = {xxhash.xxh3_128_digest(run.stream.partition.data): own}

    def row(scope: tuple[ScopeField, ...], removed: str) -> Iterator[ScopeRow]:
        narrower = replace(policy, scope=scope)
        stream = run.keyed(narrower)
        parting = xxhash.xxh3_128_digest(stream.partition.data)
        if parting not in known:
            if not run.fits(stream):
                return
            known[parting] = _scope_row(run, narrower, stream)
        yield replace(known[parting], scope=scope, removed=removed)

    fields = [name for name in SCOPE_FIELDS if name in policy.scope]
    return (
        tuple(one for scope in _LADDER for one in row(scope, "")),
        tuple(one for name in fields for one in row(tuple(n for n in fields if n != name), name)),
    )


def variant_rows(
    run: KeyedRun,
    policy: SemanticPolicy,
    peak_entries: int,
    rate: Callable[[np.ndarray], Sequence[RatePoint]],
) -> tuple[VariantRow, ...]:
    """Try lifetimes of both kinds (if the log has times), capacities below the peak, and guards.

    `rate` judges their hits, so that rows and sweep judge each pair in the same way. Guards never
    check identical text.
    """
    variants: dict[str, SemanticPolicy] = {}
    if run.stream.timed:
        for ttl in TTLS_S:
            for kind in ("fixed", "sliding"):
                variants[f"TTL {_span(ttl)}, {kind}"] = replace(policy, ttl_s=ttl, ttl_kind=kind)
    for share in _CAPACITY_SHARES:
        entries = max(int(peak_entries * share), 1)
        variants[f"at most {entries:,} entries a scope, {policy.eviction}"] = replace(
            policy, max_entries=entries
        )
    together = run.together(list(variants.values()))
    if not (policy.guard or policy.min_similarity > 1):
        guards = (*_ONE_GUARD, ("all", TRAP_NAMES))
        variants |= {f"guard: {name}": replace(policy, guard=guard) for name, guard in guards}
        together += [[variants[f"guard: {name}"]] for name, _ in guards]
    served = np.empty((len(variants), len(run.stream.text)), np.int32)
    peaks: list[int] = []
    for policies in together:
        decisions = run.swept(policies)
        served[len(peaks) : len(peaks) + len(policies)] = decisions.served
        peaks += decisions.peak_entries.tolist()
        del decisions  # before the next ones are made
    return tuple(
        VariantRow(
            name=name,
            raw_hit_share=point.raw_hit_share,
            valid_hit_share=point.valid_hit_share,
            unsafe_served_share=point.unsafe_served_share,
            net_saved=run.net_saved(row, peak, point, policy.min_similarity),
            peak_entries=peak,
        )
        for name, row, peak, point in zip(variants, served, peaks, rate(served), strict=True)
    )


def lifetime_sweeps(run: KeyedRun, thresholds: Sequence[float]) -> tuple[LifetimeSweep, ...]:
    """Sweep the thresholds at each TTL of the options, all in one pass."""
    lifetimes = run.options.lifetimes
    policies = [
        replace(run.options.policy, min_similarity=t, ttl_s=ttl, ttl_kind=kind)
        for ttl, kind in lifetimes
        for t in thresholds
    ]
    if not policies:
        return ()
    decisions = run.swept(policies)
    rated = run.points(decisions.served, _SIDE_BY_SIDE)
    points = tuple(run.sweep_point(decisions, row, point) for row, point in enumerate(rated))
    each = len(thresholds)
    return tuple(
        LifetimeSweep(ttl, kind, points[place * each : (place + 1) * each])
        for place, (ttl, kind) in enumerate(lifetimes)
    )


def _scope_row(run: KeyedRun, policy: SemanticPolicy, stream: Stream) -> ScopeRow:
    """Return the row of another scope, judged together with its hits at other thresholds.

    A few hits alone can't show how right and wrong ones differ.
    """
    similarities = (policy.min_similarity, *run.context)
    decisions = run.swept([replace(policy, min_similarity=t) for t in similarities], stream)
    point = run.points(decisions.served, _REPLICATES)[0]
    return ScopeRow(
        scope=policy.scope,
        removed="",
        partitions=_pools(run, stream),
        raw_hit_share=point.raw_hit_share,
        valid_hit_share=point.valid_hit_share,
        unsafe_served_share=point.unsafe_served_share,
        net_saved=run.net_saved(
            decisions.served[0], int(decisions.peak_entries[0]), point, policy.min_similarity
        ),
    )


def _pools(run: KeyedRun, stream: Stream) -> int:
    return len(np.unique(stream.pool[run.eligible]))


def _span(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:g} h" if hours < 48 else f"{hours / 24:g} days"
