"""Simulate a response cache without vectors, for identical questions only."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import polars as pl

from costaudit.answers.tally import RatePoint, rates_by_id
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.run_dir import column
from costaudit.contracts.semantic import Lack, SemanticSection
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.keyed_run import EXACT, CacheHits, Keyed, KeyedRun, mean_length
from costaudit.pipeline.semantic.variants import lifetime_sweeps, scope_rows, variant_rows
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import Decisions, sweep


class ExactRun(KeyedRun):
    """One log, keyed by ids, for sweeps under policies that match identical questions only."""

    def swept(self, policies: Sequence[SemanticPolicy], stream: Stream | None = None) -> Decisions:
        """Return the decisions under policies that share a stream."""
        return sweep(stream or self.stream, None, policies)

    def together(self, policies: Sequence[SemanticPolicy]) -> list[Sequence[SemanticPolicy]]:
        """Return each policy alone: they share no work, and each takes memory."""
        return [[one] for one in policies]

    def points(self, served: np.ndarray, replicates: int = 200) -> tuple[RatePoint, ...]:
        """Return the rates of rows of `Decisions.served`; answers are compared by id."""
        return rates_by_id(
            self._answer,
            served,
            self.counted,
            replicates=replicates,
            seed=self.options.seed,
        )

    @cached_property
    def _answer(self) -> np.ndarray:
        """Return the number of each request's answer; -1 if none was logged. int32 (n,)."""
        number = column(self.log.requests, "answer_id").rank("dense").cast(pl.Int32) - 1
        return number.fill_null(-1).to_numpy()

    def text_bytes(self) -> tuple[float, float]:
        """Return the mean length of a question and of an answer, in characters."""
        chars = self.log.blocks.select("block_id", "chars")
        answers = self.log.requests.select(block_id="answer_id").join(chars, on="block_id")
        return mean_length(self._question_chars(chars)), mean_length(answers["chars"])

    def _question_chars(self, chars: pl.DataFrame) -> pl.Series:
        """Return the length of each question; a hashed one is a list of the ids of its blocks."""
        texts = self.stream.texts["text"]
        if not self.log.hashed:
            return texts.str.len_chars()
        ids = texts.str.split("\n").cast(pl.List(chars.schema["block_id"]), strict=False)
        asked = pl.DataFrame({"block_id": ids}).with_row_index().explode("block_id")
        found = asked.join(chars, on="block_id").group_by("index", maintain_order=True)
        return found.agg(pl.col("chars").sum())["chars"]


def identical_hits(log: Loaded, options: AnalyzeOptions, progress: Progress) -> CacheHits | None:
    """Return which requests repeat an earlier question exactly; None without a question.

    No text is embedded: identical texts are found by their hashes.
    """
    run = ExactRun(log, options)
    if not run.eligible.any():
        return None
    progress.start("simulate", None, "requests")
    decisions = run.swept([replace(options.policy, min_similarity=EXACT)])
    hits = np.asarray(decisions.served[0] >= 0)
    progress.finish(f"{hits.sum():,} of {len(hits):,} requests repeat a question exactly")
    return CacheHits(hits, run.store_usd(int(decisions.peak_entries[0])))


WHY = "Read with --redact hash: similarity needs texts, and answers that differ count as wrong."


def exact_result(
    log: Loaded,
    options: AnalyzeOptions,
    progress: Progress,
    why: str = WHY,
    keyed: Keyed | None = None,
    lacks: Lack = "texts",
) -> SemanticResult | None:
    """Simulate exact matching by ids; return None if the log holds no question.

    `why` says why similar questions are not simulated, and `lacks` what they lack.
    """
    run = ExactRun(log, options, keyed)
    if not run.eligible.any():
        return None
    policy = replace(options.policy, min_similarity=EXACT)
    progress.start("simulate", None, "requests")
    decisions = run.swept([policy])
    rates = run.points(decisions.served)[0]
    point = run.sweep_point(decisions, 0, rates)
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
        recommended_why=why,
        scopes=ladder,
        without_field=without,
        variants=variant_rows(run, policy, point.peak_entries, run.points),
        bytes_per_entry=run.bytes_per_entry,
        exact=point,
        sizing=run.sizing(policy, point.peak_entries),
        lifetimes=lifetime_sweeps(run, (EXACT,)),
        ttl_s=policy.ttl_s,
        lacks=lacks,
    )
    progress.finish(f"{section.eligible_requests:,} requests, identical questions only")
    found = run.hits_of(decisions.served[0], point.peak_entries, rates, EXACT)
    return SemanticResult(section, found, found)
