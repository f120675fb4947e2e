"""Times as logs write them, read as microseconds since 1970 in UTC."""

from datetime import UTC, datetime, timedelta
from math import isfinite

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EARLIEST_US = 1_262_304_000_000_000  # 2010: what lies before is no time of a model call
LATEST_US = 4_102_444_800_000_000  # 2100


def parse_time(value: object) -> int | None:
    """Read an epoch number of any unit or an ISO 8601 text; a naive text is taken as UTC.

    Numbers are told apart by size: below 1e11 seconds, 1e14 ms, 1e17 µs, else ns.
    """
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _plausible(_from_number(value))


def _parse_text(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _parse_odd_text(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _plausible((moment - EPOCH) // MICROSECOND)


def _parse_odd_text(text: str) -> int | None:
    try:
        number = int(text) if text.isdigit() else float(text)
    except ValueError:
        pass
    else:
        return _plausible(_from_number(number))
    if text.endswith(" UTC"):
        return _parse_text(text.removesuffix(" UTC"))
    return None


def _from_number(value: int | float) -> int | None:
    if isinstance(value, float) and not isfinite(value):
        return None
    size = abs(value)
    if size < 1e11:
        return round(value * 1_000_000)
    if size < 1e14:
        return round(value * 1_000)
    if size < 1e17:
        return round(value)
    return int(value) // 1_000


def _plausible(value_us: int | None) -> int | None:
    if value_us is None or not EARLIEST_US <= value_us < LATEST_US:
        return None
    return value_us


def span_ms(start_us: int | None, end_us: int | None) -> float | None:
    """Measure from start to end; None where one is missing or they stand in the wrong order."""
    if start_us is None or end_us is None or end_us < start_us:
        return None
    return (end_us - start_us) / 1_000
