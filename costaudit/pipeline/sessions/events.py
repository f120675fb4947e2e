"""Price compactions, tool definitions and loops of sessions."""

import numpy as np
import polars as pl

from costaudit.contracts.grades import PER_MTOK
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.sessions import CompactionRow, LoopRow, ToolRow
from costaudit.levers.effects import placed_segments
from costaudit.levers.loops import repeated_calls
from costaudit.levers.tools import carried_tools, tool_uses
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.sessions.policies import money
from costaudit.simulate.prefix.sessions.facts import SessionFacts
from costaudit.simulate.segments import Ints

LISTED = 50
_CALLED = r'(?m)^\{\s*"name"\s*:\s*"([^"]+)"'  # a tool call as ingest writes it
LOAD_OUTPUT_TOKENS = 60  # assumed output of a model that looks a deferred tool up
_READ, _OUTPUT = INPUT_CLASSES.index("cache_read_tokens"), len(INPUT_CLASSES)
_BEHIND_READS = (3, 2, 4, 0)  # 1h, 5m, other writes and uncached input, in the order of a prompt


class _Rates:
    """Return dollars per token by request and class; 0 without a known price."""

    def __init__(self, log: Loaded) -> None:
        pricing = log.tariff.billed
        rates = pricing.rates.select(pl.col(PER_MTOK).cast(pl.Float64)).to_numpy()
        table = np.vstack([rates, np.zeros((1, len(PER_MTOK)))])
        ids = pricing.rate_ids.cast(pl.Int64).fill_null(len(rates)).to_numpy()
        self.per_token = table[ids] / 1e6


def compaction_rows(log: Loaded, facts: SessionFacts) -> tuple[CompactionRow, ...]:
    """Return what each compaction cost and saved, the largest net saving first.

    It costs what the next call paid again, above the price of reading it, plus the summary's output
    if the log holds the call that wrote it. It saves the removed tokens on each later call of the
    thread up to the next compaction, at the price of that call's prefix.
    """
    calls, threads = facts.calls, facts.threads
    events = np.flatnonzero(calls.shed > 0)
    if not len(events):
        return ()
    rates = _Rates(log).per_token
    total = facts.billed.sum(axis=1)
    price = np.where(calls.read > 0, rates[:, _READ], _paid(facts.billed, rates))
    order = threads.order
    later = pl.DataFrame(
        {
            "row": order, "thread": threads.thread[order], "price": price[order],
            "event": calls.shed[order] > 0,
        }
    ).with_columns(epoch=pl.col("event").cum_sum().over("thread"))  # fmt: skip
    sums = later.with_columns(
        calls=pl.len().over("thread", "epoch") - 1,
        saved=pl.col("price").sum().over("thread", "epoch"),
    ).filter("event")
    wrote = _summaries(log, rates)
    found = []
    for row, behind, priced in sums.select("row", "calls", "saved").iter_rows():
        paid = calls.missed[row] * max(_paid_at(facts.billed, rates, row) - rates[row, _READ], 0.0)
        cost = float(paid) + wrote.get(row, 0.0)
        saved = float(calls.shed[row]) * priced
        ts = log.requests["ts"][row]
        found.append(
            CompactionRow(
                session=threads.names[int(threads.session[row])],
                ts="" if ts is None else ts.isoformat(),
                before_tokens=int(total[threads.previous[row]]),
                after_tokens=int(total[row]),
                later_calls=int(behind) + 1,
                cost_usd=money(cost),
                saved_usd=money(saved),
                net_usd=money(saved - cost),
            )
        )
    found.sort(key=lambda one: (-abs(one.net_usd), one.session, one.ts))
    return tuple(found[:LISTED])


def _paid(billed: Ints, rates: np.ndarray) -> np.ndarray:
    """Return the mean price of each call's tokens that were not read."""
    behind = list(_BEHIND_READS)
    tokens = billed[:, behind]
    paid = (tokens * rates[:, behind]).sum(axis=1)
    return np.asarray(paid / np.maximum(tokens.sum(axis=1), 1))


def _paid_at(billed: Ints, rates: np.ndarray, row: int) -> float:
    return float(_paid(billed[row : row + 1], rates[row : row + 1])[0])


def _summaries(log: Loaded, rates: np.ndarray) -> dict[int, float]:
    """Return the price of answers that the prompt of a compacted call contains as its summary."""
    output = log.requests["output_tokens"].fill_null(0).to_numpy()
    firsts = log.requests.with_row_index("row").select(
        pl.col("row").cast(pl.Int64), "session", "segments"
    ).explode("segments").unnest("segments").filter(pl.col("role") == "user")  # fmt: skip
    wrote = log.requests.with_row_index("by").select(
        pl.col("by").cast(pl.Int64), "session", block_id="answer_id"
    ).drop_nulls()  # fmt: skip
    pairs = firsts.select("row", "session", "block_id").join(wrote, on=["session", "block_id"])
    pairs = pairs.filter(pl.col("by") < pl.col("row")).unique("row", keep="first")
    return {
        row: float(output[by] * rates[by, _OUTPUT])
        for row, by in pairs.select("row", "by").iter_rows()
    }


