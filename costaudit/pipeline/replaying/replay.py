"""`replay` as a library call: the same requests through a live cache, beside what was predicted."""

import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal

import polars as pl

from costaudit.contracts.audit import Audit, read_audit, write_audit
from costaudit.contracts.grades import PER_MTOK, Estimate
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.replay import ReplayCost, ReplaySection
from costaudit.contracts.requests import OUTCOMES
from costaudit.contracts.run_dir import write_table
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.pipeline.analyze import audit_of
from costaudit.pipeline.loaded import Loaded, no_texts, nothing_to_compare
from costaudit.pipeline.replaying.stream import Rehearsal, judged_outcomes, rehearse
from costaudit.pipeline.semantic.keyed_run import EXACT
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.replay.backends import cache_at, upstream_at
from costaudit.replay.cache import LiveCache
from costaudit.replay.metrics import Monitor, check_port
from costaudit.replay.options import ReplayOptions
from costaudit.replay.replay import check_rules, replay
from costaudit.replay.result import ReplayResult
from costaudit.replay.section import compare, replay_section
from costaudit.replay.upstream import DryRun, Rate, Upstream, check_limit, dry_run
from costaudit.report.numbers import count, share, share_range, similarity


def with_effects(
    section: ReplaySection,
    log: Loaded,
    audit: Audit,
    policy: SemanticPolicy,
    predicted: pl.DataFrame,
    measured: pl.DataFrame,
) -> ReplaySection:
    """Add what models cost before and after, and the wrong answers that the hits imply.

    Both tables are OUTCOMES in the log's order.
    """
    point = audited_point(audit.semantic, policy)
    return replace(
        section,
        cost=ReplayCost(
            before_usd=log.usd_of((predicted["result"] != "").to_numpy()),
            predicted_usd=log.usd_of((predicted["result"] != "hit").to_numpy()),
            after_usd=log.usd_of((measured["result"] != "hit").to_numpy()),
        ),
        unsafe_predicted=None if point is None else point.unsafe_served_share,
        unsafe_served_share=None if point is None else unsafe_share(point, section),
        unsafe_from=unsafe_origin(point, section),
    )


def differing_settings(policy_id: str, policy: SemanticPolicy) -> tuple[str, ...]:
    """Name the settings, other than the threshold, in which a policy differs from an id."""
    theirs, mine = _settings(policy_id), _settings(policy.policy_id)
    return tuple(
        name for name in mine if name != "min_similarity" and theirs.get(name) != mine[name]
    )


def audited_point(semantic: SemanticSection | None, policy: SemanticPolicy) -> SweepPoint | None:
    """Find the audit's numbers for a policy; None where it did not try that one."""
    if semantic is None or differing_settings(semantic.policy_id, policy):
        return None
    if policy.min_similarity > 1:
        return semantic.exact
    near = [
        one for one in semantic.points if abs(one.min_similarity - policy.min_similarity) < 1e-9
    ]
    return near[0] if near else None


def _settings(policy_id: str) -> dict[str, str]:
    parts: Sequence[str] = policy_id.partition(":")[2].split(",")
    return dict(part.partition("=")[::2] for part in parts)


def unsafe_share(point: SweepPoint, section: ReplaySection) -> Estimate | None:
    """Let as many of the served hits be wrong as the audit says of the simulated ones."""
    of_all = point.unsafe_served_share
    if of_all is None or not point.hits:
        return of_all
    times = section.measured_hits / point.hits
    low, high = (None if one is None else one * times for one in (of_all.low, of_all.high))
    return Estimate(of_all.value * times, of_all.grade, low, high)


def unsafe_origin(point: SweepPoint | None, section: ReplaySection) -> str:
    """Say where the share of wrong answers comes from, or why there is none."""
    if point is None:
        return (
            "The audit did not try this policy at this threshold, so it has no estimate of wrong "
            "answers for it: analyze the log with the same options and this similarity."
        )
    if point.unsafe_served_share is None:
        return "The log holds no answers to compare, so nobody knows which hits were wrong."
    of_all = point.unsafe_served_share
    at = "identical text only" if point.min_similarity > 1 else similarity(point.min_similarity)
    between = share_range(of_all)
    return (
        f"The audit's estimate at similarity {at}, {share(of_all.value)}"
        f"{f' ({between})' if between else ''} of all requests over {count(point.hits)} simulated "
        f"hits, scaled to the {count(section.measured_hits)} hits that were served."
    )


@dataclass(frozen=True)
class ReplayPlan:
    """What is replayed, and against what."""

    cache: str  # address
    upstream: str = "recorded"
    min_similarity: float | None = None  # None: the audit's recommendation
    options: ReplayOptions = field(  # less threshold, TTL and journal
        default_factory=lambda: ReplayOptions(min_similarity=1.0)
    )
    metrics_port: int | None = None
    only_price: bool = False  # stop after the dry run


@dataclass(frozen=True)
class Replayed:
    """What came of it."""

    section: ReplaySection | None  # None after a dry run
    price: DryRun | None  # of the live models; None where the log answers
    audit: Audit
    own_rules: tuple[str, ...] = ()  # what only the cache's own configuration sets, in words


