"""Decide which rows are the same call: join batches, number retries, merge duplicates."""

from collections.abc import Callable
from functools import partial

import polars as pl

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.ingest.assembly.sessions import find_replays
from costaudit.ingest.assembly.spans import find_parents
from costaudit.ingest.calls.call import BRIDGE

FROM_REQUEST = ("prompt_tokens", "prompt_hash")


def join_halves(rows: pl.DataFrame) -> pl.DataFrame:
    """Join each result to its request by `join_key`.

    Adds `prompt_at` (the row with the prompt, usually the row itself), `joined_into` (for a
    request, the row of its result) and `is_unanswered`. `at` must be the row number.
    """
    asked = rows.filter((pl.col("half") == "request") & pl.col("join_key").is_not_null())
    answered = rows.filter((pl.col("half") == "response") & pl.col("join_key").is_not_null())
    if asked.is_empty():
        return rows.with_columns(
            prompt_at="at", joined_into=pl.lit(None, pl.Int64), is_unanswered=pl.lit(value=False)
        )
    requests = asked.group_by("join_key", maintain_order=True).agg(
        pl.col("at").first().alias("_request"),
        *(pl.col(name).first().alias(f"_{name}") for name in (*FROM_REQUEST, "model")),
    )
    results = answered.group_by("join_key", maintain_order=True).agg(
        pl.col("at").first().alias("_result")
    )
    rows = rows.join(requests, on="join_key", how="left", maintain_order="left")
    rows = rows.join(results, on="join_key", how="left", maintain_order="left")
    is_request = (pl.col("half") == "request").fill_null(False)
    is_result = (pl.col("half") == "response").fill_null(False) & pl.col("_request").is_not_null()
    taken = [
        pl.when(is_result).then(pl.col(f"_{name}")).otherwise(pl.col(name)).alias(name)
        for name in FROM_REQUEST
    ]
    return rows.with_columns(
        *taken,
        prompt_at=pl.when(is_result).then("_request").otherwise("at"),
        joined_into=pl.when(is_request).then("_result"),
        is_unanswered=is_request & pl.col("_result").is_null(),
        model=pl.when(is_result).then(pl.coalesce("model", "_model")).otherwise("model"),
    ).drop(pl.selectors.starts_with("_"))


RETRY_US = 120_000_000  # a repetition later than this after a failure is not a retry
SAME = ("prompt_hash", "tenant", "user", "conversation")


LOWEST = pl.col("attempt").min().over("source_file")


def logged_attempt(lowest: pl.Expr = LOWEST) -> pl.Expr:
    """Return the logged numbers; those of a file that counts from 1 (`lowest`) are lowered by 1."""
    return pl.col("attempt") - lowest.clip(0, 1)


def number_attempts(rows: pl.DataFrame, lowest: pl.Expr = LOWEST) -> pl.Series:
    """Return the attempt number of each row, 0 for the first attempt.

    Logged numbers are used, with the `lowest` of each file. Without one, a call is a retry if the
    same prompt of the same caller failed at most RETRY_US before it.
    """
    logged = logged_attempt(lowest)
    rows = rows.select("at", "ts_us", "status", *SAME, logged.alias("_logged"))
    failed = rows.filter(pl.col("status") == "error").select(SAME).unique()
    retried = _number(rows.join(failed, on=SAME, how="semi", nulls_equal=True))
    return (
        rows.join(retried, on="at", how="left", maintain_order="left")
        .select(attempt=pl.coalesce("_logged", "_number", pl.lit(0)).cast(pl.Int32))
        .to_series()
    )


