"""The tables that travel between stages: requests, blocks, skips and outcomes."""

from typing import Literal, get_args

import polars as pl

from costaudit.errors import CostauditError, RunDirError

CallKind = Literal["chat", "embedding", "other"]
CALL_KINDS: tuple[CallKind, ...] = get_args(CallKind)
UnitName = Literal[
    "web_search",
    "file_search",
    "grounding_query",
    "code_session",
    "audio_input_token",
    "audio_output_token",
    "audio_cached_token",
    "image_input_token",
    "image_output_token",
    "video_input_token",
    "audio_second",  # length of the transcribed audio
    "search_unit",  # of Cohere: one query over at most 100 documents
    "image_generation",  # calls of a hosted tool that makes images
    "storage_token_hour",
    "other_model_input_token",
    "other_model_output_token",
    "other_model_read_token",
    "other_model_write_token",
    "gateway_fee_usd",
    "upstream_cost_usd",
    "cache_write_token",  # only if its count can't be read; part of the uncached input
]
BILLED_UNIT = pl.Struct(
    {
        "unit": pl.String,  # a UnitName
        "quantity": pl.Float64,  # null: the logged value can't be read
        "model": pl.String,  # model of the unit; null: the model of the call
    }
)

SEGMENT = pl.Struct(
    {
        "role": pl.String,  # tools | system | user | assistant | tool
        "kind": pl.String,  # text | tool_definition | tool_use | tool_result | image | ...
        "block_id": pl.String,  # key into BLOCKS
        "tokens": pl.Int32,  # this request's billed input, split over its segments; null if unknown
        "cache_marker": pl.String,  # TTL of the requested write after this segment, such as 1h
    }
)

_REQUEST_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "request_id": pl.String,  # unique in the run: the native id, or file digest and offset
    "native_id": pl.String,  # the provider's own id of the response
    "ts": pl.Datetime("us", "UTC"),  # start of the request; null if the log has no time
    "provider": pl.String,  # as in genai-prices: openai, anthropic, aws, google, azure, ...
    "model": pl.String,  # as billed: the response's model where there is one
    "service_tier": pl.String,  # standard | flex | priority | ...: as used, not as asked for
    "is_batch": pl.Boolean,  # billed as a batch
    "region": pl.String,  # set if the price depends on it
    "kind": pl.String,  # CallKind
    "endpoint": pl.String,  # the application's own route, else the provider's path
    "tenant": pl.String,
    "user": pl.String,
    "conversation": pl.String,
    "account": pl.String,  # account, organisation, workspace or project that shares a cache
    "session": pl.String,  # session of an agent, with all turns and subagents
    "agent": pl.String,  # the agent or subagent that made the call
    "parent_call": pl.String,  # id of the call, message or span that started this agent
    "skill": pl.String,
    "branch": pl.String,  # branch of the repository where an agent works
    "client_version": pl.String,  # version of the agent's program
    "tags": pl.List(pl.String),
    "turn_index": pl.Int32,  # user turns before this one in the same message list
    "segments": pl.List(SEGMENT),  # in the order the provider renders: tools, system, messages
    "answer_id": pl.String,  # BLOCKS key of the answer's text; null if none was logged
    "answer_kind": pl.String,  # text | tool_use | refusal | empty | missing
    "temperature": pl.Float64,
    "stream": pl.Boolean,
    "tool_choice": pl.String,  # these settings are part of the prefix; canonical JSON
    "thinking": pl.String,
    "response_format": pl.String,
    "cache_options": pl.String,
    "cache_key": pl.String,  # steers calls with the same key to one cache
    "auto_cache_ttl": pl.String,  # 5m | 1h, from a cache_control outside the messages
    "input_uncached_tokens": pl.Int64,  # the five classes are disjoint and add up to the input
    "cache_read_tokens": pl.Int64,
    "cache_write_5m_tokens": pl.Int64,
    "cache_write_1h_tokens": pl.Int64,
    "cache_write_other_tokens": pl.Int64,  # writes with another or unknown TTL
    "cache_write_other_ttl": pl.String,  # TTL of those writes, such as 30m; null: unknown
    "output_tokens": pl.Int64,  # includes reasoning
    "reasoning_tokens": pl.Int64,
    "billed_units": pl.List(BILLED_UNIT),  # units other than text tokens; the token
    # classes also include audio and image tokens
    "usage_source": pl.String,  # provider | gateway | estimated | missing
    "usage_convention": pl.String,  # which counting convention was normalised
    "logged_cost": pl.String,  # a decimal, in cost_unit; null if the log has none
    "cost_unit": pl.String,  # usd | cents | ...
    "latency_ms": pl.Float64,  # start to the last byte
    "ttft_ms": pl.Float64,  # start to the first byte
    "status": pl.String,  # ok | error
    "http_status": pl.Int32,
    "error": pl.String,  # the error's type, never its text
    "finish_reason": pl.String,  # stop | length | tool_calls | content_filter | ...
    "attempt": pl.Int32,  # 0 for the first try
    "served_by": pl.String,  # provider | gateway_cache
    "truncated": pl.Boolean,  # the exporter cut the prompt or the answer
    "source": pl.String,  # name of the log source that read the record
    "source_file": pl.String,
    "source_offset": pl.Int64,  # byte offset in the decompressed file; row number of a table
}
REQUESTS = pl.Schema(_REQUEST_COLUMNS)

