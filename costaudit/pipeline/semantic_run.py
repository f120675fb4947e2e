"""What the sweeps of one log share: keyed texts, vectors, the judge of answers, running costs."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from functools import cached_property

import numpy as np
import polars as pl

from costaudit.answers.blocks import blocks_of
from costaudit.answers.consistency import Consistency
from costaudit.answers.logged import logged
from costaudit.answers.rates import Rated, rates
from costaudit.answers.traps.guard import TrapGuard
from costaudit.answers.traps.stored import stored_signatures
from costaudit.contracts.grades import Estimate, Money
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import Approximation, CacheSize
from costaudit.costing.ledger import per_month
from costaudit.costing.running import embedding_per_mtok, semantic_running_cost
from costaudit.embed.language import language_warning
from costaudit.embed.run import embed_texts
from costaudit.embed.store import VectorStore
from costaudit.embed.table import embedder_named
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.cells import (
    Cells,
    approximation_errors,
    make_cells,
    why_exact,
)
from costaudit.simulate.semantic.keys import keys_of
from costaudit.simulate.semantic.projection import Bounds, upper_bounds
from costaudit.simulate.semantic.sizing import size_cache
from costaudit.simulate.semantic.stream import Stream, keyed_stream, rescoped
from costaudit.simulate.semantic.sweep import Decisions, sweep

WARM_UP_SHARE = 0.2  # of eligible requests, in order: left out of the steady state
_LOWEST = 0.7  # similarity from which on most sweeps look for pairs


class SemanticRun:
    """One log, keyed and embedded once, to be swept under many policies."""

    def __init__(self, log: Loaded, options: AnalyzeOptions, progress: Progress) -> None:
        self.log, self.options, self.progress = log, options, progress
        self.embedder = embedder_named(options.policy.embedder)
        self._store = VectorStore(
            log.run.vectors_path,
            self.embedder.name,
            self.embedder.revision,
            self.embedder.dimensions,
        )
        self._keys = keys_of(log.requests, log.blocks, options.policy.key)
        self.stream = keyed_stream(
            log.requests, log.blocks, options.policy, log.templates, self._keys
        )
        self.vectors = self._embed(self.stream.texts)
        texts = self.stream.texts["text"].to_list()
        self.language_warning = language_warning(texts, options.policy.embedder) or ""
        self._tokens = self.embedder.token_counts(texts)
        self.cut_texts = int((self._tokens > self.embedder.max_tokens).sum())
        self.eligible = self.stream.text >= 0
        self.warm_up = int(self.eligible.sum() * WARM_UP_SHARE)
        self._steady = np.cumsum(self.eligible) > self.warm_up
        self._blocks = blocks_of(log.requests)
        self.check = self._judge()
        self.bytes_per_entry = self.sizing(options.policy, 1).bytes_per_entry
        self._per_mtok = embedding_per_mtok(self.embedder.name, last_day(self.log))

    def keyed(self, policy: SemanticPolicy) -> Stream:
        """Key the log under a policy; scopes change the partitions, never the texts."""
        return rescoped(self.stream, self.log.requests, policy, self.log.templates, self._keys)

    @cached_property
    def cells(self) -> Cells | None:
        """Give the cells of an approximate sweep; None where the sweep is exact."""
        if not self.options.approximate or why_exact(len(self.vectors)):
            return None
        return make_cells(self.vectors, seed=self.options.seed)

    @cached_property
    def _bounds(self) -> Bounds:
        """Project the vectors once for all sweeps; their results don't hang on `lowest`."""
        return upper_bounds(self.vectors, _LOWEST)

    def swept(self, policies: Sequence[SemanticPolicy], stream: Stream | None = None) -> Decisions:
        """Decide the log under policies that share a stream and a guard.

        The stream is the run's own unless one is given.
        """
        return sweep(
            stream or self.stream,
            self.vectors,
            policies,
            self._guard(policies),
            cells=self.cells,
            bounds=self._bounds,
        )

    def approximation(self, policies: Sequence[SemanticPolicy]) -> Approximation | None:
        """Measure how far off the hit shares of policies are; None where the sweep is exact."""
        if self.cells is None:
            return None
        checked, errors = approximation_errors(
            self.stream, self.vectors, policies, self.cells, self._guard(policies)
        )
        return Approximation(self.cells.count, self.cells.probes.shape[1], checked, errors)

    def _guard(self, policies: Sequence[SemanticPolicy]) -> TrapGuard | None:
        names = policies[0].guard
        return TrapGuard(self.check.question_traps, names) if names else None

    def rated(self, served: np.ndarray, replicates: int = 200) -> Rated:
        """Judge the hits in rows of `Decisions.served` by the answers in the log."""
        return rates(
            self.check,
            served,
            eligible=self.eligible,
            block=self._blocks,
            steady=self._steady,
            replicates=replicates,
            seed=self.options.seed,
        )

    def running_usd(self, peak_entries: int) -> Decimal:
        """Price the lookups and the store over the log's period."""
        return semantic_running_cost(
            embedded_tokens=int(self._tokens[self.stream.text[self.eligible]].sum()),
            per_mtok=self._per_mtok,
            peak_entries=peak_entries,
            bytes_per_entry=self.bytes_per_entry,
            covered_days=self.log.quality.covered_days,
        ).total_usd

    def net_usd_month(self, served: np.ndarray, peak_entries: int) -> Decimal:
        """Give what the hits of one row were billed, less the running cost, for a month."""
        saved = self.log.usd_of(served >= 0) - self.running_usd(peak_entries)
        return per_month(saved, self.log.quality.covered_days)

    def _embed(self, texts: pl.DataFrame) -> np.ndarray:
        return embed_texts(texts, self.embedder, self._store, self.progress).vectors

    def _judge(self) -> Consistency:
        log = self.log
        answers = (
            log.requests.filter(pl.Series(self.eligible))
            .select(block_id="answer_id")
            .unique(maintain_order=True)
            .join(log.blocks, on="block_id", maintain_order="left")
            .filter(pl.col("text").str.len_bytes() > 0)
            .select(text_id="block_id", text="text")
        )
        rows = answers.select(answer_id="text_id").with_row_index("row")
        row = log.requests.join(rows, on="answer_id", how="left", maintain_order="left")["row"]
        found, vectors = self._store.load(answers["text_id"])

        def embed(rows: np.ndarray) -> None:
            rows = rows[~found[rows]]
            if len(rows):
                vectors[rows] = self._embed(answers[rows])
                found[rows] = True

        texts = logged(
            log.requests,
            log.blocks,
            questions=self.stream.texts["text"].to_list(),
            question=self.stream.text,
            question_vectors=self.vectors,
            scope=self.stream.partition,
            vectors=vectors,
            answer_row=row.cast(pl.Int64).fill_null(-1).to_numpy(),
            embed=embed,
        )
        kept = log.run.signatures_path
        return Consistency(
            texts,
            question_traps=stored_signatures(texts.questions, kept),
            answer_traps=stored_signatures(texts.answers, kept),
        )

    def sizing(self, policy: SemanticPolicy, entries: int) -> CacheSize:
        """Size the cache for its fullest moment."""
        log = self.log
        answers = log.requests.select(block_id="answer_id").join(log.blocks, on="block_id")
        size = size_cache(
            policy,
            entries,
            self.embedder.dimensions,
            mean_bytes(self.stream.texts["text"]),
            mean_bytes(answers["text"]),
        )
        return CacheSize(**asdict(size))


def bounds_of(share: Estimate) -> tuple[float, float] | None:
    """Give the interval of a share as multiples of it."""
    if share.low is None or share.high is None or not share.value:
        return None
    return share.low / share.value, share.high / share.value


def money_of(usd: Decimal, share: Estimate) -> Money:
    """Let the interval of the hit share carry over to the money that the hits save."""
    bounds = bounds_of(share)
    if bounds is None:
        return Money(usd, "simulated")
    low, high = sorted((usd * Decimal(str(bound))).quantize(usd) for bound in bounds)
    return Money(usd, "simulated", low, high)


def mean_bytes(texts: pl.Series) -> float:
    """Give the mean length of texts; 0 where there are none."""
    lengths = texts.str.len_bytes().drop_nulls()
    return float(lengths.to_numpy().mean()) if len(lengths) else 0.0


def last_day(log: Loaded) -> date:
    """Give the last day of a log, which its prices go by."""
    last = log.quality.last_ts
    return date.fromisoformat(last[:10]) if last else date.max
