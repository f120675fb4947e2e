"""Fields of a decoded record, read as what they should be; what is something else is missing."""

from typing import Any

import msgspec

from costaudit.ingest.times import parse_time

MOST = 10**15  # numbers beyond it are no counts, sums or durations
UNNESTINGS = 3  # JSON within JSON strings, at most that deep


def parsed(value: Any) -> Any:
    """Decode a text that holds a JSON object or list, also where it was encoded twice."""
    for _ in range(UNNESTINGS):
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
            break
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            break
    return value


class Fields:
    """Look up fields by any of several names; the first that is there and fits counts."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def __bool__(self) -> bool:
        return bool(self.values)

    def has(self, *names: str) -> bool:
        """Tell whether all of these fields are there."""
        return all(name in self.values for name in names)

    def value(self, *names: str) -> Any:
        """Give the first field that is not null, JSON texts decoded."""
        for name in names:
            found = self.values.get(name)
            if found is not None and found != "":
                return parsed(found)
        return None

    def text(self, *names: str) -> str | None:
        """Give the first field that is a text, or a number as text."""
        for name in names:
            found = self.values.get(name)
            if isinstance(found, str) and found:
                return found
            if isinstance(found, int) and not isinstance(found, bool):
                return str(found)
        return None

    def number(self, *names: str) -> float | None:
        """Give the first field that is a finite number, or a text that is one."""
        for name in names:
            found = self.values.get(name)
            if isinstance(found, bool) or found is None:
                continue
            try:
                number = float(found)
            except (TypeError, ValueError, OverflowError):
                continue
            if abs(number) < MOST:
                return number
        return None

    def integer(self, *names: str) -> int | None:
        """Give the first field that is a whole number."""
        for name in names:
            found = self.number(name)
            if found is not None and found.is_integer():
                return int(found)
        return None

    def time_us(self, *names: str) -> int | None:
        """Give the first field that is a time."""
        return next((t for n in names if (t := parse_time(self.values.get(n))) is not None), None)

    def truth(self, *names: str) -> bool | None:
        """Give the first field that is true or false, or a word for it."""
        for name in names:
            found = self.values.get(name)
            if isinstance(found, bool):
                return found
            if isinstance(found, str) and found.lower() in ("true", "false"):
                return found.lower() == "true"
        return None

    def inner(self, *names: str) -> "Fields":
        """Give the first field that is an object, or a text that holds one; else nothing."""
        for name in names:
            found = parsed(self.values.get(name))
            if isinstance(found, dict):
                return Fields(found)
        return Fields({})

    def items(self, *names: str) -> list[Any]:
        """Give the first field that is a list, or a text that holds one; else nothing."""
        for name in names:
            found = parsed(self.values.get(name))
            if isinstance(found, list):
                return found
        return []