def tool_rows(log: Loaded, facts: SessionFacts) -> tuple[ToolRow, ...]:
    """Return each tool's definition: the sessions that send it and call it, and its bill.

    A definition is priced at its place in the prompt: as a read if the prompt's head was read.
    Deferred loading writes a definition once for each session that needs it, and reads the prompt
    once more to look it up.
    """
    segments = placed_segments(log.requests)
    carried = carried_tools(log.blocks, segments)
    if carried.is_empty():
        return ()
    session = pl.Series("session", facts.threads.session)
    carried = carried.with_columns(session=session.gather(carried["row"])).filter(
        pl.col("session") >= 0
    )
    if carried.is_empty():
        return ()
    rates = _Rates(log).per_token
    usd = _placed_usd(carried, facts.billed, rates)
    uses = tool_uses(log.requests, log.blocks, segments, session)
    by_session = (
        carried.with_columns(usd=pl.Series(usd))
        .group_by("tool", "session", maintain_order=True)  # so that sums are the same each time
        .agg(pl.col("row").n_unique().alias("calls"), pl.col("usd").sum(), pl.col("tokens").mean())
        .join(uses, on=["tool", "session"], how="left", maintain_order="left")
        .with_columns(pl.col("uses").fill_null(0))
    )
    load = _load_usd(facts, rates)
    named = by_session.group_by("tool", maintain_order=True).agg(
        sessions=pl.len(),
        calling=(pl.col("uses") > 0).sum(),
        calls=pl.col("calls").sum(),
        uses=pl.col("uses").sum(),
        tokens=pl.col("tokens").mean(),
        usd=pl.col("usd").sum(),
        unused=pl.col("usd").filter(pl.col("uses") == 0).sum(),
    )
    known = not uses.is_empty()
    return tuple(
        ToolRow(
            tool=row["tool"],
            sessions=row["sessions"],
            calling_sessions=row["calling"],
            calls=row["calls"],
            uses=row["uses"],
            tokens=round(row["tokens"]),
            usd=money(row["usd"]),
            unused_usd=money(row["unused"] if known else 0.0),
            break_even=_break_even(row, load),
        )
        for row in named.sort(["unused", "usd", "tool"], descending=[True, True, False])
        .head(LISTED)
        .iter_rows(named=True)
    )


def _placed_usd(carried: pl.DataFrame, billed: Ints, rates: np.ndarray) -> np.ndarray:
    """Return the price of tokens by place in the prompt: read, then written, then uncached."""
    rows = carried["row"].to_numpy()
    start = carried["start"].to_numpy()
    end = start + carried["tokens"].to_numpy()
    usd = np.zeros(len(rows))
    at = np.zeros(len(rows), np.int64)
    for place in (_READ, *_BEHIND_READS):
        until = at + billed[rows, place]
        inside = np.clip(np.minimum(end, until) - np.maximum(start, at), 0, None)
        usd += inside * rates[rows, place]
        at = until
    return usd


def _load_usd(facts: SessionFacts, rates: np.ndarray) -> tuple[float, float]:
    """Return the cost of looking up a tool without its tokens, and the price of a written token."""
    chosen = facts.threads.session >= 0
    size = facts.billed.sum(axis=1)[chosen].mean()
    read, written = rates[chosen, _READ].mean(), _paid(facts.billed, rates)[chosen].mean()
    output = rates[chosen, _OUTPUT].mean()
    return float(size * read + LOAD_OUTPUT_TOKENS * output), float(written)


def _break_even(row: dict[str, float], load: tuple[float, float]) -> float | None:
    once = load[0] + row["tokens"] * load[1]
    return row["usd"] / row["sessions"] / once if once else None


def loop_rows(log: Loaded, facts: SessionFacts) -> tuple[LoopRow, ...]:
    """Return tool calls with a repeated result in a session, the most expensive first."""
    repeated = repeated_calls(log.requests, placed_segments(log.requests), log.blocks)
    if repeated.is_empty():
        return ()
    named = log.blocks.select(answer_id="block_id", tool=pl.col("text").str.extract(_CALLED))
    repeated = repeated.join(named, on="answer_id", how="left", maintain_order="left")
    rates = _Rates(log).per_token
    classes = np.column_stack([facts.billed, log.tariff.classes["output_tokens"].to_numpy()])
    usd = (classes * rates).sum(axis=1)
    rows = repeated.with_columns(
        session=pl.Series(facts.threads.session).gather(repeated["row"]),
        usd=pl.Series(usd).gather(repeated["row"]),
    ).filter(pl.col("session") >= 0)
    found = rows.group_by("session", "tool", maintain_order=True).agg(pl.len(), pl.col("usd").sum())
    found = found.sort(["usd", "session", "tool"], descending=[True, False, False]).head(LISTED)
    names = facts.threads.names
    return tuple(
        LoopRow(names[int(session)], tool or "", repeats, money(usd))
        for session, tool, repeats, usd in found.iter_rows()
    )
