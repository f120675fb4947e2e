"""Collect everything that a log shows about prompt caching, in tokens."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.grades import Pricing
from costaudit.contracts.policies import PrefixPolicy
from costaudit.contracts.prefix import Agreement
from costaudit.contracts.requests import COUNTED, IN_BATCH, INPUT_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.simulate.prefix.advice.explicit_caches import ExplicitFacts, explicit_caches
from costaudit.simulate.prefix.advice.markers import Terms, input_prices
from costaudit.simulate.prefix.advice.mend_runs import MendRuns
from costaudit.simulate.prefix.advice.plans import (
    Planned,
    ProviderFacts,
    compare_providers,
    plan_prompts,
)
from costaudit.simulate.prefix.advice.policy_run import (
    PrefixOutcome,
    agreement_by_model,
    billed_read_share,
    outcome_of,
    unconfirmed_of,
)
from costaudit.simulate.prefix.advice.template_facts import TemplateFacts, template_facts
from costaudit.simulate.prefix.breakers.breakers import Evidence, find_breakers
from costaudit.simulate.prefix.breakers.losses import Billing, Today, find_losses
from costaudit.simulate.prefix.breakers.mended import Mender, read_heads
from costaudit.simulate.prefix.caches.replay import Markers, logged_markers, replay
from costaudit.simulate.prefix.caches.static_share import Parts, split_parts, static_tokens
from costaudit.simulate.prefix.rules.calibration import Calibration, calibrate
from costaudit.simulate.prefix.rules.rules import assign_rules
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Prompts, group_requests, read_prompts
from costaudit.simulate.prefix.tree.unseen import KIND as UNSEEN
from costaudit.simulate.segments import Ints, Small, any_in, counts_in
from costaudit.simulate.templates import system_templates


def log_notes(requests: pl.DataFrame, prompts: Prompts, markers: Markers) -> tuple[str, ...]:
    """Return sentences about what could not be simulated, and what is assumed instead."""
    chat = column(requests, "kind").fill_null("chat").to_numpy() == "chat"
    bare = chat & (np.diff(prompts.segments.offsets) == 0)
    read = column(requests, "cache_read_tokens").fill_null(0).to_numpy()
    untimed = prompts.sendable & (prompts.start == NO_TIME)
    at_once = prompts.sendable & (prompts.first_byte == prompts.start + 1)
    kinds = np.array([*(kind == UNSEEN for kind in prompts.segments.kinds), False])
    unseen = any_in(kinds[prompts.segments.kind], prompts.segments.offsets)
    counts = (
        (bare, "carry no prompt: only their counters are reported"),
        (bare & (read > 0), "carry no prompt and were billed cache reads"),
        (untimed, "carry no time: entries do not expire for them, and they come last"),
        (at_once, "carry no latency: what they write can be read at once"),
        (markers.inferred, "show no marker but billed cache tokens, which show where it was"),
        (unseen, "lack their system prompt and tools: the counters show how long that head is"),
        (prompts.cut, "have a prompt that the exporter cut: they may share more or less"),
    )
    return tuple(f"{int(rows.sum()):,} requests {words}." for rows, words in counts if rows.any())


MIN_REQUESTS = 20
MIN_READ_SHARE = 0.2  # minimum share of simulated reads to report missing counters
CHANGED_SHARE = 0.5  # minimum change of the share of one-hour writes between the log's halves
MOST_MARKERS = 4


@dataclass(frozen=True)
class Sign:
    """A sign of a problem."""

    kind: str  # usage_not_parsed | too_many_markers | lifetime_changed | batch_not_shared
    text: str  # one sentence
    requests: int
    mend: str


def find_signs(requests: pl.DataFrame, prompts: Prompts, as_is: PrefixOutcome) -> tuple[Sign, ...]:
    """Return signs of problems in a log's counters, errors and batches."""
    return (
        *_not_parsed(requests, as_is),
        *_too_many_markers(requests, prompts.segments.offsets, prompts.segments.marker > 0),
        *_lifetime_changed(requests),
        *_batches(requests),
    )


