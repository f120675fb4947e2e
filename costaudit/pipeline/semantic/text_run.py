"""A log whose texts were kept: their vectors, and the judge of its answers."""

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from costaudit.answers.consistency import Consistency
from costaudit.answers.logged import AnswerVectors, Questions, logged
from costaudit.answers.rates import Rated, rates
from costaudit.answers.tally import Population, RatePoint
from costaudit.answers.traps.signatures import TrapGuard, stored_signatures
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import Approximation
from costaudit.costing.plans.sizing import embedding_per_mtok
from costaudit.embed.embedders import embedder_named
from costaudit.embed.store import VectorStore, embed_texts
from costaudit.embed.words import language_warning
from costaudit.pipeline.loaded import Loaded, no_texts
from costaudit.pipeline.semantic.keyed_run import KeyedRun, mean_length
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.inverted_file import (
    Cells,
    make_cells,
    why_exact,
)
from costaudit.simulate.semantic.pairs import Bounds, upper_bounds
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import Decisions, approximation_errors, sweep

_LOWEST = 0.7  # similarity from which on most sweeps look for pairs


class SemanticRun(KeyedRun):
    """One log, keyed and embedded once, to be swept under many policies."""

    context = (0.7, 0.8, 0.9)

    def __init__(self, log: Loaded, options: AnalyzeOptions, progress: Progress) -> None:
        """Embed the questions; raises InsufficientDataError where their texts were not kept."""
        if log.hashed:
            raise no_texts(log)
        super().__init__(log, options)
        self.progress = progress
        self.embedder = embedder_named(options.policy.embedder)
        self.dimensions = self.embedder.spec.dimensions
        self._store = VectorStore(
            log.run.vectors_path,
            self.embedder.spec.name,
            self.embedder.spec.revision,
            self.embedder.spec.dimensions,
        )
        self.vectors = self._embed(self.stream.texts, "questions")
        texts = self.stream.texts["text"].to_list()
        self.language_warning = language_warning(texts, options.policy.embedder) or ""
        tokens = self.embedder.token_counts(texts)
        self.cut_texts = int((tokens > self.embedder.spec.max_tokens).sum())
        self.embedded_tokens = int(tokens[self.stream.text[self.eligible]].sum())
        self.per_mtok = embedding_per_mtok(self.embedder.spec.name, last_day(self.log))
        self.check = self._judge()

    @cached_property
    def cells(self) -> Cells | None:
        """Return the cells of an approximate sweep; None where the sweep is exact."""
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
            self.guard(policies),
            cells=self.cells,
            bounds=self._bounds,
        )

    def approximation(self, policies: Sequence[SemanticPolicy]) -> Approximation | None:
        """Measure how far off the hit shares of policies are; None where the sweep is exact."""
        if self.cells is None:
            return None
        checked, errors = approximation_errors(
            self.stream, self.vectors, policies, self.cells, self.guard(policies)
        )
        return Approximation(self.cells.count, self.cells.probes.shape[1], checked, errors)

    def guard(self, policies: Sequence[SemanticPolicy]) -> TrapGuard | None:
        """Return what refuses pairs under policies of one guard; None where nothing does."""
        names = policies[0].guard
        return TrapGuard(self.check.question_traps, names) if names else None

    def rated(self, served: np.ndarray, replicates: int = 200) -> Rated:
        """Judge the hits in rows of `Decisions.served` by the answers in the log."""
        return rates(
            self.check,
            served,
            Population(self.eligible, self.blocks, self.steady),
            replicates=replicates,
            seed=self.options.seed,
        )

    def points(self, served: np.ndarray, replicates: int = 200) -> tuple[RatePoint, ...]:
        """Return the rates of rows of `Decisions.served`."""
        return self.rated(served, replicates).points

    def embedded(self, texts: pl.DataFrame) -> np.ndarray:
        """Embed texts of another key; each is cut where the model's window ends."""
        return self._embed(texts, "prompts")

    def _embed(self, texts: pl.DataFrame, unit: str) -> np.ndarray:
        return embed_texts(texts, self.embedder, self._store, self.progress, unit=unit).vectors

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
                vectors[rows] = self._embed(answers[rows], "answers")
                found[rows] = True

        texts = logged(
            log.requests,
            log.blocks,
            Questions(
                self.stream.texts["text"].to_list(),
                self.stream.text,
                self.vectors,
                self.stream.partition,
            ),
            AnswerVectors(vectors, row.cast(pl.Int64).fill_null(-1).to_numpy(), embed),
        )
        kept = log.run.signatures_path
        return Consistency(
            texts,
            question_traps=stored_signatures(texts.questions, kept),
            answer_traps=stored_signatures(texts.answers, kept),
        )

    def text_bytes(self) -> tuple[float, float]:
        """Return the mean length of a question and of an answer, as UTF-8."""
        answers = self.log.requests.select(block_id="answer_id").join(
            self.log.blocks, on="block_id"
        )
        return mean_bytes(self.stream.texts["text"]), mean_bytes(answers["text"])


def mean_bytes(texts: pl.Series) -> float:
    """Return the mean length of texts; 0 where there are none."""
    return mean_length(texts.str.len_bytes())


def last_day(log: Loaded) -> date:
    """Return the last day of a log, which its prices go by."""
    last = log.quality.last_ts
    return date.fromisoformat(last[:10]) if last else date.max
