"""Compiled scan of a tile of similarities for the likeliest neighbours of its rows."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def keep_likeliest(tile, rows, columns, several, listed, texts, likely, held, floors):  # type: ignore[no-untyped-def]  # compiled
    """Add the columns that may have answered each row to the list of the row's core text.

    tile: float32 (r, c). rows: int64 (r, 5), place of the core text, the text, its last request,
    and the columns of its partition from and up to. columns: int64 (2, c), text and first request.
    several: bool (cores,), whether a core text is in several partitions, so that a column may be
    in its list. listed: entries that a full list keeps. texts, likely: int32 and float32 (cores,
    room), the lists; -inf where there is no entry. held: int64 (cores,), their sizes. floors:
    float32 (cores,), what an entry must exceed.
    """
    for row in range(tile.shape[0]):
        core, own, last = rows[row, 0], rows[row, 1], rows[row, 2]
        for column in range(rows[row, 3], rows[row, 4]):
            value = tile[row, column]
            if value <= floors[core] or columns[1, column] >= last or columns[0, column] == own:
                continue
            size = held[core]
            if several[core] and columns[0, column] in texts[core, :size]:
                continue
            texts[core, size] = columns[0, column]
            likely[core, size] = value
            held[core] = size + 1
            if held[core] == texts.shape[1]:
                floors[core] = _cut(texts[core], likely[core], listed)
                held[core] = listed


@njit(cache=True, nogil=True)
def _cut(texts, likely, listed):  # type: ignore[no-untyped-def]  # compiled
    """Keep the likeliest entries of a full list, of equals the first, and return the lowest."""
    place = len(likely) - listed
    floor = np.partition(likely, place)[place]
    equal = listed
    for one in likely:
        equal -= one > floor
    kept = 0
    for one in range(len(likely)):
        if likely[one] > floor or (likely[one] == floor and equal > 0):
            equal -= likely[one] == floor
            texts[kept], likely[kept] = texts[one], likely[one]
            kept += 1
    likely[kept:] = -np.inf
    return floor