def _not_parsed(requests: pl.DataFrame, as_is: PrefixOutcome) -> list[Sign]:
    counted = requests.lazy().select(
        pl.col("provider", "model").fill_null(""),
        cached=pl.sum_horizontal("^cache_.*_tokens$"),
        size=pl.sum_horizontal("input_uncached_tokens", "^cache_.*_tokens$"),
        counted=COUNTED,
    )
    simulated = pl.LazyFrame(
        {"read": column(as_is.classes, "cache_read_tokens"), "chosen": as_is.simulated}
    )
    models = (
        pl.concat([counted, simulated], how="horizontal")
        .filter("chosen", "counted")
        .group_by("provider", "model")
        .agg(pl.len(), pl.col("cached", "size", "read").sum())
        .filter(
            pl.col("len") >= MIN_REQUESTS,
            pl.col("cached") == 0,
            pl.col("read") >= MIN_READ_SHARE * pl.col("size"),
        )
        .collect(engine="streaming")
    )
    return [
        Sign(
            "usage_not_parsed",
            f"No request to {row['model']} shows cached tokens, though {row['read']:,} tokens "
            "should have been read: the log may not carry the counters.",
            row["len"],
            "Log the provider's cached-token counters, and compare one day with its usage page.",
        )
        for row in models.sort("provider", "model").iter_rows(named=True)
    ]


