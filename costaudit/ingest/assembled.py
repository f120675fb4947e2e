"""Whether a run's tables are already those that its staged pieces would give."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from xxhash import xxh3_128_hexdigest

from costaudit.contracts.run_dir import RunDir
from costaudit.errors import RunDirError
from costaudit.ingest.options import IngestSummary
from costaudit.ingest.pieces import Pieces

_RANGES = ("layout", "ranges")  # of an input in the manifest, not of its file's summary


def staged_key(pieces: Pieces, no_logs: Sequence[str], dedupe: bool) -> str:
    """Digest all that the tables follow from: the pieces, files that are no logs, this version."""
    files = [(file.state, file.spans) for file in pieces.files]
    told = msgspec.json.encode((version("costaudit"), files, sorted(no_logs), dedupe))
    return xxh3_128_hexdigest(told)


def table_stamps(run: RunDir) -> dict[str, list[int]]:
    """Give the size and the time of writing of each table; empty where one is missing."""
    tables = (run.requests_path, run.blocks_path, run.skips_path)
    if not all(table.is_file() for table in tables):
        return {}
    return {table.name: _stamp(table) for table in tables}


def _stamp(table: Path) -> list[int]:
    status = table.stat()
    return [status.st_size, status.st_mtime_ns]


def earlier_summary(run: RunDir, key: str) -> IngestSummary | None:
    """Give what the ingest that wrote the tables said of them; None where they are to be written.

    They are where pieces were added, another version wrote them, or they changed since.
    """
    try:
        manifest: dict[str, Any] = run.manifest()
        told = dict(manifest["ingest"])
        made = told.pop("made", None)
        if made != {"key": key, "tables": table_stamps(run)}:
            return None
        del told["options"]
        files = [
            {name: value for name, value in one.items() if name not in _RANGES}
            for one in manifest["inputs"]
        ]
        return msgspec.convert({**told, "files": files, "read_bytes": 0}, IngestSummary)
    except (RunDirError, KeyError, TypeError, msgspec.ValidationError):
        return None
