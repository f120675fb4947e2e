"""Lost tokens by the class in which they were paid, so that they can be priced."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.rates import Pricing
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.replay import READ, UNCACHED, WRITE_1H, WRITE_5M, WRITE_OTHER
from costaudit.simulate.segments import Ints

LOST = pl.Schema(
    {
        "rate_id": pl.Int32,  # null where no price is known
        "paid": pl.String,  # class in which the tokens were billed
        "instead": pl.String,  # class in which they would have been
        "tokens": pl.Int64,
    }
)
_PAID_FIRST = (WRITE_1H, WRITE_5M, WRITE_OTHER, UNCACHED)


@dataclass(frozen=True)
class Billing:
    """Classes that lost tokens are taken from, and the rate of each request."""

    tokens: Ints  # (requests, INPUT_CLASSES)
    rate_ids: pl.Series  # Int32

    @classmethod
    def of(cls, tokens: Ints, pricing: Pricing | None) -> "Billing":
        """Join replayed or billed classes with the rates of a log."""
        unknown = pl.Series([None], dtype=pl.Int32).new_from_index(0, len(tokens))
        return cls(tokens, pricing.rate_ids if pricing else unknown)

    def lost(self, rows: Ints, lost: Ints, instead: int = READ) -> pl.DataFrame:
        """Take each row's lost tokens from its writes first, then from its uncached tokens."""
        left = lost.copy()
        frames = []
        for column in _PAID_FIRST:
            if column == instead:
                continue
            taken = np.minimum(left, self.tokens[rows, column])
            left -= taken
            frames.append(
                pl.DataFrame({"rate_id": self.rate_ids.gather(rows), "tokens": taken})
                .filter(pl.col("tokens") > 0)
                .group_by("rate_id")
                .agg(pl.col("tokens").sum())
                .with_columns(
                    paid=pl.lit(INPUT_CLASSES[column]), instead=pl.lit(INPUT_CLASSES[instead])
                )
                .select(LOST.names())
            )
        return pl.concat(frames).cast(LOST).sort("rate_id", "paid", nulls_last=True)
