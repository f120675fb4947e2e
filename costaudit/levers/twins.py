"""Route by twins: questions that an expensive and a cheap model both answered in this log."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.ledger import Lever, LeverTable
from costaudit.levers.effects import effect_of, endpoints, exact_bounds, sent_ok

LEAST_TWINS = 50  # questions of one topic that both models answered
LEAST_REPEATS = 30  # questions of one endpoint that the expensive model answered twice
MOST_LOSS = 0.05  # share of answers, upper 95 % bound, above the difference between repeats
LEAST_COVER = 0.2  # share of a topic's calls with a twin; fewer may be a biased choice
CHEAPER = 0.8  # the cheap model costs at most this share of the other's price
Floats = npt.NDArray[np.float64]


def question_keys(requests: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """Return the questions that can be compared between models: row, unit, model, key, user_block.

    Equal keys mean the same tenant, endpoint and messages, with any system prompt and model; case,
    white space and punctuation of user texts do not matter. Only texts with complete text answers
    are included.
    """
    spoken = pl.element().struct
    plain = sent_ok() & (pl.col("kind") == "chat") & (pl.col("finish_reason") == "stop")
    asked = requests.with_row_index("row").filter(
        plain.fill_null(False)
        & pl.col("answer_id").is_not_null()
        & pl.col("model").is_not_null()
        & ~pl.col("truncated").fill_null(False)
        & pl.col("segments").list.eval(spoken.field("kind") == "text").list.all()
    )
    parts = (
        asked.select("row", "segments")
        .explode("segments")
        .unnest("segments")
        .filter(~pl.col("role").is_in(["system", "tools"]))
        .select("row", "role", "block_id")
    )
    folded = (
        pl.col("text").str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()
    )
    users = blocks.filter(pl.col("text").is_not_null()).join(
        parts.filter(pl.col("role") == "user"), on="block_id", how="semi"
    )
    texts = users.select("block_id", words=folded)
    read = parts.join(texts, on="block_id", how="left", maintain_order="left").with_columns(
        part=pl.when(pl.col("role") == "user")
        .then(pl.col("words"))
        .otherwise(pl.concat_str(pl.lit("\0"), "block_id"))
    )
    keyed = read.group_by("row", maintain_order=True).agg(
        key=pl.col("part").str.join("\1", ignore_nulls=False),
        user_block=pl.col("block_id").filter(pl.col("role") == "user").last(),
    )
    keyed = keyed.filter(pl.col("key").str.len_chars() > 0)
    joined = keyed.join(
        asked.select("row", "tenant", "endpoint", "model", "answer_id"), on="row", how="left"
    )
    whole = pl.concat_str(
        pl.col("tenant").fill_null(""), pl.col("endpoint").fill_null(""), "key", separator="\2"
    )
    return joined.select(
        pl.col("row").cast(pl.Int64),
        "model",
        "answer_id",
        "user_block",
        unit=pl.concat_str(pl.col("endpoint", "model").fill_null(""), separator=" | "),
        endpoint=pl.col("endpoint").fill_null(""),
        key=whole.hash(),
    ).sort("row")


def twin_pairs(keys: pl.DataFrame, price: Mapping[str, float]) -> pl.DataFrame:
    """Return one pair of calls for each question and pair of models that both answered it.

    Columns: unit (of the expensive model), small (the cheap model), key, large_row, small_row and
    both calls' answers. price: of a mixed million tokens by model; models without one are left out.
    """
    priced = keys.with_columns(
        usd=pl.col("model").replace_strict(dict(price), default=None, return_dtype=pl.Float64)
    ).drop_nulls("usd")
    firsts = priced.group_by("key", "model", maintain_order=True).first()
    both = firsts.join(firsts, on="key", suffix="_small").filter(
        pl.col("usd_small") <= pl.col("usd") * CHEAPER
    )
    return both.select(
        "unit", "key",
        small="model_small", large_row="row", small_row="row_small",
        large_answer="answer_id", small_answer="answer_id_small",
    ).sort("unit", "small", "large_row")  # fmt: skip


def repeat_pairs(keys: pl.DataFrame) -> pl.DataFrame:
    """Return one pair of calls for each question that one model answered more than once."""
    again = keys.group_by("unit", "key", maintain_order=True).agg(
        pl.col("row").first().alias("first_row"),
        pl.col("answer_id").first().alias("first_answer"),
        pl.col("answer_id").get(1, null_on_oob=True).alias("second_answer"),
    )
    return again.drop_nulls("second_answer")


@dataclass(frozen=True)
class TwinTopic:
    """What twins show about one topic of one endpoint and model, for one cheaper model."""

    unit: str
    small: str
    topic: str  # its most typical words
    calls: int  # of the expensive model
    cover: float  # share of these with a twin
    twins: int
    agreed: int
    repeats: int  # questions of the unit that the expensive model answered twice
    repeats_agreed: int

    @property
    def agreement(self) -> tuple[float, float, float]:
        """Return the share of twins whose answers agree, with its exact 95 % bounds."""
        return self.agreed / self.twins, *exact_bounds(self.agreed, self.twins)

    @property
    def floor(self) -> float:
        """Return the share of the expensive model's own repeats that agree."""
        return self.repeats_agreed / self.repeats if self.repeats else 1.0

    @property
    def most_loss(self) -> float:
        """Return the upper 95 % bound of the share of answers that are worse than a repeat.

        The bounds of both shares are combined by Newcombe's rule for a difference.
        """
        share, low, _ = self.agreement
        _, _, high = self.floor, *exact_bounds(self.repeats_agreed, max(self.repeats, 1))
        loss = self.floor - share
        return max(0.0, loss + float(np.hypot(high - self.floor, share - low)))

    @property
    def holds(self) -> bool:
        """Return whether the cheap model may answer the topic."""
        return (
            self.twins >= LEAST_TWINS
            and self.repeats >= LEAST_REPEATS
            and self.cover >= LEAST_COVER
            and self.most_loss <= MOST_LOSS
        )


