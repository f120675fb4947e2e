"""Find tool definitions in an endpoint's prompts that it never calls."""

import polars as pl

from costaudit.contracts.ledger import Lever, LeverTable
from costaudit.contracts.requests import ANSWERED
from costaudit.levers.effects import cutting, endpoint_unit, endpoints

LEAST_CALLS = 100  # with fewer calls, a tool that is never called may still be needed
LEAST_TOKENS = 20  # per call, of all unused tools of an endpoint
_CALLED = r'(?m)^\{\s*"name"\s*:\s*"([^"]+)"'  # one call a line, as ingest writes tool calls
_WRITTEN = r'(?:"name"\s*:\s*"|<function=|<invoke\s+name="|Action:\s*)([\w.-]+)'
_ENDED = ("stop", "length", "content_filter")  # what ends an answer that is no call of a tool
_FREE = r'(?i)^"(auto|none)"|"(type|mode)":"(auto|none)"|^\{"auto"'  # no tool has to be called
UNNAMED = "(tools whose names the log does not hold)"
_DEFINED = r'^\{\s*"name"\s*:\s*"([^"]+)"'


def unused_tools(
    requests: pl.DataFrame, blocks: pl.DataFrame, segments: pl.DataFrame
) -> Lever | None:
    """Return the tools that no logged call of an endpoint and model ever used; None without any.

    An endpoint is judged only if at least LEAST_CALLS calls carried the tool, and the log holds the
    text of its tool calls or shows that each of its answers called none. segments: from
    `placed_segments`.
    """
    carried = segments.filter(pl.col("role") == "tools").join(
        blocks.select("block_id", tool=pl.col("text").str.extract(_DEFINED)),
        on="block_id",
        how="left",
    )
    carried = carried.filter(pl.col("tool").is_not_null())
    if carried.is_empty():
        return None
    called = _called(requests, blocks, segments)
    use = (
        carried.group_by("unit", "tool")
        .agg(calls=pl.col("row").n_unique())
        .filter(pl.col("calls") >= LEAST_CALLS)
        .join(called.filter("readable"), on="unit", how="semi")
        .join(called, on=["unit", "tool"], how="anti")
    )
    unused = carried.join(use, on=["unit", "tool"], how="semi")
    heavy = unused.group_by("row").agg(shed=pl.col("tokens").sum())
    unused = unused.join(heavy.filter(pl.col("shed") >= LEAST_TOKENS), on="row", how="semi")
    if unused.is_empty():
        return None
    named = unused["tool"].unique().sort().to_list()
    least = min(use["calls"].to_list())
    return Lever(
        lever="tools",
        label="Tool definitions that are never called",
        section="levers",
        rule=(
            f"{len(named)} tools are in prompts of {endpoints(unused['unit'])} and no logged "
            f"call used them, in {least:,} calls or more; so they are needed in at most "
            f"{_most(least)} of the calls (95%). Priced at their place: at the cached price "
            "where the prompt's head is read from the cache."
        ),
        change=(
            f"Take out {_listed(named)}, or let the model look tools up when it needs them "
            "(deferred loading, where the provider has it)."
        ),
        risk="A tool that is needed rarely may not have been called in this log.",
        grade="estimated",
        effect=cutting(requests, unused.select("row", "start", "tokens")),
        evidence=(_by_tool(unused),),
    )


def _most(calls: int) -> str:
    """Return the upper 95 % bound on the share of calls that need what none of `calls` used."""
    share = 3 / calls
    return f"{share:.2%}" if share < 0.01 else f"{share:.1%}"


def _by_tool(unused: pl.DataFrame) -> LeverTable:
    """Return each unused tool, the one with the most tokens first."""
    tools = (
        unused.group_by("tool")
        .agg(
            places=pl.col("unit").n_unique(), calls=pl.col("row").n_unique(),
            tokens=pl.col("tokens").sum(),
        )
        .sort("tokens", "tool", descending=[True, False])
    )  # fmt: skip
    return LeverTable(
        "Tools that no call used",
        ("tool", "places", "calls", "tokens", "tokens each call", "needed in at most"),
        tuple(
            (
                one["tool"], f"{one['places']:,}", f"{one['calls']:,}", f"{one['tokens']:,}",
                f"{one['tokens'] / one['calls']:,.0f}", _most(one["calls"]),
            )
            for one in tools.iter_rows(named=True)
        ),
    )  # fmt: skip


