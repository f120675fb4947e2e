"""`replay` as a library call: the same requests through a live cache, beside the prediction."""

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
    """Add how many of the hits were wrong, and how many served somebody else's answer.

    `point` is the audit's own row for the policy; None where it did not try that policy.
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
    """Price the log as it was, as predicted and as measured; both tables are in the log's order.

    A live upstream's answers cost what it billed for them, at the price of each request's model.
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


def unsafe_origin(judged: JudgedHits) -> str:
    """Describe how the share of wrong answers was found, or why there is none."""
    if not judged.hits:
        return "The cache served no hit, so no answer was wrong."
    if judged.unsafe_served_share is None:
        return "The log holds no answers to compare, so nobody knows which hits were wrong."
    untold = f", {count(judged.untold)} are unknown" if judged.untold else ""
    return (
        f"Each of the {count(judged.hits)} hits was judged by the two logged answers of its own "
        f"pair: {count(judged.right)} look right, {count(judged.wrong)} wrong{untold}. The share "
        "is an estimate with its 95 % interval."
    )


@dataclass(frozen=True)
class ReplayPlan:
    """What is replayed, and against what."""

    cache: str  # address
    upstream: str = ""  # "": the log's answers, or a caching proxy's own model
    headers: Mapping[str, str] = field(default_factory=dict)  # sent to a caching proxy
    min_similarity: float | None = None  # None: the audit's recommendation
    options: ReplayOptions = field(  # less threshold, TTL and journal
        default_factory=lambda: ReplayOptions(min_similarity=1.0)
    )
    metrics_port: int | None = None
    only_price: bool = False  # stop after the dry run
    embed_ms: float | None = None  # None: measured on this machine
    describes: bool = False  # the policy describes the cache's own rules, which can't be set


@dataclass(frozen=True)
class Replayed:
    """The result of a replay."""

    section: ReplaySection | None  # None after a dry run
    price: DryRun | None  # of the live models; None where the log answers
    audit: Audit
    own_rules: tuple[str, ...] = ()  # what only the cache's own configuration sets, in words


@dataclass(frozen=True)
class Backends:
    """The cache and the upstream of a plan."""

    cache: LiveCache
    upstream: Upstream
    recorded_port: int | None = None  # where the log's answers are served to a caching proxy
    warnings: tuple[str, ...] = ()  # of the cache's server, sentences

    @property
    def is_live(self) -> bool:
        """Return whether misses cost money."""
        asks = self.cache.traits.asks_models and self.recorded_port is None
        return self.upstream.is_live or asks

    @property
    def needs_prompts(self) -> bool:
        """Return whether whole prompts are sent somewhere."""
        asks = self.cache.traits.asks_models or isinstance(self.cache, OwnClassCache)
        return self.upstream.is_live or asks


def reached(plan: ReplayPlan, policy: SemanticPolicy) -> Backends:
    """Make the cache and the upstream of a plan, before a log is read for them.

    Raises UsageError or BackendError for an address, a key, a port, a limit or a rule that can't
    work.
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
    """Return where to serve the log's answers; None where no proxy is to ask for them."""
    if not isinstance(cache, ProxyCache) or not plan.upstream:
        return None
    if upstream.is_live:
        raise UsageError(
            "A caching proxy asks the models that its own configuration names.",
            hint="Leave --upstream out, or give --upstream recorded and let the proxy's "
            "configuration name the URL that is printed.",
        )
    port = parse_address(plan.upstream, ("port",)).number("port", DEFAULT_PORT, zero=True)
    return int(port)


def replay_log(
    log: Loaded, options: AnalyzeOptions, plan: ReplayPlan, progress: Progress
) -> Replayed:
    """Replay a log, write its outcomes and put the result into the audit.

    A log that was not analyzed yet is analyzed first.
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
            "The log has no times, so no clock of it can set the pace.",
            hint="Leave --speed out; --max-rate sets a pace of its own.",
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


def _told(plan: ReplayPlan, cache: LiveCache) -> bool:
    """Return whether the cache is asked to keep the policy's rules; else they are its own."""
    return not (plan.describes and cache.traits.own_rules)


def _keeps_journal(plan: ReplayPlan, cache: LiveCache, policy: SemanticPolicy) -> bool:
    return policy.max_entries is None or not _told(plan, cache)


def _replay_settings(plan: ReplayPlan, cache: LiveCache, policy: SemanticPolicy) -> ReplayOptions:
    """Take over what the policy says of entries, so that a cache can be asked to keep it."""
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
            hint="Give the options that the log was analyzed with, or a similarity: --threshold.",
        )
    return EXACT if audit.semantic.recommended is None else audit.semantic.recommended


LOCAL_EMBEDDERS = ("minilm", "mpnet", "multilingual", "fast")
TIMED_TEXTS = 20


def _embed_ms(plan: ReplayPlan, run: SemanticRun) -> float:
    """Return the time to embed one question: as given, else the median on this machine.

    Embedders behind a network are not asked for it, since that costs money: 0.
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
    """Replay, with metrics on a port of this machine and with recorded answers where asked for."""
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
