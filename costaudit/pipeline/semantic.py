"""The semantic cache in an audit: the sweep, the recommended point, and what hangs on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from costaudit.answers.rates import RatePoint
from costaudit.answers.recommend import Recommendation, recommend
from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.policies import SCOPE_FIELDS, ScopeField, SemanticPolicy
from costaudit.contracts.semantic import ScopeRow, SemanticSection, SweepPoint, VariantRow
from costaudit.pipeline.semantic_run import SemanticRun
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import Decisions

EXACT = 1.01  # a threshold above 1: identical text only
_LADDER: tuple[tuple[ScopeField, ...], ...] = (
    (),
    ("model",),
    ("model", "system"),
    ("model", "system", "tools"),
    ("model", "system", "tools", "tenant"),
    ("model", "system", "tools", "tenant", "user"),
)
_TTLS_S = (3_600.0, 86_400.0, 604_800.0)
_CAPACITY_SHARES = (0.1, 0.25, 0.5)  # of the peak that an unbounded cache reaches
_REPLICATES = 50  # of the bootstrap, for rows beside the sweep


@dataclass(frozen=True)
class SemanticResult:
    """The section, and what the ledger needs of it."""

    section: SemanticSection
    exact_hits: np.ndarray  # bool (n,): identical text
    hits: np.ndarray  # bool (n,): at the recommended point
    running_usd: Decimal  # of the recommended point, over the log's period
    saved_bounds: tuple[float, float] | None  # 95 % bounds, as multiples of what it saves


def semantic_result(
    run: SemanticRun, thresholds: Sequence[float], max_wrong_share: float
) -> SemanticResult:
    """Sweep the log, choose the point, and run the variants at it."""
    base = run.options.policy
    policies = [replace(base, min_similarity=t) for t in (*thresholds, EXACT)]
    run.progress.start("simulate", None, "requests")
    decisions = run.swept(policies)
    run.progress.finish(f"{run.eligible.sum():,} requests at {len(policies)} thresholds")
    points = run.rated(decisions)
    gross = run.gross_usd(decisions)
    net = run.net_usd_month(decisions, gross)
    choice = recommend(
        thresholds, points[:-1], net[:-1], exact_net_usd=net[-1], max_wrong=max_wrong_share
    )
    chosen = len(thresholds) if choice.index is None else choice.index
    rows = [
        _sweep_point(decisions, row, points[row], gross[row], net[row], row == choice.index)
        for row in range(len(thresholds))
    ]
    section = _section(run, policies[chosen], choice, tuple(rows), max_wrong_share)
    ladder, without = _scope_rows(run, policies[chosen])
    hits = decisions.served >= 0
    return SemanticResult(
        section=replace(
            section,
            scopes=ladder,
            without_field=without,
            variants=_variants(run, policies[chosen], int(decisions.peak_entries[chosen])),
        ),
        exact_hits=hits[-1],
        hits=hits[chosen],
        running_usd=run.running_usd(int(decisions.peak_entries[chosen])),
        saved_bounds=_bounds(points[chosen].raw_hit_share),
    )


def _sweep_point(
    decisions: Decisions, row: int, point: RatePoint, gross: Decimal, net: Decimal, best: bool
) -> SweepPoint:
    exact = (decisions.served[row] >= 0) & (decisions.similarity[row] == 1.0)
    return SweepPoint(
        min_similarity=decisions.policies[row].min_similarity,
        hits=point.hits,
        exact_hits=int(exact.sum()),
        raw_hit_share=point.raw_hit_share,
        raw_hit_share_all=point.raw_hit_share_all,
        steady_hit_share=point.steady_hit_share,
        valid_hit_share=point.valid_hit_share,
        unsafe_served_share=point.unsafe_served_share,
        gross_saved_usd=gross,
        net_saved=_money(net, point.raw_hit_share),
        peak_entries=int(decisions.peak_entries[row]),
        recommended=best,
    )


def _section(
    run: SemanticRun,
    policy: SemanticPolicy,
    choice: Recommendation,
    points: tuple[SweepPoint, ...],
    max_wrong_share: float,
) -> SemanticSection:
    floor = run.check.floor
    return SemanticSection(
        policy_id=policy.policy_id,
        embedder=run.embedder.name,
        embedder_revision=run.embedder.revision,
        dimensions=run.embedder.dimensions,
        eligible_requests=int(run.eligible.sum()),
        bypassed=run.stream.bypassed(),
        distinct_texts=len(run.stream.texts),
        cut_texts=run.cut_texts,
        warm_up_requests=run.warm_up,
        max_wrong_share=max_wrong_share,
        points=points,
        recommended=choice.min_similarity,
        recommended_why=choice.why,
        noise_floor=floor.limit,
        noise_floor_pairs=floor.pairs,
        bytes_per_entry=run.bytes_per_entry,
    )


def _scope_rows(
    run: SemanticRun, policy: SemanticPolicy
) -> tuple[tuple[ScopeRow, ...], tuple[ScopeRow, ...]]:
    """Climb the isolation ladder, then leave each field of the scope out.

    Scopes that part the requests alike give the same row, which is worked out once.
    """
    known: dict[bytes, ScopeRow] = {}

    def row(scope: tuple[ScopeField, ...], removed: str) -> ScopeRow:
        stream = run.keyed(replace(policy, scope=scope))
        parting = stream.partition.tobytes()
        if parting not in known:
            known[parting] = _scope_row(run, replace(policy, scope=scope), stream)
        return replace(known[parting], scope=scope, removed=removed)

    ladder = tuple(row(scope, "") for scope in _LADDER)
    fields = [name for name in SCOPE_FIELDS if name in policy.scope]
    without = tuple(row(tuple(n for n in fields if n != name), name) for name in fields)
    return ladder, without


def _scope_row(run: SemanticRun, policy: SemanticPolicy, stream: Stream) -> ScopeRow:
    decisions = run.swept([policy], stream)
    point = run.rated(decisions, _REPLICATES)[0]
    net = run.net_usd_month(decisions, run.gross_usd(decisions))[0]
    return ScopeRow(
        scope=policy.scope,
        removed="",
        partitions=len(np.unique(stream.pool[run.eligible])),
        raw_hit_share=point.raw_hit_share,
        valid_hit_share=point.valid_hit_share,
        unsafe_served_share=point.unsafe_served_share,
        net_saved=_money(net, point.raw_hit_share),
    )


def _variants(run: SemanticRun, policy: SemanticPolicy, peak: int) -> tuple[VariantRow, ...]:
    variants: dict[str, SemanticPolicy] = {}
    if run.stream.timed:
        for ttl in _TTLS_S:
            for kind in ("fixed", "sliding"):
                name = f"TTL {ttl / 3600:g} h, {kind}"
                variants[name] = replace(policy, ttl_s=ttl, ttl_kind=kind)
    for share in _CAPACITY_SHARES:
        entries = max(int(peak * share), 1)
        name = f"at most {entries:,} entries a scope, lru"
        variants[name] = replace(policy, max_entries=entries, eviction="lru")
    decisions = run.swept(list(variants.values()))
    points = run.rated(decisions, _REPLICATES)
    nets = run.net_usd_month(decisions, run.gross_usd(decisions))
    return tuple(
        VariantRow(
            name=name,
            raw_hit_share=point.raw_hit_share,
            valid_hit_share=point.valid_hit_share,
            unsafe_served_share=point.unsafe_served_share,
            net_saved=_money(net, point.raw_hit_share),
            peak_entries=int(peak_entries),
        )
        for name, point, net, peak_entries in zip(
            variants, points, nets, decisions.peak_entries, strict=True
        )
    )


def _bounds(share: Estimate) -> tuple[float, float] | None:
    """Give the interval of a share as multiples of it."""
    if share.low is None or share.high is None or not share.value:
        return None
    return share.low / share.value, share.high / share.value


def _money(usd: Decimal, share: Estimate) -> Money:
    """Let the interval of the hit share carry over to the money that the hits save."""
    bounds = _bounds(share)
    if bounds is None:
        return Money(usd, "simulated")
    low, high = sorted((usd * Decimal(str(bound))).quantize(usd) for bound in bounds)
    return Money(usd, "simulated", low, high)
