"""A log whose texts were not kept: its blocks' ids still tell which questions are identical."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import polars as pl

from costaudit.answers.by_id import rates_by_id
from costaudit.answers.tally import RatePoint
from costaudit.contracts.policies import SemanticPolicy
from costaudit.pipeline.keyed_run import KeyedRun, mean_length
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import Decisions, sweep


class ExactRun(KeyedRun):
    """One log, keyed by ids, to be swept under policies that match identical questions only."""

    def swept(self, policies: Sequence[SemanticPolicy], stream: Stream | None = None) -> Decisions:
        """Decide the log under policies that share a stream."""
        return sweep(stream or self.stream, None, policies)

    def points(self, served: np.ndarray, replicates: int = 200) -> tuple[RatePoint, ...]:
        """Give the rates of rows of `Decisions.served`, answers compared by their ids."""
        return rates_by_id(
            self._answer,
            served,
            eligible=self.eligible,
            block=self.blocks,
            steady=self.steady,
            replicates=replicates,
            seed=self.options.seed,
        )

    @cached_property
    def _answer(self) -> np.ndarray:
        """Number each request's answer; -1 where none was logged. int32 (n,)."""
        number = self.log.requests["answer_id"].rank("dense").cast(pl.Int32) - 1
        return number.fill_null(-1).to_numpy()

    def text_bytes(self) -> tuple[float, float]:
        """Give the mean length of a question and of an answer, in characters."""
        chars = self.log.blocks.select("block_id", "chars")
        wanted = self.stream.texts.select(block_id=pl.col("text").str.split("\n"))
        asked = wanted.with_row_index().explode("block_id").join(chars, on="block_id")
        answers = self.log.requests.select(block_id="answer_id").join(chars, on="block_id")
        by_question = asked.group_by("index", maintain_order=True).agg(pl.col("chars").sum())
        return mean_length(by_question["chars"]), mean_length(answers["chars"])
