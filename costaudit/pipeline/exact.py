"""The semantic cache of a log that was read hashed: what identical questions alone would save."""

from dataclasses import replace

from costaudit.contracts.semantic import SemanticSection
from costaudit.pipeline.exact_run import ExactRun
from costaudit.pipeline.keyed_run import EXACT, bounds_of
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.semantic_beside import lifetime_sweeps, scope_rows, variant_rows
from costaudit.pipeline.semantic_result import SemanticResult
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress

WHY = "Read with --redact hash: similarity needs texts, and answers that differ count as wrong."


def exact_result(log: Loaded, options: AnalyzeOptions, progress: Progress) -> SemanticResult | None:
    """Simulate exact matching by ids; None where the log holds no question."""
    run = ExactRun(log, options)
    if not run.eligible.any():
        return None
    policy = replace(options.policy, min_similarity=EXACT)
    progress.start("simulate", None, "requests")
    decisions = run.swept([policy])
    point = run.sweep_point(decisions, 0, run.points(decisions.served)[0])
    ladder, without = scope_rows(run, policy, point)
    section = SemanticSection(
        policy_id=policy.policy_id,
        embedder="",
        embedder_revision="",
        dimensions=0,
        eligible_requests=int(run.eligible.sum()),
        bypassed=run.stream.bypassed(),
        distinct_texts=len(run.stream.texts),
        cut_texts=0,
        warm_up_requests=run.warm_up,
        max_wrong_share=options.max_wrong_share,
        points=(),
        recommended=None,
        recommended_why=WHY,
        scopes=ladder,
        without_field=without,
        variants=variant_rows(run, policy, point.peak_entries, run.points),
        bytes_per_entry=run.bytes_per_entry,
        exact=point,
        sizing=run.sizing(policy, point.peak_entries),
        lifetimes=lifetime_sweeps(run, (EXACT,)),
        ttl_s=policy.ttl_s,
    )
    progress.finish(f"{section.eligible_requests:,} requests, identical questions only")
    hits = decisions.served[0] >= 0
    return SemanticResult(
        section=section,
        exact_hits=hits,
        hits=hits,
        running_usd=run.running_usd(point.peak_entries),
        saved_bounds=bounds_of(point.raw_hit_share),
    )
