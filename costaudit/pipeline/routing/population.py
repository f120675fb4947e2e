"""Find the calls that a candidate could take, their topics, and a stratified sample."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.answers.judge.ask import Sample
from costaudit.costing.cost import per_request_usd
from costaudit.errors import InsufficientDataError
from costaudit.levers.effects import sent_ok
from costaudit.levers.topics import Topics, topics_of
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.routing.candidates import Candidate
from costaudit.providers.names import DATED

_MOST_TOPICS = 8
_LEAST_CALLS = 20  # minimum number of calls that a candidate could take
_LEAST_DRAWN = 4  # minimum drawn calls of each topic, to measure its spread


@dataclass(frozen=True)
class Population:
    """The calls that the candidate could take; arrays are aligned with `rows`."""

    rows: npt.NDArray[np.int64]  # row numbers of REQUESTS, in order
    questions: tuple[str, ...]  # the last user message
    answers: tuple[str, ...]  # as logged
    usd: npt.NDArray[np.float64]  # as billed
    topics: Topics

    def sample(self, size: int, seed: int) -> Sample:
        """Draw calls without replacement, by the mean of a topic's shares of calls and spend."""
        members = np.bincount(self.topics.of, minlength=len(self.topics.names)).astype(float)
        spend = np.bincount(self.topics.of, self.usd, minlength=len(members))
        want = members / members.sum() + spend / max(float(spend.sum()), 1e-12)
        drawn = shared_out(want, members, size)
        rng = np.random.default_rng(seed)
        rows, turn = [], []
        for topic, many in enumerate(drawn.tolist()):
            found = rng.permutation(np.flatnonzero(self.topics.of == topic))[:many]
            rows.append(found)
            turn.append((np.arange(many) + rng.random(many)) / max(many, 1))
        order = np.argsort(np.concatenate(turn), kind="stable")
        return Sample(np.concatenate(rows)[order], self.topics.of, drawn)


def shared_out(
    want: npt.NDArray[np.float64], members: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.int64]:
    """Divide draws in proportion to `want`: at least a few, and at most all members of each."""
    size = int(min(size, members.sum()))
    drawn = np.minimum(members, min(_LEAST_DRAWN, size // len(members))).astype(np.int64)
    while drawn.sum() < size:
        room = np.where(drawn < members, want / (drawn + 1), -1.0)
        drawn[int(np.argmax(room))] += 1
    return drawn


def population_of(log: Loaded, candidate: Candidate, source: str | None, seed: int) -> Population:
    """Return the calls that a candidate could take; raises InsufficientDataError for too few.

    They are answered text chats with a known price and with texts in the log, of the model `source`
    or of any model other than the candidate; if the candidate is only asked otherwise, of the same
    model. Calls that used a tool are left out, because they may have changed something.
    """
    spoken = pl.element().struct
    undated = DATED.sub("", candidate.model)
    fits = (
        sent_ok()
        & (pl.col("kind") == "chat")
        & (pl.col("finish_reason") == "stop")
        & ~pl.col("truncated").fill_null(False)
        & pl.col("answer_id").is_not_null()
        & pl.col("segments").list.eval(spoken.field("kind").is_in(_TEXTS)).list.all()
        & (
            _undated("model") == undated
            if candidate.changes
            else pl.col("model") != candidate.model
        )
        & (pl.col("model") == source if source else pl.lit(True))
    )
    user = pl.col("segments").list.eval(
        pl.when(spoken.field("role") == "user").then(spoken.field("block_id"))
    )
    texts = log.blocks.select("block_id", "text")
    usd = per_request_usd(log.tariff.classes, log.tariff.billed)
    frame = (
        log.requests.with_row_index("row")
        .with_columns(usd=pl.Series(usd), asked=user.list.drop_nulls().list.last())
        .filter(fits.fill_null(False) & pl.col("usd").is_not_nan())
        .select("row", "asked", "answer_id", "usd")
        .join(texts, left_on="asked", right_on="block_id", how="left", maintain_order="left")
        .rename({"text": "question"})
        .join(texts, left_on="answer_id", right_on="block_id", how="left", maintain_order="left")
        .filter(pl.col("question").is_not_null() & pl.col("text").is_not_null())
    )
    if len(frame) < _LEAST_CALLS:
        raise InsufficientDataError(
            f"Only {len(frame):,} calls can be tried on {candidate.name}: answered text chats by "
            f"{source or 'another model'}, with their texts and a known price.",
            hint="`costaudit doctor LOG` shows what the log holds; a log that was read with "
            "--redact hash has no texts.",
        )
    questions = tuple(frame["question"])
    return Population(
        rows=frame["row"].cast(pl.Int64).to_numpy(),
        questions=questions,
        answers=tuple(frame["text"]),
        usd=frame["usd"].to_numpy(),
        topics=topics_of(questions, _MOST_TOPICS, seed),
    )


def _undated(name: str) -> pl.Expr:
    return pl.col(name).str.replace(DATED.pattern, "")


_TEXTS = ("text", "tool_definition", "tool_use", "tool_result")
