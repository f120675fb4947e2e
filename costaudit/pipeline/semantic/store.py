"""Keep in the run directory what later commands need: centres of clusters, and what judges showed.

Both come from texts of the log, so they are beside the vectors and not in the Audit.
"""

from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from costaudit.contracts.run_dir import RunDir, atomic_write
from costaudit.contracts.semantic import ClusterCentres, Misses, SemanticSection
from costaudit.errors import RunDirError
from costaudit.untrusted import check_rows, decoded

_SCALE = 127.0  # of a stored coordinate: vectors of length 1 as 8-bit integers


def write_centres(centres: ClusterCentres | None, run: RunDir) -> None:
    """Write the centres into a run directory; None deletes those of an earlier analysis."""
    if centres is None:
        run.centres_path.unlink(missing_ok=True)
        return
    # Coordinates rarely exceed 0.5, so each row is stretched to its own largest one.
    largest = np.abs(centres.vectors).max(axis=1, keepdims=True)
    whole = np.rint(centres.vectors / np.maximum(largest, 1e-12) * _SCALE).astype(np.int8)
    frame = pl.DataFrame(
        {
            "cluster_id": pl.Series(centres.ids, dtype=pl.String),
            "embedder": centres.embedder,
            "revision": centres.revision,
            "vector": pl.Series(whole, dtype=pl.Array(pl.Int8, whole.shape[1])),
        }
    )
    with atomic_write(run.centres_path) as part:
        frame.write_parquet(part, compression="zstd")


def centres_of(path: Path, section: SemanticSection | None) -> ClusterCentres | None:
    """Return the centres of the run that an Audit's section was read from; None without them.

    `path` is what the user named: a run directory, or an audit.json, which has none. Centres of
    another analysis than the Audit's are left out.
    """
    run = RunDir(path)
    if not path.is_dir() or not run.centres_path.is_file():
        return None
    try:
        check_rows(run.centres_path)
        frame = pl.read_parquet(run.centres_path)
    except (pl.exceptions.PolarsError, OSError, RunDirError):
        return None
    named = section.cluster_labels if section else {}
    if frame.is_empty() or not named.keys() <= set(frame["cluster_id"]):
        return None
    vectors = frame["vector"].to_numpy().astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    embedder, revision = frame.row(0)[1:3]
    return ClusterCentres(embedder, revision, tuple(frame["cluster_id"].to_list()), vectors)


def write_misses(misses: Misses, run: RunDir) -> None:
    """Keep what a judge showed in its run directory, for later analyses."""
    with atomic_write(run.misses_path) as part:
        part.write_bytes(msgspec.json.encode(misses))


def misses_of(run: RunDir) -> Misses | None:
    """Return what the last judge of a run showed; None without one, or if it can't be read."""
    if not run.misses_path.is_file():
        return None
    try:
        found = msgspec.convert(decoded(run.misses_path), Misses)
    except (RunDirError, msgspec.MsgspecError, OSError):
        return None
    counts = (found.missed, found.seen, found.unexplained, found.explained)
    return found if all(0 <= one <= found.verdicts for one in counts) else None
