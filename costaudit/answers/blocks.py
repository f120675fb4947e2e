"""Groups of requests that are resampled together, because hits depend on one another."""

import numpy as np
import numpy.typing as npt
import polars as pl

_MOST = 500  # blocks; more are merged, which only widens the intervals
_HOUR_S = 3600.0
_TURNS = 1.5  # requests per conversation from which conversations are the blocks


def blocks_of(requests: pl.DataFrame) -> npt.NDArray[np.int32]:
    """Number the block of each request: its conversation, or its hour where there are none.

    Conversations beyond the limit are dealt out over the blocks in order of appearance; hours
    are merged with their neighbours. A log without times falls into runs of successive requests.
    """
    named = requests["conversation"]
    count = named.n_unique()
    if named.null_count() < 0.5 * len(named) and len(named) >= _TURNS * count:
        order = named.fill_null("").rank("dense").cast(pl.Int64).to_numpy()
        first = np.unique(order, return_index=True)[1]
        rank = np.argsort(np.argsort(first))
        return deal(np.asarray(rank[order - 1]))
    seconds = (requests["ts"].dt.epoch("us").cast(pl.Float64) / 1e6).to_numpy()
    if np.isnan(seconds).any() or not len(seconds):
        return (np.arange(len(seconds)) * _MOST // max(len(seconds), 1)).astype(np.int32)
    hours = np.unique((seconds // _HOUR_S).astype(np.int64), return_inverse=True)[1].reshape(-1)
    total = int(hours.max()) + 1
    return (hours * min(total, _MOST) // total).astype(np.int32)


def deal(groups: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Deal groups out over as many blocks as are allowed; without gaps in their numbers."""
    dense = np.unique(groups, return_inverse=True)[1].reshape(-1)
    return np.asarray(dense % _MOST, np.int32)


def resample(blocks: int, replicates: int, seed: int) -> npt.NDArray[np.float64]:
    """Draw how often each block stands in each replicate, (replicates + 1, blocks).

    The first row is the log as it is: every block once.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=replicates)
    return np.vstack([np.ones(blocks), drawn])


def weighted(
    place: npt.NDArray[np.int64],
    block: npt.NDArray[np.int32],
    weight: npt.NDArray[np.float64],
    places: int,
    held: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """Count rows per place in every replicate, (replicates, places); `held` weighs the rows."""
    used, where = np.unique(place, return_inverse=True)
    blocks = weight.shape[1]
    flat = np.bincount(block.astype(np.int64) * len(used) + where.reshape(-1),
                       held, minlength=blocks * len(used))  # fmt: skip
    out = np.zeros((len(weight), places))
    out[:, used] = weight @ flat.reshape(blocks, len(used)).astype(np.float64)
    return out
