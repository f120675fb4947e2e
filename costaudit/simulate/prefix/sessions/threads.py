"""Find sessions, and their threads of calls that continue one another."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import SENT_TO_PROVIDER
from costaudit.contracts.run_dir import column
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Prompts
from costaudit.simulate.segments import Ints

UNNAMED_AGENTS = ("cursor", "cline", "aider")  # sources that name no session
INFERRED_PAUSE = timedelta(minutes=30)
SHRUNK = 0.8  # share of the previous prompt: a smaller one was compacted, a larger one rewritten
WHOLE_THREAD = 3  # minimum number of calls of a thread that a new thread may be the compaction of


@dataclass(frozen=True)
class Threads:
    """Each call's session, and the call that it continues."""

    names: pl.Series  # names of sessions, by number
    session: Ints  # per request: index into `names`; -1 for none
    previous: Ints  # per request: the call that it continues; -1 if it opens a thread
    thread: Ints  # per request: number of its thread; -1 without a session
    restarted: NDArray[np.bool_]  # the first call after a compaction of its whole thread
    order: Ints  # requests of sessions by time, file and offset


def session_names(requests: pl.DataFrame) -> pl.Series:
    """Return each request's session: an agent's, or else a tenant's conversation; null for neither.

    Exports of agents that name neither are divided at pauses of INFERRED_PAUSE, by user and file.
    """
    conversation = pl.concat_str(
        pl.when(pl.col("tenant").is_not_null()).then(pl.col("tenant") + " | ").fill_null(""),
        pl.col("conversation"),
    )
    named = pl.when(pl.col("session").is_not_null()).then("session").otherwise(conversation)
    found = requests.select(named.alias("session")).to_series()
    agents = column(requests, "source").is_in(UNNAMED_AGENTS)
    inferred = agents & found.is_null() & column(requests, "ts").is_not_null()
    return found.zip_with(~inferred, _by_pauses(requests)) if inferred.any() else found


def _by_pauses(requests: pl.DataFrame) -> pl.Series:
    """Return sessions by user and start, divided at pauses of INFERRED_PAUSE."""
    who = pl.coalesce("user", "source")
    rows = requests.select("ts", "user", "source", "source_file").with_row_index("row")
    rows = rows.sort("ts", "row", nulls_last=True)
    rows = rows.with_columns(
        opens=(pl.col("ts").diff().over(who, "source_file") > INFERRED_PAUSE).fill_null(True),
    ).with_columns(number=pl.col("opens").cum_sum().over(who, "source_file"))
    started = pl.col("ts").min().over(who, "source_file", "number").dt.strftime("%Y-%m-%d %H:%M")
    named = rows.select("row", session=pl.concat_str(who, pl.lit(" from "), started))
    return named.sort("row")["session"]


def find_threads(requests: pl.DataFrame, prompts: Prompts) -> Threads:
    """Return the threads of each session's calls.

    Calls that reached no provider, and calls that are not chats, belong to no session.
    """
    from costaudit.simulate.prefix.sessions.session_kernels import follow_threads

    named = session_names(requests)
    sent = requests.select(
        SENT_TO_PROVIDER & (pl.col("kind").fill_null("chat") == "chat")
    ).to_series()
    named = named.set(~sent, None)
    names = named.drop_nulls().unique().sort()
    number = pl.DataFrame({"name": named}).join(
        pl.DataFrame({"name": names}).with_row_index("number"), on="name", how="left",
        maintain_order="left",
    )["number"]  # fmt: skip
    session = number.cast(pl.Int64).fill_null(-1).to_numpy()
    agent = requests.select(
        pl.struct(pl.Series("session", session), pl.col("agent").fill_null("")).rank("dense") - 1
    ).to_series().cast(pl.Int64).to_numpy()  # fmt: skip
    agents = int(agent.max(initial=-1)) + 1
    model = column(requests, "model").fill_null("").rank("dense").cast(pl.Int64).to_numpy()
    order = prompts.order[session[prompts.order] >= 0]
    segments = prompts.segments
    previous = follow_threads(
        order, np.where(session >= 0, agent, -1), agents, model, segments.offsets,
        segments.content, segments.role,
    )  # fmt: skip
    thread = _numbered(order, previous)
    joined = _restarts(prompts, order, agent, thread, previous)
    restarted = np.zeros(len(session), np.bool_)
    for request, before in joined:
        previous[request] = before
        restarted[request] = True
    return Threads(names, session, previous, _numbered(order, previous), restarted, order)


