"""A log with its texts: their vectors, and the comparison of answers."""

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
import xxhash

from costaudit.answers.consistency import Consistency
from costaudit.answers.kinds import prose_of
from costaudit.answers.logged import AnswerVectors, Questions, logged
from costaudit.answers.mixture.mixture import MISSED, Missed
from costaudit.answers.rates import Rated, rates
from costaudit.answers.tally import RatePoint
from costaudit.answers.traps.signatures import TrapGuard, stored_signatures
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.run_dir import column
from costaudit.contracts.semantic import Approximation, Misses
from costaudit.costing.cost import per_request_usd
from costaudit.costing.plans.sizing import embedding_per_mtok
from costaudit.embed.embedders import embedder_on
from costaudit.embed.store import VectorStore, embed_texts, named
from costaudit.embed.words import language_warning
from costaudit.engine.engine import is_on_ray
from costaudit.pipeline.loaded import Loaded, no_texts
from costaudit.pipeline.memory import Comparison, say_comparison
from costaudit.pipeline.semantic.keyed_run import Keyed, KeyedRun, mean_length
from costaudit.pipeline.semantic.store import misses_of
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.division import HERE, Division, Search
from costaudit.simulate.semantic.inverted_file import (
    Cells,
    make_cells,
    why_exact,
)
from costaudit.simulate.semantic.keys import groups_of, keys_of
from costaudit.simulate.semantic.pairs import Bounds, upper_bounds
from costaudit.simulate.semantic.stream import Stream, largest_pool
from costaudit.simulate.semantic.sweep import Decisions, approximation_errors, sweep
from costaudit.simulate.semantic.thresholds import parse_thresholds
from costaudit.simulate.semantic.topics.clusters import Clusters, cluster_texts

_LOWEST = 0.7  # similarity from which most sweeps need pairs


class SemanticRun(KeyedRun):
    """One log, keyed and embedded once for sweeps under many policies."""

    context = (0.7, 0.8, 0.9)

    def __init__(
        self,
        log: Loaded,
        options: AnalyzeOptions,
        progress: Progress,
        keyed: Keyed | None = None,
    ) -> None:
        """Embed the questions; raises InsufficientDataError if their texts were not kept."""
        if log.hashed:
            raise no_texts(log)
        super().__init__(log, options, keyed)
        self.progress = progress
        self.embedder = embedder_on(options.policy.embedder, options.ingest.engine)
        self.dimensions = self.embedder.spec.dimensions
        self._store = VectorStore(
            log.run.vectors_path,
            self.embedder.spec.name,
            self.embedder.spec.revision,
            self.embedder.spec.dimensions,
        )
        self.texts = named(self.stream.texts)
        policies = len(parse_thresholds(options.thresholds)) + 1
        asked = Comparison(len(self.texts), len(self.eligible), policies, self.dimensions)
        say_comparison(asked, progress)
        self.vectors = self._embed(self.texts, "questions")
        texts = self.stream.texts["text"].to_list()
        self.language_warning = language_warning(texts, options.policy.embedder) or ""
        tokens = self.embedder.token_counts(texts)
        self.cut_texts = int((tokens > self.embedder.spec.max_tokens).sum())
        self.embedded_tokens = int(tokens[self.stream.text[self.eligible]].sum())
        self.per_mtok = embedding_per_mtok(self.embedder.spec.name, last_day(self.log))
        self.check = self._judge()

    @cached_property
    def cells(self) -> Cells | None:
        """Return the cells of an approximate sweep; None if the sweep is exact."""
        if not self.options.approximate or self.exact_why:
            return None
        return make_cells(self.vectors, seed=self.options.seed)

    @cached_property
    def misses(self) -> Misses | None:
        """Return what the last judge of this run showed about the detectors; None without one."""
        return misses_of(self.log.run)

    @cached_property
    def topics(self) -> Clusters:
        """Return the topics of the texts, in falling order of cost."""
        return cluster_texts(self.texts, self.vectors, usd_by_text(self.log, self.stream))

    @cached_property
    def topic(self) -> np.ndarray:
        """Return the topic of each request; -1 if it is not eligible. int32 (n,)."""
        own = np.full(len(self.stream.text), -1, np.int32)
        own[self.eligible] = self.topics.cluster[self.stream.text[self.eligible]]
        return own

    @property
    def exact_why(self) -> str:
        """Return why the sweep is exact although --approx was set; "" if it is approximate."""
        options = self.options
        few = options.approximate_from
        return why_exact(len(self.vectors), few) if options.approximate else ""

    @cached_property
    def _bounds(self) -> Bounds:
        """Return the vectors' projections, computed once; results don't depend on `lowest`."""
        return upper_bounds(self.vectors, _LOWEST, self.options.sizes)

    @property
    def search(self) -> Search:
        """Return how similar texts are looked for."""
        return Search(self.cells, self._bounds, self.options.sizes)

    @property
    def _division(self) -> Division:
        """Return where large sweeps are decided; a pool of one is this process."""
        asked = self.options.ingest
        apart = is_on_ray(asked.engine) or asked.workers > 1
        return Division(asked.engine, asked.workers) if apart else HERE

    def swept(self, policies: Sequence[SemanticPolicy], stream: Stream | None = None) -> Decisions:
        """Return the decisions under policies that share a stream and a guard.

        The stream is the run's own unless one is given.
        """
        return sweep(
            stream or self.stream,
            self.vectors,
            policies,
            self.guard(policies),
            self.search,
            self._division,
        )

    def fits(self, stream: Stream) -> bool:
        """Return whether a stream's pools are small enough to look for similar texts."""
        return largest_pool(stream, self.options.sizes.most_nodes) == 0

    def approximation(self, policies: Sequence[SemanticPolicy]) -> Approximation | None:
        """Measure the error of policies' hit shares; return None if the sweep is exact."""
        if self.cells is None:
            return None
        checked, errors = approximation_errors(
            self.stream,
            self.vectors,
            policies,
            self.cells,
            self.guard(policies),
            self.options.checked_requests,
        )
        return Approximation(self.cells.count, self.cells.probes.shape[1], checked, errors)

    def guard(self, policies: Sequence[SemanticPolicy]) -> TrapGuard | None:
        """Return the guard that the policies share; None without one."""
        names = policies[0].guard
        return TrapGuard(self.check.question_traps, names) if names else None

    def rated(self, served: np.ndarray, replicates: int = 200) -> Rated:
        """Judge the hits in rows of `Decisions.served` by the log's answers."""
        return rates(
            self.check,
            served,
            self.counted,
            replicates=replicates,
            seed=self.options.seed,
            missed=_with_verdicts(self.misses),
        )

    def points(self, served: np.ndarray, replicates: int = 200) -> tuple[RatePoint, ...]:
        """Return the rates of rows of `Decisions.served`."""
        return self.rated(served, replicates).points

    def embedded(self, texts: pl.DataFrame) -> np.ndarray:
        """Embed texts of another key; each is cut at the end of the model's window."""
        return self._embed(named(texts), "prompts")

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
            .select(answer_id="block_id", text="text", key=pl.lit(log.keys).gather("block_id"))
        )
        said, row_of = said_by(answers)
        row = log.requests.join(row_of, on="answer_id", how="left", maintain_order="left")["row"]
        answers = said
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
                prompt=self._whole_prompts(),
                users=numbered(column(log.requests, "user")),
            ),
            AnswerVectors(vectors, row.cast(pl.Int64).fill_null(-1).to_numpy(), embed),
        )
        kept = log.run.signatures_path
        return Consistency(
            texts,
            question_traps=stored_signatures(texts.questions, kept),
            answer_traps=stored_signatures(texts.said, kept),
        )

    def _whole_prompts(self) -> np.ndarray:
        """Return a number per whole prompt: model, system, tools, history, question. int32 (n,)."""
        keys, requests = self._keys, self.log.requests
        if self.options.policy.key == "last_user":
            keys = keys_of(requests, self.log.compared, "conversation")
        parts = (keys.fields["tools"], keys.history, self.stream.text)
        return groups_of([column(requests, "model"), *parts, self.log.templates])

    def text_bytes(self) -> tuple[float, float]:
        """Return the mean length of a question and of an answer, in bytes of UTF-8."""
        answers = self.log.requests.select(block_id="answer_id").join(
            self.log.blocks, on="block_id"
        )
        return mean_bytes(self.stream.texts["text"]), mean_bytes(answers["text"])


