"""Find bursts of calls that nobody waits for, which a batch does at half price."""

from collections.abc import Collection
from dataclasses import replace

import polars as pl

from costaudit.contracts.ledger import Lever, LeverTable, Suggestion
from costaudit.contracts.requests import ANSWERED, IN_BATCH, SENT_TO_PROVIDER
from costaudit.levers.effects import effect_of, endpoint_unit, endpoints

LEAST_CALLS = 200  # minimum number of calls of an endpoint and model
LEAST_PER_MINUTE = 10  # calls in the mean active minute of a burst
MOST_ACTIVE = 0.05  # maximum active minutes, as a share of the endpoint's time
_MOST_REQUESTS = {"anthropic": 100_000}  # of one batch, which has at most 256 MB; others' limits
# are not published in a form that could be checked
_HINT = (
    r"(?i)batch|bulk|nightly|daily|weekly|offline|report|summar|digest|classif|extract|enrich"
    r"|label|tagging|translat|index|ingest|backfill|etl|evals?\b|embed|cron|job"
)
_RISK = "Answers take up to 24 hours, and whatever uses them has to wait for them."


def batch(requests: pl.DataFrame, named: Collection[str] = ()) -> Lever | None:
    """Return the calls that could be batched; None if there are none.

    An endpoint and model qualifies if the user names the endpoint, or by its timing: at least
    LEAST_CALLS calls in dense bursts, with pauses in between, and no sign that somebody waits (a
    stream, a second turn, a tool call, or a user's next call).
    """
    unit = endpoint_unit(requests)
    given = requests.select(pl.col("endpoint").is_in(sorted(named)).fill_null(False)).to_series()
    bursts = _bursts(requests, unit)
    free = requests.select(ANSWERED & ~IN_BATCH).to_series()
    touched = (given | unit.is_in(bursts.implode())) & free.fill_null(False)
    if not touched.any():
        return None
    where = endpoints(unit.filter(touched))
    chosen = "named by you" if given.any() else "found by their timing"
    return Lever(
        lever="batch",
        label="Batch for work that nobody waits for",
        section="levers",
        rule=(
            f"Calls of {where}, {chosen}: in dense bursts (at least {LEAST_PER_MINUTE} calls in "
            f"the mean active minute, active in at most {MOST_ACTIVE:.0%} of the minutes), never "
            "streamed, continued or given tools. At batch rates, without reads from the prompt "
            "cache."
            if not given.any()
            else f"Calls of {where}, {chosen}. At batch rates, without reads from the prompt cache."
        ),
        change=f"Send {where} through the provider's batch interface.",
        risk=_RISK,
        grade="assumed" if given.any() else "estimated",
        effect=effect_of(touched, unit=unit, is_batch=True, cold=True),
        evidence=(_sizes(requests, unit, touched),),
    )


def _sizes(requests: pl.DataFrame, unit: pl.Series, touched: pl.Series) -> LeverTable:
    """Return how many batches the busiest day of each unit takes, by the provider's limit."""
    day = pl.col("ts").dt.date()
    daily = (
        requests.select("provider", day=day, unit=unit).filter(touched)
        .group_by("unit", "provider", "day").agg(calls=pl.len())
        .group_by("unit", "provider")
        .agg(busiest=pl.col("calls").max(), calls=pl.col("calls").sum())
        .sort("calls", "unit", descending=[True, False])
    )  # fmt: skip
    rows = []
    for one in daily.iter_rows(named=True):
        most = _MOST_REQUESTS.get(one["provider"] or "")
        limit = "not known here" if most is None else f"{most:,}"
        batches = "" if most is None else f"{-(-one['busiest'] // most):,}"
        endpoint, _, model = one["unit"].partition(" | ")
        rows.append((endpoint, model, f"{one['calls']:,}", f"{one['busiest']:,}", limit, batches))
    return LeverTable(
        "Batches that this takes",
        ("where", "model", "calls", "calls on the busiest day", "most calls in one batch",
         "batches that day"),
        tuple(rows),
    )  # fmt: skip


