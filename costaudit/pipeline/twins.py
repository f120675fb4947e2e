"""Twins: questions that two models answered, how far they agree, and what moving them saves."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from costaudit.answers.wording import Wordings
from costaudit.contracts.grades import Pricing
from costaudit.contracts.ledger import Lever, Suggestion
from costaudit.contracts.requests import TS_S
from costaudit.contracts.run_dir import column
from costaudit.costing.cost import per_request_usd
from costaudit.costing.plans.nodes import embedder_for
from costaudit.levers.learned import learned, small_model
from costaudit.levers.topics import topics_of
from costaudit.levers.twins import (
    LEAST_TWINS,
    Moved,
    TwinTopic,
    question_keys,
    repeat_pairs,
    routed_twins,
    twin_pairs,
)
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.semantic.keyed_run import busiest_lookups_s
from costaudit.pipeline.settings import AnalyzeOptions

_TOPIC_QUESTIONS = 300  # twins per topic, for a narrow enough interval
_MOST_TOPICS = 12
_MOST_PAIRS = 5_000  # compared pairs of answers, per endpoint and pair of models
_OUTPUT_PART = 0.2  # share of output in a mix of tokens that compares two models' prices


def twins_of(log: Loaded) -> tuple[Lever | None, Suggestion | None]:
    """Return the routing that twins support, and endpoints with too few twins."""
    price = mixed_prices(log.requests, log.tariff.table)
    if len({round(usd, 6) for usd in price.values()}) < 2 or log.hashed:
        return None, None
    keys = question_keys(log.requests, log.blocks)
    pairs, again = twin_pairs(keys, price), repeat_pairs(keys)
    if len(pairs) < LEAST_TWINS:
        return None, None
    usd = np.nan_to_num(per_request_usd(log.tariff.classes, log.tariff.billed))
    answers = _Answers(log, pairs, again)
    found: list[TwinTopic] = []
    moved: dict[str, list[Moved]] = {}
    for (unit, _), part in pairs.group_by("unit", "small", maintain_order=True):
        told = _topics(log, keys, part, again.filter(pl.col("unit") == unit), answers)
        found += [one.topic for one in told]
        held = [one for one in told if one.topic.holds]
        if held and _usd(held, usd) > _usd(moved.get(str(unit), []), usd):
            moved[str(unit)] = held
    chosen = [one for held in moved.values() for one in held]
    lever = routed_twins(log.requests, found, chosen, usd)
    return lever, _untold([one for one in found if not moved.get(one.unit)])


def taught_by(log: Loaded, options: AnalyzeOptions) -> Lever | None:
    """Return the calls that small models trained on this log may answer; None if none pays.

    A machine that embeds as many questions as the busiest hour has is enough for such a model.
    """
    found = [] if log.hashed else learned(log.requests, log.blocks)
    if not found or not log.month.facts.is_month:
        return None
    rows = np.concatenate([one.rows for one in found])
    busiest = busiest_lookups_s(log.requests[rows].select(TS_S).to_series().to_numpy())
    machine = embedder_for(busiest, options.machines).usd_month / log.month.pace
    usd = np.nan_to_num(per_request_usd(log.tariff.classes, log.tariff.billed))
    return small_model(log.requests, found, usd, machine)


def _untold(topics: list[TwinTopic]) -> Suggestion | None:
    """Return a suggestion to test topics with too few twins; None without such topics."""
    if not topics:
        return None
    first = max(topics, key=lambda one: one.twins)
    return Suggestion(
        lever="routing",
        label="Smaller model, by a sample",
        requests=sum(one.calls for one in topics),
        why=(
            f"{first.twins:,} questions of {first.unit} were answered by {first.small} too, and "
            f"up to {first.most_loss:.1%} of the answers may be worse: too few twins, or too "
            "unlike, to move the rest."
        ),
        test=f"Try it on a sample: `costaudit route RUN --candidate {first.small}`.",
    )


def mixed_prices(requests: pl.DataFrame, pricing: Pricing) -> dict[str, float]:
    """Return the price of a mixed million tokens by model, at the model's highest rate."""
    rates = pricing.rates.select(
        "rate_id",
        usd=pl.col("input_per_mtok").cast(pl.Float64) * (1 - _OUTPUT_PART)
        + pl.col("output_per_mtok").cast(pl.Float64) * _OUTPUT_PART,
    )
    used = pl.DataFrame({"model": column(requests, "model"), "rate_id": pricing.rate_ids})
    by_model = used.join(rates, on="rate_id").group_by("model").agg(pl.col("usd").max())
    return dict(by_model.drop_nulls().sort("model").iter_rows())


