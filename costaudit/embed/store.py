"""Vectors by text, kept in a folder for each embedder and revision."""

from pathlib import Path

import numpy as np
import polars as pl

from costaudit.contracts.run_dir import atomic_write
from costaudit.errors import RunDirError


class VectorStore:
    """Append-only parts, each written whole or not at all, so that a broken run resumes."""

    def __init__(self, root: Path, embedder: str, revision: str, dimensions: int) -> None:
        safe = "".join(c if c.isalnum() or c in "._" else "-" for c in f"{embedder}-{revision}")
        self.folder = root / safe
        self._dimensions = dimensions

    def load(self, text_ids: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """Give what is stored of `text_ids`: bool (n,) found, and float32 (n, dimensions).

        Rows that are not found are zero. Raises RunDirError where a part can't be read.
        """
        vectors = np.zeros((len(text_ids), self._dimensions), dtype=np.float32)
        found = np.zeros(len(text_ids), dtype=bool)
        wanted = pl.DataFrame({"text_id": text_ids}).with_row_index("place")
        for path in sorted(self.folder.glob("part-*.parquet")):
            part = self._read(path)
            rows = part.with_row_index("row").join(wanted, on="text_id", how="inner")
            places = rows["place"].to_numpy()
            vectors[places] = self._matrix(part, path)[rows["row"].to_numpy()]
            found[places] = True
        return found, vectors

    def append(self, text_ids: pl.Series, vectors: np.ndarray) -> None:
        """Write one more part."""
        taken = [int(path.stem.split("-")[1]) for path in self.folder.glob("part-*.parquet")]
        frame = pl.DataFrame(
            {
                "text_id": text_ids,
                "vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, self._dimensions)),
            }
        )
        with atomic_write(self.folder / f"part-{max(taken, default=0) + 1:06d}.parquet") as path:
            frame.write_parquet(path, compression="uncompressed", statistics=False)

    def _read(self, path: Path) -> pl.DataFrame:
        try:
            return pl.read_parquet(path, columns=["text_id", "vector"])
        except (pl.exceptions.PolarsError, OSError) as error:
            raise RunDirError(
                f"The stored vectors in {path} can't be read: {error}.",
                hint="Delete the file: its texts are then embedded again.",
            ) from None

    def _matrix(self, part: pl.DataFrame, path: Path) -> np.ndarray:
        matrix = part["vector"].to_numpy()
        if matrix.shape != (len(part), self._dimensions):
            raise RunDirError(
                f"The stored vectors in {path} are not {self._dimensions} wide.",
                hint="Delete the file: its texts are then embedded again.",
            )
        return matrix
