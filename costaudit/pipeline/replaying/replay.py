"""`replay` as a library call: send the same requests through a live cache, and compare."""

import re
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal

import polars as pl

from costaudit.contracts.audit import Audit, read_audit, write_audit
from costaudit.contracts.grades import PER_MTOK
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.replay import JudgedHits, ReplayCost, ReplaySection
from costaudit.contracts.requests import OUTCOMES, TOKEN_CLASSES
from costaudit.contracts.run_dir import write_table
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.costing.cost import cost
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.pipeline.analyze import audit_of
from costaudit.pipeline.loaded import Loaded, no_texts, nothing_to_compare
from costaudit.pipeline.replaying.judging import LiveVerdicts, judge_live_hits
from costaudit.pipeline.replaying.rules import explained
from costaudit.pipeline.replaying.stream import looked_up_only, rehearse
from costaudit.pipeline.semantic.keyed_run import EXACT
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.providers.address import parse_address
from costaudit.replay.backends import cache_at, upstream_at
from costaudit.replay.cache import Exporting, LiveCache, reach
from costaudit.replay.caches.own_class import OwnClassCache
from costaudit.replay.caches.proxy import ProxyCache
from costaudit.replay.metrics import Monitor, check_port
from costaudit.replay.options import ReplayOptions
from costaudit.replay.recorded_server import DEFAULT_PORT, RecordedServer
from costaudit.replay.replay import check_rules, replay
from costaudit.replay.result import ReplayResult
from costaudit.replay.section import Conditions, compare, replay_section
from costaudit.replay.steps import Watchers, Workload
from costaudit.replay.upstream import DryRun, Rate, Upstream, check_limit, dry_run
from costaudit.report.numbers import count


def with_verdicts(
    section: ReplaySection, verdicts: LiveVerdicts, point: SweepPoint | None
) -> ReplaySection:
    """Return the section with the numbers of wrong hits and of hits on another user's answer.

    `point` is the audit's row for the policy; None if the audit did not try it.
    """
    return replace(
        section,
        judged=verdicts.hits,
        crossed=verdicts.crossed,
        unsafe_predicted=verdicts.predicted_unsafe if point is None else point.unsafe_served_share,
        unsafe_served_share=verdicts.hits.unsafe_served_share,
        unsafe_from=unsafe_origin(verdicts.hits),
    )


def replay_cost(
    log: Loaded, predicted: pl.DataFrame, measured: pl.DataFrame, *, is_live: bool
) -> ReplayCost:
    """Return the log's cost as logged, as predicted and as measured; tables are in the log's order.

    Answers of a live upstream cost what it billed, at the price of each request's model.
    """
    missed = (measured["result"] != "hit").to_numpy()
    after_usd = log.usd_of(missed)
    if is_live:
        asked = measured["result"].is_in(["miss"])
        counts = measured.select(pl.col(TOKEN_CLASSES).fill_null(0))
        billed = cost(counts, log.tariff.table, asked).total_usd
        after_usd = log.usd_of(missed & ~asked.to_numpy()) + billed
    return ReplayCost(
        before_usd=log.usd_of((predicted["result"] != "").to_numpy()),
        predicted_usd=log.usd_of((predicted["result"] != "hit").to_numpy()),
        after_usd=after_usd,
    )


def differing_settings(policy_id: str, policy: SemanticPolicy) -> tuple[str, ...]:
    """Return the settings, other than the threshold, that differ between a policy and an id."""
    theirs, mine = _settings(policy_id), _settings(policy.policy_id)
    return tuple(
        name for name in mine if name != "min_similarity" and theirs.get(name) != mine[name]
    )


def audited_point(semantic: SemanticSection | None, policy: SemanticPolicy) -> SweepPoint | None:
    """Return the audit's numbers for a policy; None if the audit did not try it."""
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


def unsafe_origin(judged: JudgedHits) -> str:
    """Return a text about how the share of wrong answers was found, or why there is none."""
    if not judged.hits:
        return "The cache served no hit, so no answer was wrong."
    if judged.unsafe_served_share is None:
        return "The log holds no answers to compare, so nobody knows which hits were wrong."
    untold = f", {count(judged.untold)} are unknown" if judged.untold else ""
    return (
        f"Each of the {count(judged.hits)} hits was judged by the two logged answers of its own "
        f"pair: {count(judged.right)} look right, {count(judged.wrong)} wrong{untold}. The share "
        "is an estimate with its 95% interval."
    )


