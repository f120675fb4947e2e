"""Work that nobody waits for could be sent as a batch, at half price."""

from collections.abc import Collection

import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.levers.effects import effect_of, endpoint_unit

_HINT = (
    r"(?i)batch|bulk|nightly|daily|weekly|offline|report|summar|digest|classif|extract|enrich"
    r"|label|tagging|translat|index|ingest|backfill|etl|evals?\b|embed|cron|job"
)


def batch(requests: pl.DataFrame, endpoints: Collection[str] = ()) -> Lever | None:
    """Propose batches for endpoints that look offline; None where there is none.

    An endpoint qualifies if the reader names it, or if its name says so and none of its requests
    was streamed, continued a conversation, or called a tool.
    """
    waited = (
        pl.col("stream").fill_null(False)
        | (pl.col("turn_index").fill_null(0) > 0)
        | (pl.col("answer_kind") == "tool_use").fill_null(False)
    )
    named = pl.col("endpoint").is_in(sorted(endpoints)).fill_null(False)
    hinted = pl.col("endpoint").str.contains(_HINT).fill_null(False)
    offline = named | (hinted & ~waited.any().over("endpoint"))
    sent = pl.col("served_by").fill_null("provider") != "gateway_cache"
    ok = pl.col("status") == "ok"
    touched = requests.select(
        (offline & sent & ok & ~pl.col("is_batch").fill_null(False)).fill_null(False)
    ).to_series()
    if not touched.any():
        return None
    found = ", ".join(sorted(requests["endpoint"].filter(touched).unique().to_list()))
    return Lever(
        lever="batch",
        label="Batch for work that nobody waits for",
        section="levers",
        rule=(
            f"Endpoints that look offline by name, and are never streamed, continued or given "
            f"tools ({found}); at batch rates, without any reads from the prompt cache."
        ),
        change=f"Send {found} through the provider's batch interface; answers take up to 24 hours.",
        grade="assumed",
        effect=effect_of(touched, unit=endpoint_unit(requests), is_batch=True, cold=True),
    )