def usd_by_text(log: Loaded, stream: Stream) -> np.ndarray:
    """Return what the requests for each text of a stream cost; float64 (texts,)."""
    usd = np.nan_to_num(per_request_usd(log.tariff.classes, log.tariff.billed))
    eligible = stream.text >= 0
    return np.bincount(stream.text[eligible], usd[eligible], len(stream.texts))


def _with_verdicts(told: Misses | None) -> Missed:
    """Return what is known about wrong details that no detector sees, with a judge's verdicts."""
    if told is None:
        return MISSED
    return Missed(
        MISSED.missed + told.missed,
        MISSED.seen + told.seen,
        MISSED.unexplained + told.unexplained,
        MISSED.explained + told.explained,
    )


def said_by(answers: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the distinct prose of answers (text_id, text), and their row of each answer_id.

    answers: answer_id, text and key, by which vectors of the whole text are stored.
    The prose of structured output is its long strings; without one, it has no row.
    """
    ids, texts = [], []
    for name, text in answers.select("key", "text").iter_rows():
        prose = prose_of(text)
        ids.append(name if prose == text else xxhash.xxh3_128_hexdigest(prose.encode()))
        texts.append(prose)
    found = answers.select(
        "answer_id",
        text_id=pl.Series(ids, dtype=pl.String),
        text=pl.Series(texts, dtype=pl.String),
    ).filter(pl.col("text") != "")
    said = found.select("text_id", "text").unique("text_id", maintain_order=True)
    rows = said.select("text_id").with_row_index("row")
    return said, found.join(rows, on="text_id", maintain_order="left").select("answer_id", "row")


def numbered(names: pl.Series) -> np.ndarray:
    """Return a number for each name; -1 for null. int32 (n,)."""
    number = names.cast(pl.String).rank("dense").cast(pl.Int32) - 1
    return number.fill_null(-1).to_numpy()


def mean_bytes(texts: pl.Series) -> float:
    """Return the mean length of texts, in bytes; 0 without any."""
    return mean_length(texts.str.len_bytes())


def last_day(log: Loaded) -> date:
    """Return the last day of a log, whose prices apply."""
    last = log.quality.last_ts
    return date.fromisoformat(last[:10]) if last else date.max