@dataclass(frozen=True)
class Moved:
    """The calls of a topic that holds."""

    topic: TwinTopic
    rows: npt.NDArray[np.int64]  # of REQUESTS


def routed_twins(
    requests: pl.DataFrame, found: list[TwinTopic], moved: list[Moved], usd: Floats
) -> Lever | None:
    """Return the lever that sends topics that hold to the cheaper model; None if none holds.

    `usd` is each request's bill. The expensive model repeats the share of answers that may be
    worse, at its upper bound, and the cheap model's prompt cache never helps, so the saving is a
    lower bound.
    """
    if not moved:
        return None
    model: list[str | None] = [None] * len(requests)
    unit: list[str | None] = [None] * len(requests)
    running: dict[str, Decimal] = {}
    for one in moved:
        again = float(np.nan_to_num(usd[one.rows]).sum()) * one.topic.most_loss
        running[one.topic.unit] = running.get(one.topic.unit, Decimal(0)) + Decimal(repr(again))
        for row in one.rows.tolist():
            model[row], unit[row] = one.topic.small, one.topic.unit
    touched = pl.Series(unit, dtype=pl.String)
    pairs = sorted({(one.topic.unit.partition(" | ")[2], one.topic.small) for one in moved})
    named = ", ".join(f"{large} → {small}" for large, small in pairs)
    worst = max(one.topic.most_loss for one in moved)
    return Lever(
        lever="routing",
        label="Smaller model where it answers the same",
        section="levers",
        rule=(
            f"{sum(one.topic.twins for one in moved):,} questions of "
            f"{endpoints(touched.drop_nulls())} were answered by both models of {named}: at most "
            f"{worst:.1%} of a topic's answers differ more than the larger model's own repeats do "
            "(upper 95% bound). Those are asked again, and the smaller model's prompt cache is "
            "taken to be cold."
        ),
        change=f"Send these topics to the smaller model: {_topics(moved)}.",
        risk="Words were compared, not truths; try it on a sample first with `costaudit route`.",
        grade="estimated",
        effect=effect_of(
            touched.is_not_null(), unit=touched, model=pl.Series(model, dtype=pl.String), cold=True
        ),
        running_usd=running,
        evidence=(twin_table(found),),
    )


def twin_table(found: list[TwinTopic]) -> LeverTable:
    """Return every topic with twins, including those that don't hold."""
    return LeverTable(
        "Twins: questions that both models answered",
        ("where", "smaller model", "topic", "calls", "twins", "agree", "95%", "repeats agree",
         "most worse", "move"),
        tuple(_row(one) for one in found),
    )  # fmt: skip


def _row(one: TwinTopic) -> tuple[str, ...]:
    share, low, high = one.agreement
    return (
        one.unit, one.small, one.topic, f"{one.calls:,}", f"{one.twins:,}", f"{share:.1%}",
        f"{low:.1%}–{high:.1%}", f"{one.floor:.1%} of {one.repeats:,}", f"{one.most_loss:.1%}",
        "yes" if one.holds else "no",
    )  # fmt: skip


def _topics(moved: list[Moved], most: int = 5) -> str:
    names = [f"{one.topic.topic or 'all'} ({one.topic.unit})" for one in moved]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