def _numbered(order: Ints, previous: Ints) -> Ints:
    """Return thread numbers, in the order in which threads open."""
    thread = np.full(len(previous), -1, np.int64)
    opened = 0
    for request in order.tolist():
        before = previous[request]
        if before < 0:
            thread[request] = opened
            opened += 1
        else:
            thread[request] = thread[before]
    return thread


def _restarts(
    prompts: Prompts, order: Ints, agent: Ints, thread: Ints, previous: Ints
) -> list[tuple[int, int]]:
    """Return pairs of a thread's first call and the last call of the thread that it replaces.

    The replaced thread has the same agent, ended before, and had WHOLE_THREAD calls; of several, it
    is the one that ended last. The new one begins with a smaller prompt after the same head, or,
    for calls without prompts, with another model.
    """
    rows = pl.DataFrame({"row": order, "place": np.arange(len(order))}).with_columns(
        agent=pl.Series(agent[order]), thread=pl.Series(thread[order]),
        billed=pl.Series(prompts.billed[order]), scope=pl.Series(_scopes(prompts)[order]),
        bare=pl.Series((np.diff(prompts.segments.offsets) == 0)[order]),
    )  # fmt: skip
    spans = rows.group_by("agent", "thread", maintain_order=True).agg(
        pl.col("row").first().alias("first"), pl.col("row").last().alias("last"),
        pl.col("place").first().alias("opens"), pl.col("place").last().alias("ends"),
        pl.len().alias("calls"), pl.col("billed").first().alias("begins_with"),
        pl.col("billed").last().alias("ends_with"), pl.col("scope", "bare").first(),
    )  # fmt: skip
    crowded = spans.filter(pl.len().over("agent") > 1).sort("opens")
    if crowded.is_empty():
        return []
    smaller = pl.col("begins_with") < SHRUNK * pl.col("left")
    compacted = _before(crowded, ["agent", "scope"]).filter(
        smaller, pl.col("calls") >= WHOLE_THREAD
    )
    handed_over = _before(crowded, ["agent"]).filter(~smaller, "bare")
    found = pl.concat([compacted, handed_over]).unique("before", keep="first", maintain_order=True)
    return list(found.select("first", "before").iter_rows())


def _before(spans: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Join each thread with the whole thread that ended last before it opened."""
    older = spans.filter(pl.col("calls") >= WHOLE_THREAD).sort("ends").select(
        *by, "ends", before=pl.col("last"), left=pl.col("ends_with"), old=pl.col("thread")
    )  # fmt: skip
    joined = spans.join_asof(
        older, left_on="opens", right_on="ends", by=by, strategy="backward",
        allow_exact_matches=False, check_sortedness=False,
    )  # fmt: skip
    chosen = joined.filter(pl.col("before").is_not_null(), pl.col("old") != pl.col("thread"))
    return chosen.select("first", "before", "begins_with", "left", "calls", "bare")


def _scopes(prompts: Prompts) -> Ints:
    """Return a number for each request's cache and head."""
    offsets = prompts.segments.offsets
    has = np.diff(offsets) > 0
    first = np.zeros(len(has), np.int64)
    first[has] = prompts.segments.content[offsets[:-1][has]]
    headed = has & (np.append(prompts.segments.role, 5)[offsets[:-1]] <= 1)
    inside = np.where(headed, first + 1, 0)
    return np.asarray(prompts.scope.astype(np.int64) * (first.max(initial=0) + 2) + inside)


def gaps(prompts: Prompts, previous: Ints) -> NDArray[np.float64]:
    """Return seconds since the start of the call that each one continues; NaN if unknown."""
    start = prompts.start
    known = (previous >= 0) & (start != NO_TIME) & (start[previous] != NO_TIME)
    return np.where(known, (start - start[previous]) / 1e6, np.nan)
