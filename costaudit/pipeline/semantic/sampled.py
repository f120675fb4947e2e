"""The sweep of a log of which only a part of the texts is embedded."""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.contracts.semantic import SampledPoint, SampledSweep
from costaudit.costing.cost import MTOK, rates_by_id
from costaudit.costing.ledger import per_month
from costaudit.costing.plan import embedding_per_mtok, semantic_running_cost, size_cache
from costaudit.embed.embedders import embedder_named
from costaudit.embed.store import VectorStore, embed_texts
from costaudit.embed.words import language_warning, word_vectors
from costaudit.pipeline.loaded import Loaded, no_texts, nothing_to_compare
from costaudit.pipeline.semantic.text_run import last_day, mean_bytes
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.sample import sampled_hit_shares
from costaudit.simulate.semantic.stream import Stream, keyed_stream
from costaudit.simulate.semantic.thresholds import parse_thresholds


def sampled_sweep(
    log: Loaded, options: AnalyzeOptions, sample: float, progress: Progress
) -> SampledSweep | str:
    """Estimate the sweep from `sample`: a share of the distinct texts below 1, else their number.

    Gives a sentence instead where the sample would hold every text. Raises InsufficientDataError
    where no question could be cached, too few of them could, or their texts were not kept.
    """
    if log.hashed:
        raise no_texts(log)
    policy = options.policy
    stream = keyed_stream(log.requests, log.blocks, policy, log.templates)
    distinct = len(stream.texts)
    if not distinct:
        raise nothing_to_compare(log, policy)
    wanted = round(sample * distinct) if sample < 1 else round(sample)
    if wanted >= distinct:
        return f"The log has {distinct:,} distinct texts, so all were embedded: no sample."
    texts = stream.texts["text"].to_list()
    progress.start("sample", None, "texts")
    cheap = word_vectors(texts)
    progress.finish(f"{wanted:,} of {distinct:,} texts to embed")
    embedder = embedder_named(policy.embedder)
    store = VectorStore(
        log.run.vectors_path, embedder.spec.name, embedder.spec.revision, embedder.spec.dimensions
    )
    policies = [replace(policy, min_similarity=t) for t in parse_thresholds(options.thresholds)]
    found = sampled_hit_shares(
        stream,
        cheap,
        lambda rows: embed_texts(stream.texts[rows], embedder, store, progress).vectors,
        policies,
        texts=wanted,
        weight=_usd(log),
        seed=options.seed,
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
    """What hits save and what the cache costs, for a month."""

    def __init__(self, log: Loaded, options: AnalyzeOptions, stream: Stream) -> None:
        eligible = stream.text >= 0
        self._days = log.quality.covered_days
        self._usd = log.usd_of(eligible)
        embedder = embedder_named(options.policy.embedder)
        tokens = embedder.token_counts(stream.texts["text"].to_list())
        self._tokens = int(tokens[stream.text[eligible]].sum())
        self._per_mtok = embedding_per_mtok(embedder.spec.name, last_day(log))
        answers = log.requests.select(block_id="answer_id").join(log.blocks, on="block_id")
        self._bytes = size_cache(
            options.policy,
            1,
            embedder.spec.dimensions,
            mean_bytes(stream.texts["text"]),
            mean_bytes(answers["text"]),
        ).bytes_per_entry

    def net_saved(self, share: Estimate, peak_entries: int) -> Money:
        """Turn a share of the eligible dollars into what is left of them."""
        running = semantic_running_cost(
            embedded_tokens=self._tokens,
            per_mtok=self._per_mtok,
            peak_entries=peak_entries,
            bytes_per_entry=self._bytes,
            covered_days=self._days,
        ).total_usd

        def net(part: float | None) -> Decimal:
            saved = self._usd * Decimal(str(part or 0.0)) - running
            return per_month(saved, self._days)

        return Money(net(share.value), "estimated", net(share.low), net(share.high))


def _usd(log: Loaded) -> np.ndarray:
    """Return what each request was billed, to weigh it by; float64 (n,)."""
    pricing = log.tariff.billed
    by_id = rates_by_id(pricing)
    none = max(by_id, default=-1) + 1
    rates = np.zeros((none + 1, len(TOKEN_CLASSES)))
    for rate_id, each in by_id.items():
        rates[rate_id] = [float(one / MTOK) for one in each]
    row = pricing.rate_ids.fill_null(none).to_numpy()
    classes = log.tariff.classes.select(TOKEN_CLASSES).to_numpy()
    usd: np.ndarray = np.einsum("ij,ij->i", classes, rates[row])
    return usd