def reached(plan: ReplayPlan, policy: SemanticPolicy) -> tuple[LiveCache, Upstream]:
    """Make the cache and the upstream of a plan, before a log is read for them.

    Raises UsageError or BackendError for an address, a key, a port, a limit or a rule that can't
    work.
    """
    cache, upstream = cache_at(plan.cache), upstream_at(plan.upstream)
    check_rules(cache, upstream, _replay_settings(plan.options, policy))
    if plan.metrics_port is not None:
        check_port(plan.metrics_port)
    if not plan.only_price:
        if upstream.is_live or cache.asks_models:
            check_limit(plan.options.max_spend_usd)
        cache.reach()
    return cache, upstream


def replay_log(
    log: Loaded, options: AnalyzeOptions, plan: ReplayPlan, progress: Progress
) -> Replayed:
    """Replay a log, write its outcomes and put the result into the audit.

    A log that was not analyzed yet is analyzed first.
    """
    cache, upstream = reached(plan, options.policy)
    settings = _replay_settings(plan.options, options.policy)
    if log.hashed:
        raise no_texts(log)
    audit = _audit(log, options, progress)
    policy = replace(options.policy, min_similarity=_threshold(log, plan, audit, options.policy))
    run = SemanticRun(log, options, progress)
    if settings.speed is not None and not run.stream.timed:
        raise InsufficientDataError(
            "The log has no times, so no clock of it can set the pace.",
            hint="Leave --speed out; --max-rate sets a pace of its own.",
        )
    live = upstream.is_live or cache.asks_models
    ready = rehearse(run, policy, with_prompts=live)
    rate = dearest_rate(log) if live else None
    price = dry_run(ready.stream, rate, _miss_share(ready.predicted)) if rate else None
    if plan.only_price:
        return Replayed(None, price, audit)
    name = _file_name(cache.name)
    journal = log.run.outcomes_path / f"replay-{name}.journal"
    settings = replace(
        settings,
        min_similarity=policy.min_similarity,
        policy_id=f"replay:{cache.name}:{policy.policy_id}",
        resume_path=journal if policy.max_entries is None else None,
    )
    result = _watched(ready, cache, upstream, settings, rate, plan.metrics_port, progress)
    agreement = compare(
        ready.predicted,
        result.outcomes,
        ready.stream,
        settings,
        exact_index=cache.exact_index,
        own_vectors=cache.own_vectors,
        slack_s=result.slack_s,
    )
    section = with_effects(
        replay_section(ready.stream, ready.predicted, result, agreement, settings),
        log,
        audit,
        policy,
        ready.predicted,
        result.outcomes,
    )
    audit = replace(audit, replay=section)
    outcomes = judged_outcomes(result.outcomes, ready.predicted)
    write_table(outcomes, log.run.outcomes_path / f"replay-{name}.parquet", OUTCOMES)
    write_audit(audit, log.run.audit_path)
    journal.unlink(missing_ok=True)
    return Replayed(section, price, audit, cache.own_rules)


def dearest_rate(log: Loaded) -> Rate:
    """Take the highest rate of each token class over the log's models: no call costs more."""
    rates = log.tariff.table.rates
    if rates.is_empty():
        raise InsufficientDataError(
            "No model of this log has a known price, so a live replay can't be kept in a budget.",
            hint="Give the prices with --prices.",
        )
    return Rate(tuple(max(Decimal(text) for text in rates[name]) for name in PER_MTOK))


def _audit(log: Loaded, options: AnalyzeOptions, progress: Progress) -> Audit:
    if log.run.audit_path.is_file():
        return read_audit(log.run.audit_path)
    return audit_of(log, options, progress)


def _replay_settings(given: ReplayOptions, policy: SemanticPolicy) -> ReplayOptions:
    """Take over what the policy says of entries, so that a cache can be asked to keep it."""
    return replace(
        given,
        ttl_s=policy.ttl_s,
        ttl_kind=policy.ttl_kind,
        max_entries=policy.max_entries,
        eviction=policy.eviction,
        guard=policy.guard,
    )


def _threshold(log: Loaded, plan: ReplayPlan, audit: Audit, policy: SemanticPolicy) -> float:
    if plan.min_similarity is not None:
        return plan.min_similarity
    if audit.semantic is None:
        raise nothing_to_compare(log, policy)
    others = differing_settings(audit.semantic.policy_id, policy)
    if others:
        raise UsageError(
            f"The audit recommends a similarity for another cache: it differs in "
            f"{', '.join(others)}.",
            hint="Give the options that the log was analyzed with, or a similarity: --threshold.",
        )
    return EXACT if audit.semantic.recommended is None else audit.semantic.recommended


def _miss_share(predicted: pl.DataFrame) -> float:
    asked = predicted.filter(pl.col("result").is_in(["hit", "miss"]))
    return asked.filter(pl.col("result") == "miss").height / max(asked.height, 1)


def _watched(
    ready: Rehearsal,
    cache: LiveCache,
    upstream: Upstream,
    settings: ReplayOptions,
    rate: Rate | None,
    metrics_port: int | None,
    progress: Progress,
) -> ReplayResult:
    """Replay, with metrics on a port of this machine where one is given."""
    monitor = Monitor(ready.stream, metrics_port) if metrics_port is not None else None
    with monitor or nullcontext():
        return replay(
            ready.stream,
            ready.vectors,
            ready.texts,
            cache,
            upstream,
            settings,
            progress,
            rate=rate,
            listener=monitor,
            guard=ready.guard,
        )


def _file_name(address: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", address).strip("-")
