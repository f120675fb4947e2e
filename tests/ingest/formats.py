"""Sample files of every format in the repository."""

from pathlib import Path

FORMATS = Path(__file__).parents[2] / "sample_logs" / "formats"


def sample_of(name: str) -> Path:
    """Return the sample file that belongs to an expected table."""
    (found,) = [p for p in FORMATS.glob(f"{name}.*") if p.suffix != ".toml"]
    return found