@dataclass(frozen=True)
class ReplayPlan:
    """What is replayed, and against what."""

    cache: str  # address
    upstream: str = ""  # "": the log's answers, or a caching proxy's model
    headers: Mapping[str, str] = field(default_factory=dict)  # sent to a caching proxy
    min_similarity: float | None = None  # None: the audit's recommendation
    options: ReplayOptions = field(  # without threshold, TTL and journal
        default_factory=lambda: ReplayOptions(min_similarity=1.0)
    )
    metrics_port: int | None = None
    only_price: bool = False  # stop after the dry run
    embed_ms: float | None = None  # None: measured on this machine
    describes: bool = False  # the policy only describes the cache's fixed rules


@dataclass(frozen=True)
class Replayed:
    """The result of a replay."""

    section: ReplaySection | None  # None after a dry run
    price: DryRun | None  # of the live models; None if the log's answers are used
    audit: Audit
    own_rules: tuple[str, ...] = ()  # rules that only the cache's configuration can set, as text


@dataclass(frozen=True)
class Backends:
    """The cache and the upstream of a plan."""

    cache: LiveCache
    upstream: Upstream
    recorded_port: int | None = None  # port of the log's answers, for a caching proxy
    warnings: tuple[str, ...] = ()  # sentences about the cache's server

    @property
    def is_live(self) -> bool:
        """Return whether misses cost money."""
        asks = self.cache.traits.asks_models and self.recorded_port is None
        return self.upstream.is_live or asks

    @property
    def needs_prompts(self) -> bool:
        """Return whether whole prompts are sent to a model or a proxy."""
        asks = self.cache.traits.asks_models or isinstance(self.cache, OwnClassCache)
        return self.upstream.is_live or asks


def reached(plan: ReplayPlan, policy: SemanticPolicy) -> Backends:
    """Return the cache and the upstream of a plan, checked before a log is read.

    Raises UsageError or BackendError for an invalid address, key, port, limit or rule.
    """
    cache, upstream = cache_at(plan.cache, plan.headers), upstream_at(plan.upstream or "recorded")
    check_rules(cache, upstream, _replay_settings(plan, cache, policy))
    if plan.metrics_port is not None:
        check_port(plan.metrics_port)
    backends = Backends(cache, upstream, _recorded_port(plan, cache, upstream))
    if plan.only_price:
        return backends
    if backends.is_live:
        check_limit(plan.options.max_spend_usd)
    return replace(backends, warnings=reach(cache))


def _recorded_port(plan: ReplayPlan, cache: LiveCache, upstream: Upstream) -> int | None:
    """Return the port on which to serve the log's answers; None if no proxy needs them."""
    if not isinstance(cache, ProxyCache) or not plan.upstream:
        return None
    if upstream.is_live:
        raise UsageError(
            "A caching proxy uses the models of its own configuration.",
            hint="Leave --upstream out; or use --upstream recorded, and write the printed URL into "
            "the proxy's configuration.",
        )
    port = parse_address(plan.upstream, ("port",)).number("port", DEFAULT_PORT, zero=True)
    return int(port)


def replay_log(
    log: Loaded, options: AnalyzeOptions, plan: ReplayPlan, progress: Progress
) -> Replayed:
    """Replay a log, write its outcomes, and add the result to the audit.

    If the log was not analyzed yet, it is analyzed first.
    """
    backends = reached(plan, options.policy)
    cache = backends.cache
    if log.hashed:
        raise no_texts(log)
    audit = _audit(log, options, progress)
    policy = replace(options.policy, min_similarity=_threshold(log, plan, audit, options.policy))
    run = SemanticRun(log, options, progress)
    if plan.options.speed is not None and not run.stream.timed:
        raise InsufficientDataError(
            "The log has no times that could set the pace.",
            hint="Leave --speed out, and set the pace with --max-rate.",
        )
    ready = rehearse(run, policy, with_prompts=backends.needs_prompts)
    if plan.options.shadow and isinstance(cache, Exporting):
        ready = replace(ready, predicted=looked_up_only(ready, cache.held()))
    rate = dearest_rate(log) if backends.is_live else None
    price = dry_run(ready.stream, rate, _miss_share(ready.predicted)) if rate else None
    if plan.only_price:
        return Replayed(None, price, audit)
    name = _file_name(cache.traits.name)
    journal = log.run.outcomes_path / f"replay-{name}.journal"
    settings = replace(
        _replay_settings(plan, cache, options.policy),
        min_similarity=policy.min_similarity,
        policy_id=f"replay:{cache.traits.name}:{policy.policy_id}",
        resume_path=journal if _keeps_journal(plan, cache, policy) else None,
    )
    if not cache.traits.asks_models:
        settings = replace(settings, embed_ms=_embed_ms(plan, run))
    work = Workload(ready.stream, ready.texts, ready.vectors, ready.guard, rate)
    result = _watched(work, backends, settings, plan.metrics_port, progress)
    found = explained(
        run, policy, ready.predicted, result.outcomes, other_texts=cache.traits.own_vectors
    )
    agreement = compare(
        ready.predicted,
        result.outcomes,
        Conditions(ready.stream, settings, cache.traits, result.slack_s, found.request_ids),
    )
    verdicts = judge_live_hits(run, ready.predicted, result.outcomes)
    section = with_verdicts(
        replay_section(ready.stream, ready.predicted, result, agreement, settings),
        verdicts,
        audited_point(audit.semantic, policy),
    )
    paid = replay_cost(log, ready.predicted, result.outcomes, is_live=backends.is_live)
    section = replace(
        section, cost=paid, rules=found.changes, notes=(*backends.warnings, *section.notes)
    )
    audit = replace(audit, replay=section)
    outcomes = result.outcomes.with_columns(right=verdicts.right)
    write_table(outcomes, log.run.outcomes_path / f"replay-{name}.parquet", OUTCOMES)
    write_audit(audit, log.run.audit_path)
    journal.unlink(missing_ok=True)
    return Replayed(section, price, audit, cache.traits.own_rules)


