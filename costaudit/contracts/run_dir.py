"""The run directory: where each stage's result stands, written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from costaudit.contracts.requests import BLOCKS, REQUESTS, SKIPS, check_table
from costaudit.errors import RunDirError, UsageError

MANIFEST_VERSION = 2


class RunDir:
    """Name, read and write the files of one run; see `manifest.json` for what made them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def manifest_path(self) -> Path:
        """Versions, inputs with digests and byte ranges, options, tokenizer, embedder, prices."""
        return self.path / "manifest.json"

    @property
    def requests_path(self) -> Path:
        """REQUESTS."""
        return self.path / "requests.parquet"

    @property
    def blocks_path(self) -> Path:
        """BLOCKS."""
        return self.path / "blocks.parquet"

    @property
    def skips_path(self) -> Path:
        """SKIPS."""
        return self.path / "skips.parquet"

    @property
    def vectors_path(self) -> Path:
        """A folder per embedder and revision."""
        return self.path / "vectors"

    @property
    def signatures_path(self) -> Path:
        """What the trap detectors found in texts, a file per list of texts."""
        return self.path / "signatures"

    @property
    def outcomes_path(self) -> Path:
        """A folder of OUTCOMES tables."""
        return self.path / "outcomes"

    @property
    def audit_path(self) -> Path:
        """The Audit as JSON."""
        return self.path / "audit.json"

    @property
    def report_path(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @staticmethod
    def is_run(path: Path) -> bool:
        """Tell whether `path` is a run directory."""
        return (path / "manifest.json").is_file()

    def requests(self) -> pl.DataFrame:
        """Read REQUESTS whole; raises RunDirError where it is missing or of another version."""
        return self._table(self.requests_path, REQUESTS)

    def blocks(self) -> pl.DataFrame:
        """Read BLOCKS whole; raises RunDirError where it is missing or of another version."""
        return self._table(self.blocks_path, BLOCKS)

    def skips(self) -> pl.DataFrame:
        """Read SKIPS whole; raises RunDirError where it is missing or of another version."""
        return self._table(self.skips_path, SKIPS)

    def manifest(self) -> dict[str, Any]:
        """Read the manifest; raises RunDirError where there is none or it can't be read."""
        try:
            manifest = msgspec.json.decode(self.manifest_path.read_bytes())
        except FileNotFoundError:
            raise RunDirError(
                f"{self.path} is not a run directory: it has no manifest.json.",
                hint="Make one with `costaudit ingest LOG --out DIR`.",
            ) from None
        except msgspec.DecodeError as error:
            raise RunDirError(
                f"{self.manifest_path} can't be read: {error}.", hint="Ingest the log again."
            ) from None
        if not isinstance(manifest, dict) or manifest.get("manifest_version") != MANIFEST_VERSION:
            raise RunDirError(
                f"{self.path} was written by another version of costaudit.",
                hint="Ingest the log again with this version.",
            )
        return manifest

    def manifest_of_any_version(self) -> dict[str, Any]:
        """Read the manifest as it is; return {} where there is none that can be read."""
        try:
            manifest = msgspec.json.decode(self.manifest_path.read_bytes())
        except (OSError, msgspec.DecodeError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def update_manifest(self, **entries: Any) -> None:
        """Set top-level entries of the manifest; keep the others, unless another version's."""
        manifest = self.manifest_of_any_version()
        if manifest.get("manifest_version") != MANIFEST_VERSION:
            manifest = {}
        manifest.update(entries, manifest_version=MANIFEST_VERSION)
        ordered = dict(sorted(manifest.items()))
        text = msgspec.json.format(msgspec.json.encode(ordered), indent=2)
        with atomic_write(self.manifest_path) as path:
            path.write_bytes(text + b"\n")

    def _table(self, path: Path, schema: pl.Schema) -> pl.DataFrame:
        if not path.is_file():
            raise RunDirError(
                f"{self.path} has no {path.name}.",
                hint=f"Make it with `costaudit ingest LOG --out {self.path}`.",
            )
        try:
            frame = pl.read_parquet(path)
        except pl.exceptions.PolarsError as error:
            raise RunDirError(
                f"{path} can't be read: {error}.", hint="Ingest the log again."
            ) from None
        check_table(frame, schema, path.name)
        return frame


def write_table(frame: pl.DataFrame, path: Path, schema: pl.Schema) -> None:
    """Write a table whole or not at all, after checking it against its schema."""
    check_table(frame, schema, path.name)
    with atomic_write(path) as part:
        frame.write_parquet(part, compression="zstd")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; put it in place at the end, or leave nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise UsageError where no file can be put at `path`; missing folders are no fault."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", hint="Name a file to write.")
    folder = next(one for one in path.absolute().parents if one.exists())
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is a file, so {path} can't be written.", hint="Name another place."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"{folder} can't be written to.", hint="Name another place, or change its permissions."
        )
