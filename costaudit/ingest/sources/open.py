"""Make the source that reads a file, by its name."""

from pathlib import Path
from typing import Any

from costaudit.errors import UsageError
from costaudit.ingest.detect import source_of
from costaudit.ingest.sources import BY_NAME
from costaudit.ingest.sources.mapped import Mapped
from costaudit.ingest.sources.mixed import Mixed
from costaudit.ingest.sources.source import Source


def open_source(name: str, mapping: Path | None, address: str = "") -> Source:
    """Make a new reader for one file; raises UsageError for a name that is none."""
    if name == Mapped.name:
        return Mapped.from_file(mapping)
    if name == Mixed.name:
        return Mixed(address, _choose)
    if name not in BY_NAME:
        raise UsageError(
            f"{name!r} is not a log source.", hint=f"Choose one of: {', '.join(sorted(BY_NAME))}."
        )
    return BY_NAME[name](address)


def _choose(record: dict[str, Any]) -> type[Source] | None:
    name, _ = source_of(record)
    return BY_NAME.get(name)
