"""The caches of docs/examples, and a log with tenants that they know by name."""

from pathlib import Path

from tests.replay.conftest import Log

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def scoped(log: Log) -> Log:
    """Return the log with each partition as a tenant that the application knows by name."""
    scopes = [{"tenant": f"t{one}"} for one in log.stream.partitions.tolist()]
    object.__setattr__(log.stream, "scopes", scopes)
    return log
