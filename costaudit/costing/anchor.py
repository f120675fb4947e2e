"""Carry what a simulation changes over to what was really billed."""

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES

Counts = npt.NDArray[np.int64]


def anchored(logged: pl.DataFrame, as_is: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Apply `after` - `as_is` to the logged classes, request by request.

    A simulation that disagrees with the bill thus neither makes nor loses money. No class falls
    below 0, and a request's input changes by as much as the simulation says: what a class can't
    give up is taken back from the classes that gained, the cheapest first.
    """
    truth = logged.select(TOKEN_CLASSES).to_numpy()
    change = after.select(TOKEN_CLASSES).to_numpy() - as_is.select(TOKEN_CLASSES).to_numpy()
    output = np.maximum(truth[:, -1] + change[:, -1], 0)
    given = np.maximum(truth + change, 0)[:, :-1]
    target = np.maximum(truth[:, :-1].sum(axis=1) + change[:, :-1].sum(axis=1), 0)
    gained = np.maximum(change[:, :-1], 0)
    excess = given.sum(axis=1) - target
    for most in (gained, given):  # first from what was gained, then from anything
        for i in _CHEAPEST_FIRST:
            taken = np.minimum(np.minimum(most[:, i], given[:, i]), excess)
            given[:, i] -= taken
            excess -= taken
    columns: dict[str, Counts] = dict(zip(INPUT_CLASSES, given.T, strict=True))
    return pl.DataFrame({**columns, "output_tokens": output})


_CHEAPEST_FIRST = tuple(
    INPUT_CLASSES.index(name)
    for name in (
        "cache_read_tokens",
        "input_uncached_tokens",
        "cache_write_other_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
    )
)
