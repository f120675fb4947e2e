"""Group users and sessions by rank of cost, which shows concentration without names."""

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.costing.groups.codes import coded

FEWEST = 5  # minimum number of members of a group of ranks, so that it describes no single person
_ENDS = (0.01, 0.1, 0.5, 1.0)  # shares of the members at which groups end
RANKED = ("user", "session")
IN_PARTS = ("agent",)  # columns with the application's own names: shown if logged


def spend_groups(requests: pl.DataFrame, usd: npt.NDArray[np.float64]) -> dict[str, pl.Series]:
    """Return breakdowns of spend that only some logs have: agents, ranks of users and sessions.

    `usd` is the cost of each request. Members are ranked by the cost of all their requests, the
    most expensive first. With fewer than FEWEST members of a kind, there are no ranks.
    """
    found = {
        name: requests[name] for name in IN_PARTS if requests[name].null_count() < len(requests)
    }
    for name in RANKED:
        if requests[name].n_unique() - bool(requests[name].has_nulls()) >= FEWEST:
            found[f"{name}_rank"] = ranks(requests[name], usd)
    return found


def ranks(members: pl.Series, usd: npt.NDArray[np.float64]) -> pl.Series:
    """Return the group of ranks, such as 13–120, of each request's member; null without a member.

    Groups end at 1, 10, 50 and 100 % of the members. A group with fewer than FEWEST members is
    merged with the next one, the last group with the one before.
    """
    code, names = coded(members)
    total = np.bincount(code, usd, len(names))
    known = np.flatnonzero(
        np.bincount(code[members.is_not_null().to_numpy()], minlength=len(names))
    )
    order = known[np.argsort(-total[known], kind="stable")]  # of equals, the first name first
    last = _ends(len(order))
    first = [1, *(end + 1 for end in last[:-1])]
    labels = [f"{low:,}–{high:,}" for low, high in zip(first, last, strict=True)]
    group = np.full(len(names), len(labels))
    group[order] = np.searchsorted(last, np.arange(1, len(order) + 1))
    found = pl.Series([*labels, None], dtype=pl.Enum(labels)).gather(group[code])
    return found.set(members.is_null(), None) if members.has_nulls() else found


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
