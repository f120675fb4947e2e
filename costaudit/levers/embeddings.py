"""Find texts that were embedded again: a vector does not change, so one call is enough."""

import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.levers.effects import cutting, endpoints

LEAST_REPEATS = 20  # minimum number of repeats that are worth a store


def repeated_embeddings(requests: pl.DataFrame, segments: pl.DataFrame) -> Lever | None:
    """Return the texts that the same model embedded before; None if there are few.

    segments: from `placed_segments`.
    """
    calls = requests.with_row_index("row").select(
        pl.col("row").cast(pl.Int64), "provider", "model", "tenant", "ts", "kind"
    )
    embedded = calls.filter(pl.col("kind") == "embedding")
    if embedded.is_empty():
        return None
    parts = segments.join(embedded.drop("kind"), on="row").sort("ts", "row", "start")
    same = ("provider", "model", "tenant", "block_id")
    again = parts.filter(pl.int_range(pl.len()).over(same) > 0)
    if len(again) < LEAST_REPEATS:
        return None
    return Lever(
        lever="embeddings",
        label="Vectors of texts that were embedded before",
        section="levers",
        rule=(
            f"{len(again):,} of {len(parts):,} texts that {endpoints(again['unit'])} had embedded "
            "were, to the letter, embedded before by the same model for the same tenant."
        ),
        change="Store each vector under the model and a hash of its text, and look there first.",
        risk="None for the vectors: the same model gives the same text the same vector.",
        grade="simulated",
        effect=cutting(requests, again.select("row", "start", "tokens")),
    )
