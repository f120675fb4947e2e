"""Tokens that were paid for and that nobody could use."""

import polars as pl

from costaudit.contracts.effects import Lever
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.levers.effects import effect_of
from costaudit.levers.retries import DOUBLE_S, LENGTH_RETRY_S, RETRY_S, repeated_calls

_SAYS = {
    "failed": "billed although they failed",
    "retried": f"retried within {RETRY_S:.0f} s although they were answered",
    "cut-off": f"cut off at the length limit and sent again within {LENGTH_RETRY_S:.0f} s",
    "double": f"sent twice within {DOUBLE_S:.0f} s",
}


def waste(requests: pl.DataFrame) -> Lever | None:
    """Propose not to send calls that were useless; None where there were none."""
    served = pl.col("served_by").fill_null("provider") != "gateway_cache"
    billed = pl.sum_horizontal(pl.col(TOKEN_CLASSES).fill_null(0)) > 0
    failed = requests.select(
        (served & (pl.col("status") == "error") & billed).fill_null(False)
    ).to_series()
    kind = requests.select(
        pl.when(failed).then(pl.lit("failed")).otherwise(repeated_calls(requests)).alias("kind")
    ).to_series()
    touched = kind.is_not_null()
    if not touched.any():
        return None
    counts = dict(kind.drop_nulls().value_counts().iter_rows())
    said = ", ".join(f"{counts[name]:,} {text}" for name, text in _SAYS.items() if name in counts)
    return Lever(
        lever="waste",
        label="Calls that nobody could use",
        section="levers",
        rule=f"Calls {said}.",
        change=(
            "Retry only what failed, with a timeout longer than the slowest answer; send an "
            "idempotency key; disable the button while a request runs."
        ),
        grade="estimated",
        effect=effect_of(touched, unit=kind, removed=True),
    )
