"""Find endpoints whose few answers a small model learns from the log: labels, routes, yes or no."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.ledger import Lever, LeverTable
from costaudit.levers.effects import (
    effect_of,
    endpoint_unit,
    endpoints,
    exact_bounds,
    placed_blocks,
    sent_ok,
)
from costaudit.levers.router import Classifier, Features, fitted

if TYPE_CHECKING:
    from scipy import sparse

LEAST_CALLS = 1_000  # answered calls of an endpoint and model
MOST_LABELS = 20
LEAST_PART = 0.95  # share of an endpoint's answers that are one of its labels
LEAST_OF_LABEL = 20  # answers; a rarer answer is no label
LEAST_TESTED = 250  # questions that the tested model had not seen
MOST_LOSS = 0.02  # wrong answers, as a share of all calls, upper 95 % bound
_TRAINED = 0.6  # share of the calls that a model learns from, the earliest or the latest
_MOST_TRAINED = 4_000  # questions that a model learns from
_STEPS = np.linspace(0.05, 1.0, 20)  # shares of the calls that may move
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Learned:
    """What a small model learned of one endpoint, tested on later questions."""

    unit: str
    calls: int
    labels: tuple[str, ...]  # block ids of the answers
    rows: Ints  # of the calls that it may answer
    tested: int  # later questions that it had not seen
    right: int  # of the tested ones that it would answer
    answered: int
    most_loss: float  # wrong answers, of all calls, upper 95 % bound

    @property
    def holds(self) -> bool:
        """Return whether it may answer some calls."""
        return bool(len(self.rows))


def few_answers(requests: pl.DataFrame) -> pl.DataFrame:
    """Return the calls whose answer is one of their endpoint's few: row, unit, answer_id."""
    said = sent_ok() & pl.col("answer_id").is_not_null() & (pl.col("kind") == "chat")
    whole = said & (pl.col("finish_reason") == "stop") & ~pl.col("truncated").fill_null(False)
    calls = (
        requests.select("ts", "answer_id", unit=endpoint_unit(requests), kept=whole)
        .with_row_index("row")
        .filter(pl.col("kept").fill_null(False) & pl.col("ts").is_not_null())
    )
    often = calls.group_by("unit", "answer_id").len("said").filter(pl.col("said") >= LEAST_OF_LABEL)
    every = calls.group_by("unit").len("calls")
    fits = (
        often.group_by("unit").agg(labels=pl.len(), said=pl.col("said").sum())
        .join(every, on="unit")
        .filter(
            pl.col("labels").is_between(2, MOST_LABELS) & (pl.col("calls") >= LEAST_CALLS)
            & (pl.col("said") >= LEAST_PART * pl.col("calls"))
        )
    )  # fmt: skip
    found = calls.join(fits, on="unit", how="semi").join(
        often, on=["unit", "answer_id"], how="semi"
    )
    return found.sort("ts", "row").select(pl.col("row").cast(pl.Int64), "unit", "answer_id")


def learned(requests: pl.DataFrame, blocks: pl.DataFrame) -> list[Learned]:
    """Return what small models learn of each endpoint with few answers, those that fail too."""
    calls = few_answers(requests)
    if calls.is_empty():
        return []
    asked = placed_blocks(requests[calls["row"]], "user").join(
        blocks.select("block_id", "text"), on="block_id", how="left", maintain_order="left"
    )
    texts = asked.group_by("row", maintain_order=True).agg(pl.col("text").last())
    placed = calls.with_row_index("at").join(
        texts.select(pl.col("row").cast(pl.UInt32), "text"), left_on="at", right_on="row",
        how="left", maintain_order="left",
    )  # fmt: skip
    placed = placed.filter(pl.col("text").is_not_null())
    found = []
    for (unit,), part in placed.group_by("unit", maintain_order=True):
        if len(part) >= LEAST_CALLS:
            found.append(_tested(str(unit), part))
    return found


