"""Parse addresses of caches and models, with their options, and print them without credentials."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from costaudit.errors import UsageError

SECRET_PARTS = ("key", "token", "password", "secret", "auth")


@dataclass(frozen=True)
class Address:
    """A URL without its query options."""

    url: str  # with credentials: never print it
    options: dict[str, str]  # of the query, by name
    printable: str  # without credentials

    def option(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Return an option with few allowed values; raises UsageError for any other."""
        value = self.options.get(name, default)
        if value not in allowed:
            raise UsageError(
                f"{self.printable} has {name}={value}.", hint=f"Choose from {', '.join(allowed)}."
            )
        return value

    def number(self, name: str, default: float, *, zero: bool = False) -> float:
        """Return a numeric option above 0, or from 0 on with `zero`."""
        text = self.options.get(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = -1.0
        if not (value > 0 or (zero and value == 0)):
            raise UsageError(f"{self.printable} has {name}={text}.", hint="Write a number above 0.")
        return value


def parse_address(text: str, known: tuple[str, ...]) -> Address:
    """Return a parsed URL; raises UsageError for an option that is not in `known`."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError(
            "The address can't be understood.", hint="Write one such as redis://host:6379."
        ) from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    host = parts.hostname or ""
    shown_host = f"[{host}]" if ":" in host else host
    netloc = shown_host + (f":{port}" if port else "")
    shown = {name: _shown(name, value) for name, value in sorted(options.items())}
    printable = urlunsplit((parts.scheme, netloc, parts.path, urlencode(shown, safe="*:/"), ""))
    for name in options:
        if name not in known:
            raise UsageError(
                f"{printable} has an unknown option {name!r}.",
                hint=f"Known are {', '.join(known)}." if known else "It takes none.",
            )
    return Address(urlunsplit(parts._replace(query="", fragment="")), options, printable)


def _shown(name: str, value: str) -> str:
    if any(part in name.lower() for part in SECRET_PARTS):
        return "***"
    return value.rpartition("@")[2] if "://" in value else value