def by_flex(lever: Lever) -> pl.DataFrame:
    """Return the EFFECT of the flex tier instead of a batch: it keeps reads from the cache."""
    touched = lever.effect["unit"].is_not_null()
    return effect_of(touched, unit=lever.effect["unit"], service_tier="flex")


def with_flex(lever: Lever, cheaper: Collection[str]) -> Lever:
    """Return a batch lever that sends the named units at the flex tier instead."""
    flex = lever.effect["unit"].is_in(sorted(cheaper)).fill_null(False)
    if not flex.any():
        return lever
    other = by_flex(lever)
    effect = lever.effect.select(
        other[name].zip_with(flex, lever.effect[name]) for name in lever.effect.columns
    )
    calm = lever.effect["unit"].filter(flex)
    rest = lever.effect["unit"].filter(lever.effect["unit"].is_not_null() & ~flex)
    change = f'Send {endpoints(calm)} with service_tier "flex".'
    if len(rest):
        change += f" Send {endpoints(rest)} through the provider's batch interface."
    told = (
        f"{endpoints(calm)} read so much from the prompt cache that the flex tier, which keeps "
        "those reads, costs less than a batch."
    )
    return replace(
        lever,
        label="Batch or flex tier for work that nobody waits for",
        rule=" ".join((lever.rule, told)),
        change=change,
        risk="A batch takes up to 24 hours, and calls at the flex tier are slow or refused at "
        "busy times: repeat those later.",
        effect=effect,
    )


def batch_by_name(requests: pl.DataFrame, lever: Lever | None) -> Suggestion | None:
    """Return endpoints whose names suggest a batch; None without any."""
    hinted = pl.col("endpoint").str.contains(_HINT).fill_null(False)
    waited = _waited().any().over("endpoint")
    touched = requests.select(
        (hinted & ~waited & SENT_TO_PROVIDER & ~IN_BATCH).fill_null(False)
    ).to_series()
    if lever is not None:
        touched &= lever.effect["unit"].is_null()
    if not touched.any():
        return None
    where = endpoints(endpoint_unit(requests).filter(touched))
    return Suggestion(
        lever="batch",
        label="Batch for endpoints that sound offline",
        requests=int(touched.sum()),
        why=f"By their names ({where}); their timing does not show that nobody waits.",
        test="Ask who reads the answers, and when; then name the endpoints as batches.",
    )


def _bursts(requests: pl.DataFrame, unit: pl.Series) -> pl.Series:
    """Return the units whose calls come in bursts that nobody waits for."""
    frame = requests.select("ts", waited=_waited(), sent=SENT_TO_PROVIDER, follows=_follows())
    frame = frame.with_columns(unit=unit).filter(pl.col("sent") & pl.col("ts").is_not_null())
    minute = pl.col("ts").dt.truncate("1m")
    told = frame.group_by("unit").agg(
        calls=pl.len(),
        active=minute.n_unique(),
        span=(pl.col("ts").max() - pl.col("ts").min()).dt.total_minutes() + 1,
        waited=pl.col("waited").any() | pl.col("follows").any(),
    )
    return told.filter(
        ~pl.col("waited")
        & (pl.col("calls") >= LEAST_CALLS)
        & (pl.col("calls") / pl.col("active") >= LEAST_PER_MINUTE)
        & (pl.col("active") / pl.col("span") <= MOST_ACTIVE)
    )["unit"]


def _waited() -> pl.Expr:
    """Return whether a call shows that somebody or something waits for its answer."""
    return (
        pl.col("stream").fill_null(False)
        | (pl.col("turn_index").fill_null(0) > 0)
        | (pl.col("answer_kind") == "tool_use").fill_null(False)
    )


def _follows() -> pl.Expr:
    """Return whether a conversation continues after its first call."""
    return (pl.col("conversation").is_not_null()) & (pl.len().over("conversation") > 1)
