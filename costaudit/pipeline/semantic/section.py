"""Build the audit's section on the semantic cache: sweep, recommended point, other embedders."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from costaudit.answers.rates import Rated
from costaudit.answers.recommend import Recommendation, recommend
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import (
    EQUAL_COVERAGES,
    EmbedderRow,
    SecurityRow,
    SemanticSection,
    SweepPoint,
)
from costaudit.pipeline.loaded import Loaded, nothing_to_compare
from costaudit.pipeline.semantic.budget import within_budget
from costaudit.pipeline.semantic.coverage import curve_of, mean_precision, precision_at
from costaudit.pipeline.semantic.evidence import (
    SemanticResult,
    clustered,
    refused_evidence,
    worst_evidence,
)
from costaudit.pipeline.semantic.exact import exact_result
from costaudit.pipeline.semantic.exposure import Exposure
from costaudit.pipeline.semantic.keyed_run import EXACT, CacheHits, Keyed
from costaudit.pipeline.semantic.policies import policy_trials
from costaudit.pipeline.semantic.text_run import SemanticRun, numbered
from costaudit.pipeline.semantic.variants import lifetime_sweeps, scope_rows, variant_rows
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.sweep import Decisions
from costaudit.simulate.semantic.thresholds import parse_thresholds


def swept(log: Loaded, options: AnalyzeOptions, progress: Progress) -> SemanticResult | None:
    """Simulate the semantic cache on a log; return None without a question to compare."""
    thresholds = parse_thresholds(options.thresholds)
    if log.hashed:
        return exact_result(log, options, progress)
    if not log.quality.prompt_share:
        return None
    keyed = Keyed.of(log, options.policy)
    short = within_budget(log, options, keyed, progress)
    if short is not None:
        return short
    run = SemanticRun(log, options, progress, keyed)
    if not run.eligible.any():
        return None
    return semantic_result(run, thresholds, options.max_wrong_share)


@dataclass(frozen=True)
class Decided:
    """The sweep of one run, judged and priced, with its recommended point."""

    policies: tuple[SemanticPolicy, ...]  # by threshold, then exact matching
    decisions: Decisions
    rated: Rated
    points: tuple[SweepPoint, ...]  # in the order of policies
    choice: Recommendation

    @property
    def chosen(self) -> int:
        """Index of the recommended point; the last one is exact matching."""
        return len(self.policies) - 1 if self.choice.index is None else self.choice.index


def decide(run: SemanticRun, thresholds: Sequence[float], max_wrong_share: float) -> Decided:
    """Sweep a run and choose the recommended point."""
    base = run.options.policy
    policies = tuple(replace(base, min_similarity=t) for t in (*thresholds, EXACT))
    run.progress.start("simulate", None, "requests")
    decisions = run.swept(policies)
    run.progress.finish(f"{run.eligible.sum():,} requests at {len(policies)} thresholds")
    rated = run.rated(decisions.served)
    choice = recommend(thresholds, rated.points[:-1], rated.points[-1], max_wrong=max_wrong_share)
    points = tuple(
        run.sweep_point(decisions, row, rated.points[row], recommended=row == choice.index)
        for row in range(len(policies))
    )
    return Decided(policies, decisions, rated, points, choice)


def semantic_result(
    run: SemanticRun, thresholds: Sequence[float], max_wrong_share: float
) -> SemanticResult:
    """Sweep a run, choose the recommended point, and try its variants."""
    decided = decide(run, thresholds, max_wrong_share)
    chosen = decided.chosen
    policy, point = decided.policies[chosen], decided.points[chosen]
    ladder, without = scope_rows(run, policy, point)
    clusters, centres = clustered(run, decided.rated, chosen)
    served = decided.decisions.served

    def hits_of(row: int) -> CacheHits:
        return run.hits_of(
            served[row],
            decided.points[row].peak_entries,
            decided.rated.points[row],
            decided.policies[row].min_similarity,
        )

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
            clusters=clusters,
            worst_pairs=worst_evidence(run, decided.rated, chosen),
            refused_pairs=refused_evidence(run, policy),
            language_warning=run.language_warning,
            sizing=run.sizing(policy, point.peak_entries),
            approximation=run.approximation(decided.policies[:-1]),
            exact_why=run.exact_why,
            lifetimes=lifetime_sweeps(run, thresholds),
            security=_security(run, decided, thresholds),
            trials=policy_trials(run, decided.decisions, decided.rated, max_wrong_share),
        ),
        exact=hits_of(-1),
        chosen=hits_of(chosen),
        centres=centres,
    )


def _security(
    run: SemanticRun, decided: Decided, thresholds: Sequence[float]
) -> tuple[SecurityRow, ...]:
    exposure = Exposure.of(run.check, numbered(run.log.requests["tenant"]))
    return tuple(exposure.rows(decided.rated, run.check, [*thresholds, EXACT]))


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
        embedder=run.embedder.spec.name,
        embedder_revision=run.embedder.spec.revision,
        dimensions=run.embedder.spec.dimensions,
        eligible_requests=int(run.eligible.sum()),
        bypassed=run.stream.bypassed(),
        distinct_texts=len(run.stream.texts),
        cut_texts=run.cut_texts,
        warm_up_requests=run.warm_up,
        max_wrong_share=max_wrong_share,
        points=points,
        recommended=choice.min_similarity,
        recommended_why=choice.why,
        recommended_kind=choice.kind,
        user_data=user_data(run),
        noise_floor=floor.limit,
        noise_floor_pairs=floor.pairs,
        bytes_per_entry=run.bytes_per_entry,
        ttl_s=policy.ttl_s,
        misses=run.misses,
    )


def user_data(run: SemanticRun) -> str:
    """Return a sentence if answers seem to hold data of the user who asked; else ""."""
    if not run.check.calibration.differs_by_user:
        return ""
    if "user" in run.options.policy.scope:
        return ""
    return (
        "Answers to the same prompt differ more between users than for one user: they hold data "
        "of who asked."
    )


_TIMED = 32  # texts that are embedded one by one to time a lookup
_FLOAT_BYTES = 4


def compare_embedders(
    log: Loaded, options: AnalyzeOptions, names: Sequence[str], progress: Progress
) -> tuple[EmbedderRow, ...]:
    """Sweep the log with each embedder, and return each recommended point.

    Raises InsufficientDataError if the log holds no question to compare.
    """
    rows = [_row(log, options, name, progress) for name in names]
    widest = min((row.curve[-1].coverage if row.curve else 0.0) for row in rows)
    return tuple(replace(row, mean_precision=mean_precision(row.curve, widest)) for row in rows)


def _row(log: Loaded, options: AnalyzeOptions, name: str, progress: Progress) -> EmbedderRow:
    policy = replace(options.policy, embedder=name)
    run = SemanticRun(log, replace(options, policy=policy), progress)
    if not run.eligible.any():
        raise nothing_to_compare(log, policy)
    decided = decide(run, parse_thresholds(options.thresholds), options.max_wrong_share)
    point = decided.points[decided.chosen]
    curve = curve_of([one.min_similarity for one in decided.policies], decided.rated.points)
    return EmbedderRow(
        name=name,
        revision=run.embedder.spec.revision,
        dimensions=run.embedder.spec.dimensions,
        bytes_per_vector=_FLOAT_BYTES * run.embedder.spec.dimensions,
        lookup_ms=_lookup_ms(run),
        cut_texts=run.cut_texts,
        min_similarity=decided.choice.min_similarity,
        raw_hit_share=point.raw_hit_share,
        valid_hit_share=point.valid_hit_share,
        unsafe_served_share=point.unsafe_served_share,
        net_saved=point.net_saved,
        warning=run.language_warning,
        curve=curve,
        precision_at=tuple(precision_at(curve, one) for one in EQUAL_COVERAGES),
    )


def _lookup_ms(run: SemanticRun) -> float:
    """Return the time to embed one text, in ms, without the first call, which loads the model."""
    texts = run.stream.texts["text"].head(_TIMED + 1).to_list()
    spent = []
    for text in texts:
        started = time.perf_counter()
        run.embedder.encode([text])
        spent.append(1e3 * (time.perf_counter() - started))
    return statistics.median(spent[1:] or spent)