def carried_tools(blocks: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Return the tool definitions in prompts: columns row, tool, start and tokens.

    Definitions without a name in their text are one tool, called UNNAMED.
    """
    carried = segments.filter(pl.col("role") == "tools").join(
        blocks.select("block_id", tool=pl.col("text").str.extract(_DEFINED)),
        on="block_id",
        how="left",
    )
    return carried.select("row", pl.col("tool").fill_null(UNNAMED), "start", "tokens")


def tool_uses(
    requests: pl.DataFrame, blocks: pl.DataFrame, segments: pl.DataFrame, session: pl.Series
) -> pl.DataFrame:
    """Return the calls of each tool by session: columns session, tool and uses.

    A session's calls are in its answers, or in its longest prompt if answers are not logged;
    `session` is each request's session number, below 0 for none.
    """
    calls = blocks.filter(pl.col("kind") == "tool_use").select(
        "block_id", tool=pl.col("text").str.extract_all(_CALLED)
    )
    answers = requests.select(session, block_id="answer_id").filter(
        pl.col("session") >= 0, pl.col("block_id").is_not_null()
    )
    history = segments.filter(pl.col("kind") == "tool_use").select("row", "block_id")
    history = history.with_columns(session=session.gather(history["row"])).filter(
        pl.col("session") >= 0
    )
    last = (
        history.group_by("session", "row").len().sort("len", "row").unique("session", keep="last")
    )
    shown = history.join(last.select("row"), on="row").select("session", "block_id")
    counted = [
        source.join(calls, on="block_id")
        .explode("tool")
        .with_columns(pl.col("tool").str.extract(_DEFINED))
        .drop_nulls("tool")
        .group_by("session", "tool")
        .agg(uses=pl.len())
        for source in (answers, shown)
    ]
    return pl.concat(counted).group_by("session", "tool").agg(pl.col("uses").max())


def _called(requests: pl.DataFrame, blocks: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Return each endpoint's called tools: columns unit, tool, readable (the log shows calls)."""
    calls = blocks.filter(pl.col("kind") == "tool_use").select(
        "block_id",
        readable=pl.col("text").is_not_null(),
        tool=pl.col("text").str.extract_all(_CALLED),
    )
    history = segments.filter(pl.col("kind") == "tool_use").select("unit", "block_id").unique()
    answers = requests.select(endpoint_unit(requests), block_id="answer_id").drop_nulls().unique()
    seen = pl.concat([history, answers]).unique().join(calls, on="block_id")
    found = seen.explode("tool").with_columns(pl.col("tool").str.extract(_DEFINED))
    return pl.concat(
        [
            found.select("unit", "tool", "readable"),
            _written(answers.join(_silent(requests, segments), on="unit", how="semi"), blocks),
        ]
    ).unique()


def _silent(requests: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Return the endpoints with tools whose every answer says that it called none: column unit.

    An answer says so if it is a text with the reason why it ended, or was cut off. Where a tool had
    to be called, or prompts hold calls or results, the log lacks calls.
    """
    ended = pl.col("finish_reason").is_in(_ENDED)
    told = pl.col("answer_kind").is_in(["text", "refusal"]) | (pl.col("finish_reason") != "stop")
    free = pl.col("tool_choice").str.contains(_FREE).fill_null(True)
    silent = requests.filter(ANSWERED).select(
        endpoint_unit(requests.filter(ANSWERED)), silent=(ended & told & free).fill_null(False)
    )
    acting = segments.filter(pl.col("kind").is_in(["tool_use", "tool_result"]))
    return (
        silent.group_by("unit")
        .agg(pl.col("silent").all())
        .filter("silent")
        .join(segments.filter(pl.col("role") == "tools"), on="unit", how="semi")
        .join(acting, on="unit", how="anti")
    )


def _written(answers: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """Return the tools that answers' texts name in the form of a call: columns as of `_called`.

    A server that does not parse its model's calls leaves them in the text. An endpoint without any
    has a row without a tool.
    """
    texts = blocks.filter(pl.col("text").is_not_null()).select("block_id", "text")
    seen = answers.join(texts, on="block_id").with_columns(readable=pl.lit(value=True))
    named = seen.select("unit", pl.col("text").str.extract_all(_WRITTEN).alias("tool"), "readable")
    return pl.concat(
        [
            named.explode("tool").with_columns(pl.col("tool").str.extract(_WRITTEN)),
            seen.select("unit", pl.lit(None, pl.String).alias("tool"), "readable"),
        ]
    )


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
