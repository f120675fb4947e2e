"""The centres of a run's clusters: `compare` recognises topics of another run by them.

They are in a file beside the vectors, not in the Audit: a centre comes from the texts of its
cluster, and an Audit is shared more widely than a run directory.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.audit import Audit
from costaudit.contracts.run_dir import RunDir, atomic_write

_SCALE = 127.0  # of a stored coordinate: vectors of length 1 as 8-bit integers


@dataclass(frozen=True)
class ClusterCentres:
    """The centre of each cluster of a run, the small ones included."""

    embedder: str
    revision: str
    ids: tuple[str, ...]  # cluster ids, as in the Audit
    vectors: npt.NDArray[np.float32]  # (clusters, dimensions), of length 1

    def matched(self, other: "ClusterCentres", least: float) -> frozenset[str]:
        """Return the ids of clusters whose centre has a similarity of `least` to one of `other`."""
        if not len(self.ids) or not len(other.ids):
            return frozenset()
        nearest = (self.vectors @ other.vectors.T).max(axis=1)
        return frozenset(one for one, near in zip(self.ids, nearest, strict=True) if near >= least)

    def comparable(self, other: "ClusterCentres") -> bool:
        """Return whether both come from the same embedder."""
        return (self.embedder, self.revision) == (other.embedder, other.revision)


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


def centres_of(path: Path, audit: Audit) -> ClusterCentres | None:
    """Return the centres of the run that an Audit was read from; None without them.

    `path` is what the user named: a run directory, or an audit.json, which has none. Centres of
    another analysis than the Audit's are left out.
    """
    run = RunDir(path)
    if not path.is_dir() or not run.centres_path.is_file():
        return None
    try:
        frame = pl.read_parquet(run.centres_path)
    except (pl.exceptions.PolarsError, OSError):
        return None
    named = {row.cluster_id for row in (audit.semantic.clusters if audit.semantic else ())}
    if frame.is_empty() or not named <= set(frame["cluster_id"]):
        return None
    vectors = frame["vector"].to_numpy().astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    embedder, revision = frame.row(0)[1:3]
    return ClusterCentres(embedder, revision, tuple(frame["cluster_id"].to_list()), vectors)
