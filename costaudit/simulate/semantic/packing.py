"""Pack a similar pair into one integer that sorts by row, falling similarity, and column.

Both the kernels and the code around them read pairs, so the layout is defined only here.
"""

import numpy as np

COLUMN_BITS = 22  # nodes in a segment
SIMILARITY_BITS = 30  # float32 bits of 1.0 minus those of the similarity: the order is reversed
ROW_BITS = 11  # rows of a block
MAX_NODES = 1 << COLUMN_BITS
MAX_ROWS = 1 << ROW_BITS
COLUMN_MASK = MAX_NODES - 1
SIMILARITY_MASK = (1 << SIMILARITY_BITS) - 1
ROW_SHIFT = COLUMN_BITS + SIMILARITY_BITS
ONE_BITS = 0x3F800000  # 1.0 as float32


def depth(similarity: np.ndarray) -> np.ndarray:
    """Turn float32 similarities in [0, 1] into int64 depths, which grow as similarity falls."""
    bits = np.ascontiguousarray(similarity, dtype=np.float32).view(np.int32)
    return ONE_BITS - bits.astype(np.int64)


def from_depth(depths: np.ndarray) -> np.ndarray:
    """Turn depths back into similarities, as float32."""
    return (ONE_BITS - depths).astype(np.int32).view(np.float32)


def pack(rows: np.ndarray, depths: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Pack pairs as int64; sorting them orders by row, falling similarity, column."""
    return (
        (rows.astype(np.int64) << ROW_SHIFT)
        | (depths.astype(np.int64) << COLUMN_BITS)
        | columns.astype(np.int64)
    )


def row_starts(packed: np.ndarray, rows: int) -> np.ndarray:
    """Return where each row's pairs start in sorted packed pairs, as int64 (rows + 1,)."""
    return np.searchsorted(packed >> ROW_SHIFT, np.arange(rows + 1)).astype(np.int64)