BLOCKS = pl.Schema(
    {
        "block_id": pl.String,  # 32 hex digits: xxh3_128 of kind, a zero byte and the content
        "kind": pl.String,  # as in SEGMENT
        "text": pl.String,  # null if content is redacted or is not text
        "chars": pl.Int64,
        "tokens": pl.Int32,  # from the run's tokenizer, before scaling to the bill
    }
)

SKIPS = pl.Schema(
    {
        "source_file": pl.String,
        "source_offset": pl.Int64,  # as in REQUESTS; -1 for a whole file
        "fate": pl.String,  # skipped | merged
        "reason": pl.String,  # a short class, such as bad-json or duplicate-id
        "detail": pl.String,  # one sentence without content from the log
        "merged_into": pl.String,  # request_id of the row that was kept
    }
)

MERGED = pl.Schema(
    {
        "source_file": pl.String,
        "source_offset": pl.Int64,
        "reason": pl.String,  # as in SKIPS: why it is not a separate call
        "merged_into": pl.String,  # request_id of the repeated call
        **{
            name: _REQUEST_COLUMNS[name]
            for name in (
                "ts",
                "provider",
                "model",
                "service_tier",
                "is_batch",
                "region",
                "cache_options",
                "input_uncached_tokens",
                "cache_read_tokens",
                "cache_write_5m_tokens",
                "cache_write_1h_tokens",
                "cache_write_other_tokens",
                "cache_write_other_ttl",
                "output_tokens",
                "billed_units",
                "logged_cost",
                "cost_unit",
                "served_by",
            )
        },
    }
)

INPUT_CLASSES = (
    "input_uncached_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_other_tokens",
)
TOKEN_CLASSES = (*INPUT_CLASSES, "output_tokens")
CACHE_WRITES = INPUT_CLASSES[2:]
SETTINGS = ("tool_choice", "thinking", "response_format", "cache_options", "cache_key",
            "auto_cache_ttl")  # fmt: skip
CALLERS = ("tenant", "user", "conversation")

GATEWAY_SERVED = pl.col("served_by").fill_null("provider") == "gateway_cache"
SENT_TO_PROVIDER = ~GATEWAY_SERVED
COUNTED = pl.col("usage_source").is_in(["provider", "gateway"]).fill_null(False)  # as billed
NO_CACHE_DETAIL = "without cache detail"  # end of a convention whose counts lack cache reads
READS_COUNTED = COUNTED & ~pl.col("usage_convention").fill_null("").str.ends_with(NO_CACHE_DETAIL)
IN_BATCH = pl.col("is_batch").fill_null(False)
TS_S = pl.col("ts").dt.epoch("us").cast(pl.Float64) / 1e6  # seconds since 1970; null without time
HOUR = pl.col("ts").dt.epoch("us") // 3_600_000_000  # hours since 1970, UTC; null without time
ANSWERED = (pl.col("status") == "ok") & SENT_TO_PROVIDER
INPUT_TOKENS = pl.sum_horizontal(INPUT_CLASSES)  # a missing class counts as nothing
BILLED_TOKENS = pl.sum_horizontal(TOKEN_CLASSES)