def _tested(unit: str, part: pl.DataFrame) -> Learned:
    """Train on the first calls, choose a confidence on the next ones, and test on the last.

    A question counts in the test only if the model had not seen its text. The calls that the model
    learned from are judged by a second model, which learned from the last calls.
    """
    texts = part["text"].to_list()
    names = part["answer_id"].unique().sort().to_list()
    label = part["answer_id"].replace_strict(names, list(range(len(names)))).to_numpy()
    size = int(len(texts) * _TRAINED)
    chosen, sure = _guesses(texts, label, slice(0, size), len(names))
    seen = set(texts[:size])
    fresh = np.array([one not in seen for one in texts]) & (np.arange(len(texts)) >= size)
    later = np.flatnonzero(fresh)
    half = later[: len(later) // 2], later[len(later) // 2 :]
    least = _confidence(sure[half[0]], chosen[half[0]] == label[half[0]])
    tested = half[1]
    answers = sure[tested] >= least
    right = chosen[tested] == label[tested]
    wrong = int((answers & ~right).sum())
    most = exact_bounds(wrong, len(tested))[1] if len(tested) else 1.0
    rows = np.empty(0, np.int64)
    if len(tested) >= LEAST_TESTED and most <= MOST_LOSS:
        _, other_sure = _guesses(texts, label, slice(len(texts) - size, None), len(names))
        sure[:size] = np.where(
            np.arange(size) < len(texts) - size, other_sure[:size], _unknown(sure, size, least)
        )
        rows = part["row"].to_numpy()[sure >= least]
    return Learned(
        unit, len(part), tuple(names), rows, len(tested), int((answers & right).sum()),
        int(answers.sum()), most,
    )  # fmt: skip


def _unknown(sure: Floats, size: int, least: float) -> Floats:
    """Return the confidences of calls that both models learned from, drawn from the later ones.

    Sorted by quantile, so that the same share of them moves as of the calls that were not learned.
    """
    return np.asarray(np.quantile(sure[size:], (np.arange(size) * 0.618034) % 1.0), np.float64)


def _guesses(texts: Sequence[str], label: Ints, learns: slice, labels: int) -> tuple[Ints, Floats]:
    """Return the label that a model chooses for every text, and by how much it leads."""
    known = np.arange(len(texts))[learns]
    known = known[:: max(len(known) // _MOST_TRAINED, 1)]
    features = Features.of([texts[i] for i in known])
    ones = np.ones(len(known))
    models = [fitted(features.rows, label[known] == one, ones) for one in range(labels)]
    scores = _scores(models, features.like(texts).rows)
    ordered = np.sort(scores, axis=1)
    return scores.argmax(axis=1), ordered[:, -1] - ordered[:, -2]


def _scores(models: Sequence[Classifier], rows: "sparse.csr_matrix") -> Floats:
    return np.column_stack([one.scores(rows) for one in models])


def _confidence(sure: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Return the least lead at which wrong answers stay within half of the limit."""
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum(~right[order])
    best = np.inf
    for step in _STEPS:
        taken = int(step * len(order))
        if taken and wrong[taken - 1] <= MOST_LOSS / 2 * len(order):
            best = float(sure[order[taken - 1]])
    return best


def small_model(
    requests: pl.DataFrame, found: Sequence[Learned], usd: Floats, machine_usd: Decimal
) -> Lever | None:
    """Return the lever that answers calls by models that were learned; None if none pays.

    `usd` is each request's bill; `machine_usd` is a machine's price over the log's period. The
    share of answers that may be wrong, at its upper bound, is asked again at the old price.
    """
    unit: list[str | None] = [None] * len(requests)
    running: dict[str, Decimal] = {}
    chosen = []
    for one in found:
        again = float(np.nan_to_num(usd[one.rows]).sum()) * one.most_loss if one.holds else 0.0
        cost = machine_usd + Decimal(repr(again))
        if one.holds and Decimal(repr(float(usd[one.rows].sum()))) > cost:
            chosen.append(one)
            running[one.unit] = cost
            for row in one.rows.tolist():
                unit[row] = one.unit
    if not chosen:
        return None
    touched = pl.Series(unit, dtype=pl.String)
    worst = max(one.most_loss for one in chosen)
    return Lever(
        lever="small_model",
        label="Small model that learned from this log",
        section="levers",
        rule=(
            f"The answers of {endpoints(touched.drop_nulls())} are a few texts. A classifier over "
            "the words of the question, trained on earlier calls and tested on "
            f"{sum(one.tested for one in chosen):,} later questions that it had not seen, answers "
            f"at most {worst:.1%} of all calls otherwise than the log does (upper 95% bound). "
            "Those are asked again, and a machine of its own is paid for."
        ),
        change=(
            "Train a classifier on the logged questions and answers; let it answer where it is "
            "sure, and send the rest to the model of today."
        ),
        risk=(
            "The logged answers are taken for right, and new kinds of questions need new training."
        ),
        grade="estimated",
        effect=effect_of(touched.is_not_null(), unit=touched, removed=True),
        running_usd=running,
        evidence=(_table(found, usd, machine_usd),),
    )


def _table(found: Sequence[Learned], usd: Floats, machine_usd: Decimal) -> LeverTable:
    """Return every endpoint with few answers, with the calls from which a machine pays."""
    return LeverTable(
        "Endpoints with few different answers",
        ("where", "calls", "answers", "tested", "answered", "right", "most wrong",
         "pays from calls", "move"),
        tuple(
            (
                one.unit, f"{one.calls:,}", f"{len(one.labels)}", f"{one.tested:,}",
                f"{one.answered:,}", f"{one.right:,}", f"{one.most_loss:.1%}",
                _pays_from(one, usd, machine_usd), "yes" if one.holds else "no",
            )
            for one in found
        ),
    )  # fmt: skip


def _pays_from(one: Learned, usd: Floats, machine_usd: Decimal) -> str:
    gained = float(usd[one.rows].sum()) * (1 - one.most_loss) if one.holds else 0.0
    return f"{int(np.ceil(one.calls * float(machine_usd) / gained)):,}" if gained > 0 else ""
