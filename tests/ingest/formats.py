"""The samples of all formats in the repository."""

from pathlib import Path

FORMATS = Path(__file__).parents[2] / "sample_logs" / "formats"


def sample_of(name: str) -> Path:
    """Find the sample that an expected table belongs to."""
    (found,) = [p for p in FORMATS.glob(f"{name}.*") if p.suffix != ".toml"]
    return found
