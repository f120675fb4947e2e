"""Compiled loops over the word ids of texts."""

from numba import njit


@njit(cache=True, nogil=True)
def spread_ids(words, starts, ids, out):  # type: ignore[no-untyped-def]  # compiled
    """Write the ids of each word, one word after the other.

    words: uint32 (n,). starts: int64 (kinds + 1,), where the ids of a word start in `ids`.
    """
    place = 0
    for word in words:
        for one in range(starts[word], starts[word + 1]):
            out[place] = ids[one]
            place += 1


@njit(cache=True, nogil=True)
def sum_rows(texts, starts, ids, table, out):  # type: ignore[no-untyped-def]  # compiled
    """Add the rows of the table for the ids of each text to the text's row of `out`.

    texts: int64 (n,). starts: int64 (all texts + 1,). table: float32 (ids, d). out: float32 (n, d).
    """
    for row in range(len(texts)):
        total = out[row]
        for one in range(starts[texts[row]], starts[texts[row] + 1]):
            added = table[ids[one]]
            for place in range(total.shape[0]):
                total[place] += added[place]
