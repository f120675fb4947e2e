"""Estimate the sweep of a log by embedding only a sample of the texts."""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from costaudit.contracts.grades import MTOK, Estimate, Money, micro_usd
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.contracts.semantic import SampledPoint, SampledSweep
from costaudit.costing.plans.nodes import embedder_for, store_for
from costaudit.costing.plans.sizing import embedding_per_mtok, size_cache
from costaudit.embed.embedders import embedder_on
from costaudit.embed.store import VectorStore, embed_texts, named
from costaudit.embed.words import WordVectors, language_warning
from costaudit.engine.pool import return_memory
from costaudit.pipeline.loaded import Loaded, no_texts, nothing_to_compare
from costaudit.pipeline.semantic.keyed_run import bounds_of, busiest_lookups_s
from costaudit.pipeline.semantic.text_run import last_day, mean_bytes
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.sample import Draw, Vectors, sampled_hit_shares
from costaudit.simulate.semantic.stream import Stream, keyed_stream
from costaudit.simulate.semantic.thresholds import parse_thresholds


def sampled_sweep(
    log: Loaded,
    options: AnalyzeOptions,
    sample: float,
    progress: Progress,
    stream: Stream | None = None,
) -> SampledSweep | str:
    """Estimate the sweep; `sample` is a share of the distinct texts if below 1, else their number.

    `stream` is that of the policy, if the caller has it.
    Return a sentence instead if the sample would hold every text. Raises InsufficientDataError if
    no or too few questions can be cached, or if their texts were not kept.
    """
    if log.hashed:
        raise no_texts(log)
    policy = options.policy
    stream = stream or keyed_stream(log.requests, log.blocks, policy, log.templates)
    distinct = len(stream.texts)
    if not distinct:
        raise nothing_to_compare(log, policy)
    wanted = round(sample * distinct) if sample < 1 else round(sample)
    if wanted >= distinct:
        return f"The log has {distinct:,} distinct texts: all were embedded, without sampling."
    texts = stream.texts["text"]
    return_memory()
    progress.start("sample", None, "texts")
    vectors = Vectors(
        WordVectors(texts),
        lambda rows: embed_texts(named(stream.texts[rows]), embedder, store, progress).vectors,
    )
    return_memory()
    progress.finish(f"{wanted:,} of {distinct:,} texts to embed")
    embedder = embedder_on(policy.embedder, options.ingest.engine)
    store = VectorStore(
        log.run.vectors_path, embedder.spec.name, embedder.spec.revision, embedder.spec.dimensions
    )
    policies = [replace(policy, min_similarity=t) for t in parse_thresholds(options.thresholds)]
    found = sampled_hit_shares(
        stream,
        vectors,
        policies,
        Draw(wanted, options.seed, _usd(log)),
    )
    bill = _Bill(log, options, stream)
    return SampledSweep(
        policy_id=policies[-1].policy_id,
        embedder=embedder.spec.name,
        embedder_revision=embedder.spec.revision,
        eligible_requests=int((stream.text >= 0).sum()),
        distinct_texts=distinct,
        embedded_texts=found.embedded_texts,
        core_texts=found.core_texts,
        points=tuple(
            SampledPoint(one.min_similarity, hits, bill.net_saved(usd, peak), peak)
            for one, hits, usd, peak in zip(
                policies, found.hit_share, found.weight_share, found.peak_entries, strict=True
            )
        ),
        language_warning=language_warning(texts, policy.embedder) or "",
    )


class _Bill:
    """The monthly saving of hits and cost of the cache."""

    def __init__(self, log: Loaded, options: AnalyzeOptions, stream: Stream) -> None:
        eligible = stream.text >= 0
        self._month = log.month
        self._machines = options.machines
        self._daily = log.month.daily(log.sent_usd * eligible)
        self._usd = log.month_usd(eligible)
        self._busiest_s = busiest_lookups_s(stream.ts_s[eligible])
        self._policy = options.policy
        self._scale = log.month.usd(eligible.astype(np.float64)) / max(int(eligible.sum()), 1)
        embedder = embedder_on(options.policy.embedder, options.ingest.engine)
        self._per_mtok = embedding_per_mtok(embedder.spec.name, last_day(log))
        self._tokens = 0  # counted only if they are paid for
        if self._per_mtok:
            tokens = embedder.token_counts(stream.texts["text"].to_list())
            self._tokens = int(tokens[stream.text[eligible]].sum())
        answers = log.requests.select(block_id="answer_id").join(log.blocks, on="block_id")
        self._sizes = (
            embedder.spec.dimensions,
            mean_bytes(stream.texts["text"]),
            mean_bytes(answers["text"]),
        )

    def net_saved(self, share: Estimate, peak_entries: int) -> Money:
        """Return the net monthly saving for a share of the eligible dollars."""
        value = Decimal(repr(share.value))
        usd = self._usd * value - self._running_usd(peak_entries)
        daily = self._daily * share.value
        return self._month.ranged(micro_usd(usd), daily, "estimated", bounds_of(share))

    def _running_usd(self, peak_entries: int) -> Decimal:
        """Return the monthly price of store and lookups; 0 if the month is unknown."""
        if not self._month.facts.is_month:
            return Decimal(0)
        size = size_cache(self._policy, peak_entries, *self._sizes)
        store = store_for(size.maxmemory_mib << 20, self._machines).usd_month
        if self._machines.embed_usd is not None or not self._per_mtok:
            return store + embedder_for(self._busiest_s, self._machines).usd_month
        return store + self._tokens * self._per_mtok / 1_000_000 * self._scale


def _usd(log: Loaded) -> np.ndarray:
    """Return each request's bill, as its weight; float64 (n,)."""
    pricing = log.tariff.billed
    by_id = pricing.rates_by_id
    none = max(by_id, default=-1) + 1
    rates = np.zeros((none + 1, len(TOKEN_CLASSES)))
    for rate_id, each in by_id.items():
        rates[rate_id] = [float(one / MTOK) for one in each]
    row = pricing.rate_ids.fill_null(none).to_numpy()
    classes = log.tariff.classes.select(TOKEN_CLASSES).to_numpy()
    usd: np.ndarray = np.einsum("ij,ij->i", classes, rates[row])
    return usd