def _too_many_markers(
    requests: pl.DataFrame, offsets: Ints, marked: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> list[Sign]:
    count = counts_in(marked, offsets)
    refused = (column(requests, "status") == "error") & (column(requests, "http_status") == 400)
    rows = int((refused.fill_null(False).to_numpy() & (count > MOST_MARKERS)).sum())
    text = f"{rows:,} requests with more than {MOST_MARKERS} cache markers were refused."
    mend = f"Set no more than {MOST_MARKERS} markers in a request."
    return [Sign("too_many_markers", text, rows, mend)] if rows else []


def _lifetime_changed(requests: pl.DataFrame) -> list[Sign]:
    wrote = pl.col("cache_write_5m_tokens").fill_null(0) + pl.col(
        "cache_write_1h_tokens"
    ).fill_null(0)
    counts = requests.select("ts", "cache_write_5m_tokens", "cache_write_1h_tokens")
    rows = counts.filter(pl.col("ts").is_not_null() & (wrote > 0)).sort("ts")
    if len(rows) < 2 * MIN_REQUESTS:
        return []
    halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    early, late = (
        half["cache_write_1h_tokens"].fill_null(0).sum() / half.select(wrote.sum()).item()
        for half in halves
    )
    if abs(late - early) < CHANGED_SHARE:
        return []
    text = (
        f"One-hour writes went from {early:.0%} to {late:.0%} of all writes around "
        f"{halves[1]['ts'][0]:%Y-%m-%d}: a client may have changed its default lifetime."
    )
    return [Sign("lifetime_changed", text, len(rows), "Set the lifetime explicitly.")]


def _batches(requests: pl.DataFrame) -> list[Sign]:
    wrote = pl.sum_horizontal("^cache_write_.*_tokens$") > 0
    unread = pl.col("cache_read_tokens").fill_null(0) == 0
    cold = requests.select((IN_BATCH & wrote & unread).fill_null(False).sum()).item()
    if cold < MIN_REQUESTS:
        return []
    text = f"{cold:,} batch requests wrote to the cache and read nothing from it."
    mend = (
        "Prime the cache with a batch of one request and a one-hour lifetime, then send the rest."
    )
    return [Sign("batch_not_shared", text, cold, mend)]


@dataclass(frozen=True)
class PrefixFacts:
    """Prompt caching over the whole log; frames are aligned with the requests."""

    template: Ints  # per request: index into `templates`; -1 if it can't be simulated
    static: Small  # per request: tokens of the prefix shared with an earlier request
    prompts: Prompts  # for further runs of simulate_prefix
    mended: Prompts  # without the head's moving parts and their tokens, if that pays
    as_is: PrefixOutcome
    as_is_markers: Markers
    best_markers: Markers  # of the mended prompts
    input_tokens: int  # of simulated requests
    static_tokens: int
    billed_read_share: float | None
    templates: tuple[TemplateFacts, ...]  # most input first
    providers: tuple[ProviderFacts, ...]
    explicit: tuple[ExplicitFacts, ...]  # () without prices
    agreement: tuple[Agreement, ...]
    calibration: tuple[Calibration, ...]
    unconfirmed: tuple[str, ...]
    notes: tuple[str, ...]  # what the log lacks, and what is assumed instead
    signs: tuple[Sign, ...]  # of problems, in counters and errors


def prefix_facts(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    pricing: Pricing | None = None,
    *,
    prompts: Prompts | None = None,
    skeletons: pl.Series | None = None,
    compare: bool = True,
) -> PrefixFacts:
    """Simulate what the application does, the best that it could do, and other providers' rules.

    `skeletons` are the system templates of the requests; if None, they are computed.
    """
    prompts = prompts or read_prompts(requests, blocks)
    if skeletons is None:
        known = None if UNSEEN in prompts.segments.kinds else prompts.segments
        skeletons = system_templates(requests, blocks, known)
    groups = group_requests(requests, prompts, skeletons)
    static, last_user = static_tokens(prompts, prompts.sendable)
    parts = split_parts(prompts, groups, static)
    assigned = assign_rules(requests, prompts)
    markers = logged_markers(requests, prompts, assigned, groups.index)
    as_is = replay(prompts, assigned, markers, prompts.sendable)
    prices = input_prices(assigned, pricing)
    today = Today(prompts, groups, assigned, markers, as_is, static)
    terms = Terms(assigned, groups, prices, markers)
    planned, templates = _planned(requests, blocks, today, parts, terms, pricing)
    everyone = np.ones(len(requests), np.bool_)
    simulated = outcome_of(requests, as_is, assigned, PrefixPolicy(), everyone)
    return PrefixFacts(
        template=groups.index,
        static=static,
        prompts=prompts,
        mended=planned.prompts,
        as_is=simulated,
        as_is_markers=markers,
        best_markers=planned.markers,
        input_tokens=int(prompts.billed[prompts.sendable].sum()),
        static_tokens=int(static[prompts.sendable].sum()),
        billed_read_share=billed_read_share(requests),
        templates=templates,
        providers=compare_providers(
            requests, prompts, planned.plain_anchors, terms, pricing
        ) if compare else (),
        explicit=explicit_caches(
            requests, prompts, terms, planned.plain_anchors
        ) if pricing is not None else (),
        agreement=agreement_by_model(requests, simulated),
        calibration=calibrate(requests, prompts, static, last_user),
        unconfirmed=unconfirmed_of(assigned),
        notes=log_notes(requests, prompts, markers),
        signs=find_signs(requests, prompts, simulated),
    )  # fmt: skip


def _planned(
    requests: pl.DataFrame,
    blocks: pl.DataFrame,
    today: Today,
    parts: Parts,
    terms: Terms,
    pricing: Pricing | None,
) -> tuple[Planned, tuple[TemplateFacts, ...]]:
    """Return the best way to send each template, and what it holds, reads and loses."""
    prompts, groups = today.prompts, today.groups
    source = Mender(blocks, prompts, groups, parts, read_heads(blocks, prompts, groups, parts))
    mended = source.mend()
    losses = find_losses(requests, today, mended)
    planned = plan_prompts(prompts, mended, parts, terms)
    billed = requests.select(pl.col(INPUT_CLASSES).fill_null(0))
    if prompts.class_type is np.int32:  # half the memory
        billed = billed.cast(pl.Int32)
    simulated_billing = Billing.of(today.as_is.tokens, pricing)
    logged_billing = Billing.of(billed.to_numpy(), pricing)
    found = find_breakers(
        Evidence(requests, source, today, losses, simulated_billing, logged_billing)
    )
    runs = MendRuns(source, today, planned, simulated_billing.rate_ids, terms.prices)
    return planned, template_facts(requests, today, planned, parts, runs.price(found))
