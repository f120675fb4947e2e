"""Decide how much of a simulated saving the bill supports, by template."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.prefix import Claim, SessionAgreement
from costaudit.contracts.requests import INPUT_CLASSES, READS_COUNTED, TOKEN_CLASSES
from costaudit.simulate.segments import Ints

AGREES_WITHIN = 0.05  # as a share of the larger of simulated and billed reads
CLAIMED_WITHIN = 0.25
NEGLIGIBLE_SHARE = 0.01  # share of the input; a smaller difference of reads does not matter


def claim_of(billed: int | None, simulated: int, size: int, *, cut: bool = False) -> Claim:
    """Return how far a saving is supported; `size` is the input with billed reads.

    The claim is `simulated` if the reads differ from the bill by at most AGREES_WITHIN, or by
    at most NEGLIGIBLE_SHARE of the input, or if `billed` is None (the log has no counters);
    `estimated` if they differ by at most CLAIMED_WITHIN: the saving is then scaled to the bill;
    otherwise `none`. If the exporter `cut` the prompts, only reads on the bill show that the
    missing parts were the same, so it is `none` without them.
    """
    if cut and not billed:
        return "none"
    if billed is None or abs(simulated - billed) <= NEGLIGIBLE_SHARE * size:
        return "simulated"
    apart = abs(simulated - billed) / max(simulated, billed)
    if apart <= AGREES_WITHIN:
        return "simulated"
    return "estimated" if apart <= CLAIMED_WITHIN else "none"


def claimed(
    as_is: pl.DataFrame, best: pl.DataFrame, template: Ints, shares: Sequence[float]
) -> pl.DataFrame:
    """Return `best`, with each template's change from `as_is` scaled by its claimed share.

    Frames hold TOKEN_CLASSES; `template` is -1 for requests without one, which keep `best`. Tokens
    stay integers, and a request keeps the total of `best`: rounding goes to uncached input.
    """
    share = np.array([*shares, 1.0])[template]
    if (share == 1.0).all():
        return best
    before = as_is.select(INPUT_CLASSES).to_numpy()
    after = best.select(INPUT_CLASSES).to_numpy()
    scaled = before + np.trunc((after - before) * share[:, None]).astype(np.int64)
    scaled[:, 0] += after.sum(axis=1) - scaled.sum(axis=1)
    columns = dict(zip(INPUT_CLASSES, scaled.T, strict=True))
    return pl.DataFrame({**columns, "output_tokens": best["output_tokens"]}).select(TOKEN_CLASSES)


def session_agreement(
    requests: pl.DataFrame, read: pl.Series, simulated: NDArray[np.bool_]
) -> SessionAgreement:
    """Compare simulated reads with the bill by session, or else by conversation.

    `read` are the simulated reads; `simulated` masks the requests that were simulated.
    """
    rows = requests.select(
        session=pl.coalesce("session", "conversation"),
        size=pl.sum_horizontal(INPUT_CLASSES),
        billed=pl.col("cache_read_tokens").fill_null(0),
        trusted=READS_COUNTED,
    ).with_columns(read=read, chosen=pl.Series(simulated))
    sessions = (
        rows.filter("trusted", "chosen", pl.col("session").is_not_null())
        .group_by("session")
        .agg(pl.col("size", "billed", "read").sum())
    )
    claims = [
        claim_of(row["billed"], row["read"], row["size"]) for row in sessions.iter_rows(named=True)
    ]
    return SessionAgreement(
        len(claims), claims.count("simulated"), claims.count("estimated"), claims.count("none")
    )
