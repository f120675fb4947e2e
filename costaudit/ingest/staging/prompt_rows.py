"""Compute per call, from the segments of its prompt: tokens, a digest, and marker lifetimes."""

import numpy as np
import numpy.typing as npt
import polars as pl


def prompt_sums(
    flat: npt.NDArray[np.uint32], sizes: npt.NDArray[np.int64], segments: pl.DataFrame
) -> tuple[pl.Series, pl.Series]:
    """Return each prompt's token sum, and a digest of its blocks in order, without tools.

    The digest is a polynomial of the blocks' digests modulo 2^64; null for an empty prompt.
    `flat` holds the segment indices of all prompts, and `sizes` their number for each prompt.
    """
    row = np.repeat(np.arange(len(sizes)), sizes)
    tokens = np.bincount(row, segments["tokens"].fill_null(0).to_numpy()[flat], len(sizes))
    is_tool = (segments["role"] == "tools").to_numpy()
    heads = "".join(segments["block_id"].str.head(16))
    ids = np.frombuffer(bytes.fromhex(heads), ">u8").astype(np.uint64)
    counted = np.cumsum(~is_tool[flat])
    starts = np.cumsum(sizes) - sizes
    before = np.concatenate([[0], counted])[starts]
    powers = POWERS[np.minimum(counted - before[row], len(POWERS) - 1)]
    terms = np.where(is_tool[flat], np.uint64(0), ids[flat] * powers)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    digests = sums[starts + sizes] - sums[starts]
    return (
        pl.Series("prompt_tokens", tokens.astype(np.int64)),
        pl.select(
            pl.when(pl.Series(sizes) > 0).then(pl.Series(digests)).alias("prompt_hash")
        ).to_series(),
    )


MIXED = "mixed"  # a prompt has markers with several lifetimes


def marker_lifetimes(
    flat: npt.NDArray[np.uint32], sizes: npt.NDArray[np.int64], segments: pl.DataFrame
) -> pl.Series:
    """Return the lifetime of each prompt's cache markers; MIXED for several, null for none."""
    markers = segments["cache_marker"]
    lifetimes = markers.drop_nulls().unique().sort()
    row = np.repeat(np.arange(len(sizes)), sizes)
    found = np.zeros((len(lifetimes), len(sizes)), bool)
    for place, lifetime in enumerate(lifetimes):
        marked = (markers == lifetime).fill_null(value=False).to_numpy()
        found[place, row[marked[flat]]] = True
    names = pl.Series([None, *lifetimes, MIXED], dtype=pl.String)
    several = found.sum(axis=0)
    chosen = np.where(several > 1, len(lifetimes) + 1, 0)
    for place in range(len(lifetimes)):
        chosen[(several == 1) & found[place]] = place + 1
    return names.gather(pl.Series(chosen, dtype=pl.UInt32)).alias("marker_ttl")


POWERS = np.cumprod(np.full(4_096, 0x9E3779B97F4A7C15, np.uint64), dtype=np.uint64)
