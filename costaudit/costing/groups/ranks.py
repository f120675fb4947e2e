"""Group users and sessions by rank of cost, which shows concentration without names."""

import numpy as np
import polars as pl

FEWEST = 5  # minimum number of members of a group of ranks, so that it describes no single person
_ENDS = (0.01, 0.1, 0.5, 1.0)  # shares of the members at which groups end
RANKED = {"user_rank": pl.col("user"), "session_rank": pl.col("session")}


def ranks(usd: pl.Series) -> pl.Series:
    """Return the group of ranks, such as 13–120, of each member.

    usd: the cost of each member, at least FEWEST, in the order of their names; of equals, the first
    is dearer. Groups end at 1, 10, 50 and 100 % of the members. A group with fewer than FEWEST
    members is merged with the next one, the last group with the one before.
    """
    order = np.argsort(-usd.to_numpy(), kind="stable")
    last = _ends(len(order))
    first = [1, *(end + 1 for end in last[:-1])]
    labels = [f"{low:,}–{high:,}" for low, high in zip(first, last, strict=True)]
    group = np.empty(len(order), np.int64)
    group[order] = np.searchsorted(last, np.arange(1, len(order) + 1))
    return pl.Series(labels).gather(group)


def first_rank(label: str) -> int:
    """Return the first rank of a group's label; 0 for requests that name no member."""
    return int(label.partition("–")[0].replace(",", "")) if label else 0


def _ends(members: int) -> list[int]:
    """Return the last rank of each group."""
    found: list[int] = []
    for share in _ENDS:
        end = max(round(members * share), (found[-1] if found else 0) + FEWEST)
        if members - end < FEWEST:
            break
        found.append(end)
    return [*found, members]