FREE = Rate((Decimal(0),) * len(PER_MTOK))


def dearest_rate(log: Loaded) -> Rate:
    """Return the highest rate of each token class over the log's models: no call costs more."""
    rates = log.tariff.table.rates
    if rates.is_empty():
        raise InsufficientDataError(
            "No model of this log has a known price, so a live replay can't be kept in a budget.",
            hint="Set the prices with --prices.",
        )
    return Rate(tuple(max(Decimal(text) for text in rates[name]) for name in PER_MTOK))


def _audit(log: Loaded, options: AnalyzeOptions, progress: Progress) -> Audit:
    if log.run.audit_path.is_file():
        return read_audit(log.run.audit_path)
    return audit_of(log, options, progress)


def _told(plan: ReplayPlan, cache: LiveCache) -> bool:
    """Return whether the replay sets the policy's rules in the cache, or keeps the cache's own."""
    return not (plan.describes and cache.traits.own_rules)


def _keeps_journal(plan: ReplayPlan, cache: LiveCache, policy: SemanticPolicy) -> bool:
    return policy.max_entries is None or not _told(plan, cache)


def _replay_settings(plan: ReplayPlan, cache: LiveCache, policy: SemanticPolicy) -> ReplayOptions:
    """Return replay options with the policy's rules about entries."""
    if not _told(plan, cache):
        return plan.options
    return replace(
        plan.options,
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
            hint="Use the options of the log's analysis, or set a similarity: --threshold.",
        )
    return EXACT if audit.semantic.recommended is None else audit.semantic.recommended


LOCAL_EMBEDDERS = ("minilm", "mpnet", "multilingual", "fast")
TIMED_TEXTS = 20


def _embed_ms(plan: ReplayPlan, run: SemanticRun) -> float:
    """Return the time to embed one question, in ms: as set, or else the median on this machine.

    It is 0 for hosted embedders, because measuring them costs money.
    """
    if plan.embed_ms is not None:
        return plan.embed_ms
    if run.options.policy.embedder not in LOCAL_EMBEDDERS:
        return 0.0
    took_ms = []
    for text in run.stream.texts["text"].head(TIMED_TEXTS):
        started = time.perf_counter()
        run.embedder.encode([text])
        took_ms.append((time.perf_counter() - started) * 1000)
    return statistics.median(took_ms) if took_ms else 0.0


def _miss_share(predicted: pl.DataFrame) -> float:
    asked = predicted.filter(pl.col("result").is_in(["hit", "miss"]))
    return asked.filter(pl.col("result") == "miss").height / max(asked.height, 1)


def _watched(
    work: Workload,
    backends: Backends,
    settings: ReplayOptions,
    metrics_port: int | None,
    progress: Progress,
) -> ReplayResult:
    """Replay, and serve metrics and recorded answers on local ports if the options ask for it."""
    monitor = Monitor(work.stream, metrics_port) if metrics_port is not None else None
    with ExitStack() as around:
        if monitor is not None:
            around.enter_context(monitor)
        if backends.recorded_port is not None and isinstance(backends.cache, ProxyCache):
            server = RecordedServer(work.stream, backends.recorded_port, settings.speed)
            backends.cache.recorded = around.enter_context(server)
            work = replace(work, rate=FREE)
            settings = replace(settings, max_spend_usd=Decimal(0))
            progress.start("upstream", None, "answers")
            progress.finish(f"the log's answers at {server.url}")
        watchers = Watchers(progress, monitor)
        return replay(work, backends.cache, backends.upstream, settings, watchers)


def _file_name(address: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", address).strip("-")