ORDER = ("ts", "source_file", "source_offset")  # order of requests; rows without ts are last


def check_table(frame: pl.DataFrame | pl.LazyFrame, schema: pl.Schema, name: str) -> None:
    """Raise RunDirError unless `frame` has exactly the columns and types of `schema`."""
    found = frame.collect_schema()
    for column, dtype in schema.items():
        if column not in found:
            raise RunDirError(f"{name} lacks the column {column!r}.", hint="Ingest the log again.")
        if found[column] != dtype:
            raise RunDirError(
                f"{name} holds {column!r} as {found[column]}, not as {dtype}.",
                hint="Ingest the log again.",
            )
    extra = [column for column in found if column not in schema]
    if extra:
        raise RunDirError(
            f"{name} has columns that this version does not know: {', '.join(extra)}.",
            hint="Ingest the log again with this version.",
        )


def in_order(requests: pl.DataFrame) -> pl.DataFrame:
    """Sort by time, then file and offset; rows without a time come last.

    A sorted table is returned without a copy, because a copy of its prompts doubles memory.
    """
    return requests if _is_in_order(requests) else requests[time_order(requests)]


def _is_in_order(requests: pl.DataFrame) -> bool:
    """Compare each row with the one before it, which takes far less time than sorting."""
    later, same = pl.lit(value=False), pl.lit(value=True)
    for name in ORDER:
        one, before = pl.col(name), pl.col(name).shift()
        rises = (one > before) | (one.is_null() & before.is_not_null())
        later |= same & rises.fill_null(value=False)
        same &= one.eq_missing(before)
    return bool(requests.select((later | same).slice(1).all()).item())


def time_order(requests: pl.DataFrame) -> pl.Series:
    """Return the row numbers in order of time, then file and offset."""
    return requests.select(pl.arg_sort_by(*ORDER, nulls_last=True, maintain_order=True)).to_series()


_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "policy_id": pl.String,
    "request_id": pl.String,
    "result": pl.String,  # hit | miss | bypass | error
    "reason": pl.String,  # why the request was bypassed or failed; exact | similar for a hit
    "matched_id": pl.String,  # request_id of the served answer; null if not a hit
    "similarity": pl.Float32,  # cosine to the matched request's text; 1.0 for identical text
    "right": pl.Boolean,  # whether the served answer is right; null if not judged
    **dict.fromkeys(TOKEN_CLASSES, pl.Int64),  # tokens that would be billed; 0 for a hit
    "latency_ms": pl.Float64,
}
OUTCOMES = pl.Schema(_COLUMNS)
Result = Literal["hit", "miss", "bypass", "error"]
RESULTS: tuple[Result, ...] = get_args(Result)


def check_outcomes(outcomes: pl.DataFrame, requests: int) -> None:
    """Raise unless each policy's rows satisfy the conservation laws over `requests` requests.

    Laws: hit + miss + bypass + error = n; wrong <= judged <= hits; a hit names its matched request.
    """
    check_table(outcomes, OUTCOMES, "outcomes")
    hit = pl.col("result") == "hit"
    laws = outcomes.group_by("policy_id").agg(
        n=pl.len(),
        distinct=pl.col("request_id").n_unique(),
        known=pl.col("result").is_in(RESULTS).sum(),
        judged=pl.col("right").is_not_null().sum(),
        judged_hits=(pl.col("right").is_not_null() & hit).sum(),
        unmatched=(hit != pl.col("matched_id").is_not_null()).sum(),
    )
    for row in laws.sort("policy_id").iter_rows(named=True):
        counted = row["n"] == row["distinct"] == row["known"] == requests
        if not counted or row["judged"] != row["judged_hits"] or row["unmatched"]:
            raise CostauditError(
                f"The outcomes of {row['policy_id']} break a conservation law: {row}.",
                hint="This is a defect of costaudit: please report it with the policy's name.",
            )