class _Answers:
    """Reads the answers of all pairs once."""

    def __init__(self, log: Loaded, pairs: pl.DataFrame, again: pl.DataFrame) -> None:
        compared = pairs.group_by("unit", "small", maintain_order=True).head(_MOST_PAIRS)
        repeated = again.group_by("unit", maintain_order=True).head(_MOST_PAIRS)
        ids = pl.concat(
            [
                compared["large_answer"],
                compared["small_answer"],
                repeated["first_answer"],
                repeated["second_answer"],
            ]
        )
        known = log.blocks.join(ids.unique().to_frame("block_id"), on="block_id", how="semi")
        known = known.filter(pl.col("text").is_not_null()).sort("block_id")
        self._place: Mapping[str, int] = {one: i for i, one in enumerate(known["block_id"])}
        self._wordings = Wordings(known["text"].to_list())

    def agree(self, pairs: pl.DataFrame, again: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
        """Return the comparable pairs with `agrees`, and the same for repeats."""
        pairs = self._readable(pairs, "large_answer", "small_answer")
        again = self._readable(again, "first_answer", "second_answer")
        first, second = (self._at(again[n]) for n in ("first_answer", "second_answer"))
        limit = self._wordings.limit(first, second)
        large, small = (self._at(pairs[n]) for n in ("large_answer", "small_answer"))
        agrees = self._wordings.agree(large, small, limit)
        return pairs.with_columns(agrees=pl.Series(agrees, dtype=pl.Boolean)), (
            self._wordings.agree(first, second, limit)
        )

    def _readable(self, pairs: pl.DataFrame, *names: str) -> pl.DataFrame:
        known = list(self._place)
        return pairs.filter(pl.all_horizontal(pl.col(name).is_in(known) for name in names))

    def _at(self, ids: pl.Series) -> np.ndarray:
        return np.array([self._place[one] for one in ids], np.int64)


def _topics(
    log: Loaded, keys: pl.DataFrame, pairs: pl.DataFrame, again: pl.DataFrame, answers: _Answers
) -> list[Moved]:
    """Divide a unit's questions into topics, and return what the twins of each show."""
    compared, repeats = answers.agree(pairs, again)
    if compared.is_empty():
        return []
    unit, small = str(compared["unit"][0]), str(compared["small"][0])
    calls = keys.filter(pl.col("unit") == unit)
    asked = calls.select("user_block").unique(maintain_order=True).join(
        log.blocks.select("block_id", "text"), left_on="user_block", right_on="block_id",
        how="left", maintain_order="left",
    )  # fmt: skip
    many = min(_MOST_TOPICS, max(1, len(compared) // _TOPIC_QUESTIONS))
    topics = topics_of([text or "" for text in asked["text"]], many)
    asked = asked.select("user_block", topic=pl.Series(topics.of))
    calls = calls.join(asked, on="user_block", how="left", maintain_order="left")
    topic_of = calls.select(large_row="row", topic="topic")
    twins = compared.join(topic_of, on="large_row", how="left")
    covered = calls.with_columns(covered=pl.col("key").is_in(compared["key"].implode()))
    found = []
    for one, name in enumerate(topics.names):
        mine, own = covered.filter(pl.col("topic") == one), twins.filter(pl.col("topic") == one)
        if own.is_empty():
            continue
        topic = TwinTopic(
            unit=unit,
            small=small,
            topic=name if len(topics.names) > 1 else "",
            calls=len(mine),
            cover=float(mine["covered"].sum()) / len(mine),
            twins=len(own),
            agreed=int(own["agrees"].sum()),
            repeats=len(repeats),
            repeats_agreed=int(repeats.sum()),
        )
        found.append(Moved(topic, mine["row"].to_numpy()))
    return found


def _usd(moved: list[Moved], usd: np.ndarray) -> float:
    return float(sum(usd[one.rows].sum() for one in moved))
