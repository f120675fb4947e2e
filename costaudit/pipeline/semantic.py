"""The semantic cache in an audit: the sweep, the recommended point, and what hangs on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from costaudit.answers.rates import Rated
from costaudit.answers.recommend import Recommendation, recommend
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.pipeline.exact import exact_result
from costaudit.pipeline.keyed_run import EXACT, bounds_of
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.semantic_beside import lifetime_sweeps, scope_rows, variant_rows
from costaudit.pipeline.semantic_clusters import cluster_rows
from costaudit.pipeline.semantic_pairs import refused_evidence, worst_evidence
from costaudit.pipeline.semantic_result import SemanticResult
from costaudit.pipeline.semantic_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.cells import why_exact
from costaudit.simulate.semantic.sweep import Decisions
from costaudit.simulate.semantic.thresholds import parse_thresholds


def swept(log: Loaded, options: AnalyzeOptions, progress: Progress) -> SemanticResult | None:
    """Simulate the semantic cache on a log; None where it holds no question to compare."""
    thresholds = parse_thresholds(options.thresholds)
    if log.hashed:
        return exact_result(log, options, progress)
    if not log.quality.prompt_share:
        return None
    run = SemanticRun(log, options, progress)
    if not run.eligible.any():
        return None
    return semantic_result(run, thresholds, options.max_wrong_share)


@dataclass(frozen=True)
class Decided:
    """The sweep of one run, judged and priced, with the point that it recommends."""

    policies: tuple[SemanticPolicy, ...]  # the thresholds' in order, then exact matching
    decisions: Decisions
    rated: Rated
    points: tuple[SweepPoint, ...]  # as policies
    choice: Recommendation

    @property
    def chosen(self) -> int:
        """Place of the recommended point; the last is exact matching."""
        return len(self.policies) - 1 if self.choice.index is None else self.choice.index


def decide(run: SemanticRun, thresholds: Sequence[float], max_wrong_share: float) -> Decided:
    """Sweep a run and choose the point."""
    base = run.options.policy
    policies = tuple(replace(base, min_similarity=t) for t in (*thresholds, EXACT))
    run.progress.start("simulate", None, "requests")
    decisions = run.swept(policies)
    run.progress.finish(f"{run.eligible.sum():,} requests at {len(policies)} thresholds")
    rated = run.rated(decisions.served)
    peaks = decisions.peak_entries.tolist()
    net = [run.net_usd_month(*row) for row in zip(decisions.served, peaks, strict=True)]
    choice = recommend(
        thresholds, rated.points[:-1], net[:-1], exact_net_usd=net[-1], max_wrong=max_wrong_share
    )
    points = tuple(
        run.sweep_point(decisions, row, rated.points[row], recommended=row == choice.index)
        for row in range(len(policies))
    )
    return Decided(policies, decisions, rated, points, choice)


def semantic_result(
    run: SemanticRun, thresholds: Sequence[float], max_wrong_share: float
) -> SemanticResult:
    """Sweep a run, choose the point, and look at what stands beside it."""
    decided = decide(run, thresholds, max_wrong_share)
    chosen = decided.chosen
    policy, point = decided.policies[chosen], decided.points[chosen]
    ladder, without = scope_rows(run, policy, point)
    hits = decided.decisions.served >= 0
    return SemanticResult(
        section=replace(
            _section(run, policy, decided.choice, decided.points[:-1], max_wrong_share),
            exact=decided.points[-1],
            scopes=ladder,
            without_field=without,
            variants=variant_rows(
                run,
                policy,
                point.peak_entries,
                lambda rows: decided.rated.fitted.rates(rows).points,
            ),
            clusters=cluster_rows(run, decided.rated, chosen),
            worst_pairs=worst_evidence(run, decided.rated, chosen),
            refused_pairs=refused_evidence(run, policy),
            language_warning=run.language_warning,
            sizing=run.sizing(policy, point.peak_entries),
            approximation=run.approximation(decided.policies[:-1]),
            exact_why=why_exact(len(run.vectors)) if run.options.approximate else "",
            lifetimes=lifetime_sweeps(run, thresholds),
        ),
        exact_hits=hits[-1],
        hits=hits[chosen],
        running_usd=run.running_usd(point.peak_entries),
        saved_bounds=bounds_of(point.raw_hit_share),
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
        ttl_s=policy.ttl_s,
    )