def _number(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the attempt numbers of `rows`, the calls whose prompt and caller failed at least once.

    The columns are `at` and `_number`.
    """
    ordered = rows.sort("ts_us", "at", nulls_last=True)
    previous_failed = (pl.col("status").shift() == "error") & (
        pl.col("ts_us") - pl.col("ts_us").shift() <= RETRY_US
    )
    able = pl.col("prompt_hash").is_not_null() & pl.col("ts_us").is_not_null()
    ordered = ordered.with_columns(
        _retry=(able & previous_failed.over(SAME)).fill_null(False),
    )
    ordered = ordered.with_columns(_run=(~pl.col("_retry")).cum_sum().over(SAME))
    ordered = ordered.with_columns(_place=pl.int_range(pl.len()).over([*SAME, "_run"]))
    return ordered.select("at", _number=pl.when("_retry").then("_place").otherwise(0))


FUZZY_US = 2_000_000  # most by which two sources may differ in the time of the same call


OWN_CLOCKS = ("kv_trace",)  # sources whose sessions all start at 0: equal times prove nothing


MODEL = (  # of a call, without its provider and its date
    pl.col("model")
    .str.to_lowercase()
    .str.replace(r"^.*/", "")
    .str.replace(r"[-@]\d{4}-?\d{2}-?\d{2}.*$", "")
)
Times = Callable[[list[str]], pl.DataFrame]


def find_duplicates(
    rows: pl.DataFrame, links: pl.DataFrame, is_wanted: bool, other_times: Times
) -> pl.DataFrame:
    """Add `merged_into` (the row that is kept instead, or null) and `merge_reason`.

    Needs normalised rows, joined halves, and the row number `at`. `links` holds the `span` and
    `within` of records that are not calls. If not `is_wanted`, only joined halves are merged.
    `other_times` returns times (`source_file`, `ts_us`) of rows of some files that are not among
    `rows`, because nothing can be the same call as they.

    - Rows of one source are the same call if they have the same id, prompt and tokens, or the same
      start, prompt, model and tokens, or if one repeats the other's session (see `sessions`).
    - A span is the same call as the first call inside it (see `spans`).
    - Rows of different sources are the same call if they have the same provider id, or the same
      model, tokens and prompt within FUZZY_US.

    A row without a prompt gets the prompt of a row that was merged into it, by `prompt_at`.
    """
    rows = rows.with_columns(
        merged_into=pl.col("joined_into"),
        merge_reason=pl.when(pl.col("joined_into").is_not_null()).then(pl.lit("joined")),
    )
    if not is_wanted:
        return rows
    rows = rows.with_columns(
        _sent=pl.sum_horizontal(INPUT_CLASSES),
        _model=MODEL,
    ).with_columns(_worth=pl.col("_sent").fill_null(0) + pl.col("output_tokens").fill_null(0))
    same_start = partial(_same_start, other_times=other_times)
    within = (
        _same_export,
        _same_message,
        same_start,
        find_replays,
        partial(find_parents, links=links),
    )
    across = (_same_response, _same_moment) if rows["source"].n_unique() > 1 else ()
    for find in (*within, *across):
        able = rows.filter(pl.col("merged_into").is_null() & ~pl.col("is_unanswered"))
        if find in (same_start, find_replays):
            able = able.filter(~pl.col("source").is_in(OWN_CLOCKS))
        found = find(able)
        if found.is_empty():
            continue
        rows = (
            rows.join(found, on="at", how="left", maintain_order="left")
            .with_columns(
                merged_into=pl.coalesce("merged_into", "_into"),
                merge_reason=pl.coalesce("merge_reason", "_reason"),
            )
            .drop("_into", "_reason")
        )
    return _with_prompts(_to_the_end(rows)).drop(pl.selectors.starts_with("_"))


def _best_first(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort(
        pl.col("_worth"),
        pl.col("status") == "ok",
        pl.col("prompt_hash").is_not_null(),
        pl.col("updated_us"),
        -pl.col("at"),
        descending=True,
        nulls_last=True,
    )


def _same_export(rows: pl.DataFrame) -> pl.DataFrame:
    """Find rows of one source with the same id and content."""
    named = pl.coalesce("same_as", "native_id")
    rows = rows.with_columns(_name=named).filter(
        named.is_not_null() & pl.struct("source", named).is_duplicated()
    )
    if rows.is_empty():
        return rows.select("at", _into="at", _reason=pl.lit(""))
    rows = _with_content_key(rows)
    repeated = rows.filter(pl.struct("source", "_name", "_key").is_duplicated())
    return _into_first(_best_first(repeated), ["source", "_name", "_key"], "duplicate-id")


def _into_first(rows: pl.DataFrame, key: list[str], reason: str) -> pl.DataFrame:
    """Merge rows with equal keys into the first of them; nulls count as equal."""
    first = rows.group_by(key, maintain_order=True).agg(_into=pl.col("at").first())
    return (
        rows.join(first, on=key, nulls_equal=True)
        .filter(pl.col("at") != pl.col("_into"))
        .select("at", "_into", _reason=pl.lit(reason))
    )


CALLER = ("tenant", "user")  # different callers mean different calls, whatever else is equal
REUSED = 0.2  # share of rows with repeated ids whose id names several calls: ids are reused


def _with_content_key(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `_key`, the prompt and tokens that tell apart different calls with the same id.

    - A row without its prompt or its tokens, such as a poll of a background response, takes the
      missing value from a row with the same id and the same other value, or else the only value
      under this id.
    - Rows with the same `same_as`, start and prompt are states of one call, whatever their tokens.
    - The key of rows on both sides of a gateway's bridge has no prompt, because its form differs.
    - The key has the start in a file that reuses ids, and for calls served by a gateway's cache.
    - The key has the tenant and the user, except for both sides of a bridge.
    """
    own = ("source", "_name")
    stated: pl.Expr = pl.when(pl.col("_worth") > 0).then(
        pl.concat_str(
            pl.col("_sent").fill_null(0), pl.lit("+"), pl.col("output_tokens").fill_null(0)
        )
    )
    settled = stated.sort_by("_worth", "updated_us").last().over(*own, "prompt_hash", "ts_us")
    is_record = pl.col("same_as").is_not_null()
    rows = rows.with_columns(_stated=pl.when(is_record).then(settled).otherwise(stated))
    stated, asked = pl.col("_stated"), pl.col("prompt_hash")
    tokens = stated.fill_null(_known(stated).over(*own, "prompt_hash"))
    rows = rows.with_columns(_tokens=tokens.fill_null(_only(stated).over(*own)))
    prompt = asked.fill_null(_known(asked).over(*own, "_tokens")).fill_null(_only(asked).over(*own))
    is_bridge = pl.col("same_as").str.starts_with(BRIDGE).fill_null(value=False)
    told = pl.when(~is_bridge).then(prompt.cast(pl.String)).fill_null("")
    key = pl.concat_str(pl.col("_tokens").fill_null(""), pl.lit(" "), told)
    rows = rows.with_columns(_key=key)
    is_reused = (pl.col("_key").n_unique().over(*own) > 1).mean().over("source_file") >= REUSED
    is_timed = (is_reused & ~is_bridge) | (pl.col("served_by") == "gateway_cache")
    moment = pl.when(is_timed).then(pl.col("ts_us")).cast(pl.String).fill_null("")
    rows = rows.with_columns(_key=pl.concat_str("_key", pl.lit(" "), moment))
    callers = [
        pl.when(~is_bridge).then(pl.col(name).fill_null(_known(pl.col(name)).over(*own, "_key")))
        for name in CALLER
        if name in rows.columns
    ]
    return rows.with_columns(
        _key=pl.concat_str(
            "_key", *(pl.concat_str(pl.lit("\n"), c.cast(pl.String).fill_null("")) for c in callers)
        )
    )


def _same_message(rows: pl.DataFrame) -> pl.DataFrame:
    """Find session messages with equal id, model, tokens and answer, whatever their prompts.

    A subagent's file holds only the end of a message's history, so its prompts are shorter.
    """
    if "session" not in rows.columns:
        return rows.clear().select("at", _into="at", _reason=pl.lit(""))
    key = ["source", "native_id", "_model", *INPUT_CLASSES, "output_tokens", "answer_hash"]
    able = pl.col("session").is_not_null() & pl.col("native_id").is_not_null()
    rows = rows.filter(able & pl.col("answer_hash").is_not_null() & (pl.col("_worth") > 0))
    rows = rows.filter(pl.struct(key).is_duplicated())
    return _into_first(rows, key, "duplicate-id")


def _known(values: pl.Expr) -> pl.Expr:
    return values.drop_nulls().first()


def _only(values: pl.Expr) -> pl.Expr:
    return pl.when(values.drop_nulls().n_unique() == 1).then(_known(values))


DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
MANY = 20  # distinct times; if all are whole minutes, that is not by chance


def _same_start(rows: pl.DataFrame, other_times: Times) -> pl.DataFrame:
    """Find rows of one source with equal start, prompt, model and tokens, whatever their ids.

    Rows with different users, tenants, latencies or answers are different calls. A file whose
    times are only dates or whole minutes has no usable starts.
    """
    key = ["source", "ts_us", "prompt_hash", "_model", *INPUT_CLASSES, "output_tokens"]
    able = pl.col("ts_us").is_not_null() & pl.col("prompt_hash").is_not_null()
    every = rows
    rows = rows.filter(able & pl.struct("ts_us", "prompt_hash").is_duplicated())
    rows = rows.filter((pl.col("_worth") > 0) & (pl.col("served_by") == "provider"))
    if not rows.is_empty():
        files = rows["source_file"].unique().to_list()
        times = pl.concat([every.select("source_file", "ts_us"), other_times(files)])
        rows = rows.join(_vague_times(times, rows), on="source_file", how="anti")
    said = pl.when(pl.col("answer_tokens") > 0).then("answer_hash")
    telling = {"_took": pl.col("latency_ms"), "_said": said}
    telling |= {f"_{name}": pl.col(name) for name in CALLER if name in rows.columns}
    rows = rows.with_columns(
        stated.fill_null(_known(stated).over(key)).alias(name) for name, stated in telling.items()
    )
    return _into_first(rows, [*key, *telling], "same-start")


def _vague_times(rows: pl.DataFrame, some: pl.DataFrame) -> pl.DataFrame:
    """Return those files of `some` in which all times are dates or whole minutes."""
    times = rows.join(some.select("source_file").unique(), on="source_file", how="semi")
    return (
        times.group_by("source_file")
        .agg(
            dates=(pl.col("ts_us") % DAY_US == 0).all(),
            minutes=(pl.col("ts_us") % MINUTE_US == 0).all(),
            many=pl.col("ts_us").n_unique() >= MANY,
        )
        .filter(pl.col("dates") | (pl.col("minutes") & pl.col("many")))
        .select("source_file")
    )


def _same_response(rows: pl.DataFrame) -> pl.DataFrame:
    """Find rows of different sources with the same id of the provider's response."""
    shared = rows.filter(
        pl.col("native_id").is_not_null() & (pl.col("served_by") == "provider")
    ).filter(pl.col("source").n_unique().over("native_id") > 1)
    best = (
        _best_first(shared)
        .group_by("native_id", maintain_order=True)
        .agg(pl.col("at").first().alias("_into"), pl.col("source").first().alias("_best"))
    )
    return (
        shared.join(best, on="native_id")
        .filter(pl.col("source") != pl.col("_best"))
        .select("at", "_into", _reason=pl.lit("other-instrument"))
    )


def _same_moment(rows: pl.DataFrame) -> pl.DataFrame:
    key = ["_model", "_sent", "output_tokens", "prompt_hash"]
    able = rows.filter(
        pl.col("ts_us").is_not_null()
        & pl.col("prompt_hash").is_not_null()
        & (pl.col("_worth") > 0)
        & (pl.col("served_by") == "provider")
    ).sort(*key, "ts_us", "at")
    previous = able.with_columns(
        _prev_at=pl.col("at").shift().over(key),
        _prev_ts=pl.col("ts_us").shift().over(key),
        _prev_source=pl.col("source").shift().over(key),
    ).filter(
        (pl.col("_prev_source") != pl.col("source"))
        & (pl.col("ts_us") - pl.col("_prev_ts") <= FUZZY_US)
    )
    return previous.select("at", _into="_prev_at", _reason=pl.lit("other-instrument"))


def _to_the_end(rows: pl.DataFrame) -> pl.DataFrame:
    """Replace a `merged_into` that is itself merged by the row that is kept."""
    for _ in range(8):
        onward = rows.select(merged_into="at", _next="merged_into").drop_nulls("_next")
        if onward.is_empty():
            return rows
        rows = rows.join(onward, on="merged_into", how="left", maintain_order="left")
        if rows["_next"].null_count() == len(rows):
            return rows.drop("_next")
        rows = rows.with_columns(merged_into=pl.coalesce("_next", "merged_into")).drop("_next")
    return rows


def _with_prompts(rows: pl.DataFrame) -> pl.DataFrame:
    """Give rows without a prompt the prompt of a row that was merged into them."""
    donors = (
        rows.filter(pl.col("merged_into").is_not_null() & pl.col("prompt_hash").is_not_null())
        .group_by("merged_into", maintain_order=True)
        .agg(
            pl.col("prompt_at").first().alias("_prompt_at"),
            pl.col("prompt_hash").first().alias("_prompt_hash"),
            pl.col("prompt_tokens").first().alias("_prompt_tokens"),
        )
        .rename({"merged_into": "at"})
    )
    if donors.is_empty():
        return rows
    lacks = pl.col("prompt_hash").is_null() & pl.col("_prompt_hash").is_not_null()
    return rows.join(donors, on="at", how="left", maintain_order="left").with_columns(
        pl.when(lacks).then(pl.col(f"_{name}")).otherwise(pl.col(name)).alias(name)
        for name in ("prompt_at", "prompt_hash", "prompt_tokens")
    )
