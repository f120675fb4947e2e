"""Decide what may be stored of contents, people's names and every other text of a call."""

import os
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import polars as pl
from xxhash import xxh3_128, xxh3_128_hexdigest

from costaudit.contracts.manifest import RedactionMode
from costaudit.ingest.content.masking import ANY_MARK, Masking

KEY_VARIABLE = "COSTAUDIT_REDACTION_KEY"
KEY_BYTES = 32
AT_ONCE = 8_192  # texts that are copied at once to search them
LONG = 1 << 20  # texts with more characters are encoded in parts
MOST_STORED = 64 << 20  # characters; of a longer text we keep only the id and count
SHARED_NAMES = ("account", "agent", "branch", "cache_key", "response_format")
WORDS = ("provider", "region", "service_tier", "client_version", "cost_unit", "auto_cache_ttl")
MADE_HERE = ("source", "half", "kind", "convention", "usage_source", "status", "served_by")


@dataclass(frozen=True)
class Redaction:
    """How texts are redacted, and with which key; the key is never written into a run."""

    mode: RedactionMode = "none"
    key: bytes = b""

    @property
    def key_digest(self) -> str:
        """Return a digest that identifies the key without showing it; "" if there is no key."""
        return blake2b(b"digest", key=self.key, digest_size=8).hexdigest() if self.key else ""


def redaction_of(mode: RedactionMode, run: Path) -> Redaction:
    """Return the redaction of a run, with a key that only this user has.

    Each run has its own key, so tokens of two runs can't be joined. The key is derived from the
    run's path and a secret outside the run: COSTAUDIT_REDACTION_KEY, or a file in the user's state
    directory. If that file can't be written, the key is lost when this process ends.
    """
    if mode == "none":
        return Redaction()
    secret = os.environ.get(KEY_VARIABLE, "").encode() or _stored_secret()
    path = str(run.absolute()).encode("utf-8", "surrogateescape")
    key = blake2b(path, key=blake2b(secret, digest_size=KEY_BYTES).digest(), digest_size=KEY_BYTES)
    return Redaction(mode, key.digest())


def key_path() -> Path:
    """Return the path of the file with the user's secret; it is outside every run."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "costaudit" / "redaction.key"


def _stored_secret() -> bytes:
    try:
        path = key_path()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    except (OSError, RuntimeError):  # the file exists already or can't be created
        pass
    try:
        return key_path().read_bytes() or secrets.token_bytes(KEY_BYTES)
    except (OSError, RuntimeError):
        return secrets.token_bytes(KEY_BYTES)


class Redactor:
    """Apply one redaction to every field of a call that can hold text."""

    def __init__(self, redaction: Redaction) -> None:
        self.mode, self._key = redaction.mode, redaction.key
        self._masking = Masking(redaction.key)

    def identify(self, kind: str, text: str) -> str:
        """Return a block's id: 32 hex digits, a hash of its kind and its original content.

        Two contents that differ only in masked parts stay two blocks. The id is a keyed hash if
        content is redacted.
        """
        if len(text) > LONG:
            return self._identify_long(kind, text)
        data = f"{kind}\0{text}".encode("utf-8", "replace")
        if self.mode == "none":
            return xxh3_128_hexdigest(data)
        return blake2b(data, key=self._key, digest_size=16).hexdigest()

    def _identify_long(self, kind: str, text: str) -> str:
        """Return the same id as `identify` for a long block, without copying all of it."""
        plain = self.mode == "none"
        digest = xxh3_128() if plain else blake2b(key=self._key, digest_size=16)
        digest.update(f"{kind}\0".encode())
        for start in range(0, len(text), LONG):
            digest.update(text[start : start + LONG].encode("utf-8", "replace"))
        return digest.hexdigest()

    def contents(self, texts: Sequence[str], longest: int = MOST_STORED) -> list[str | None]:
        """Return what may be stored of each text; None if nothing may, or if it is too long."""
        if self.mode == "hash":
            return [None] * len(texts)
        if max(map(len, texts), default=0) > longest:
            kept = [text if len(text) <= longest else None for text in texts]
            short = iter(self.contents([text for text in kept if text is not None]))
            return [None if text is None else next(short) for text in kept]
        if self.mode == "mask":
            return [self._masking.mask(text) for text in texts]
        kept = list(texts)
        for start in range(0, len(kept), AT_ONCE):
            part = pl.Series(kept[start : start + AT_ONCE], dtype=pl.String)
            for place in part.str.contains(ANY_MARK).arg_true():
                kept[start + place] = self._masking.mask_secrets(kept[start + place])
        return list(kept)

    def names(self, values: pl.Series) -> pl.Series:
        """Return what may be stored of users, tenants, conversations, and ids of calls."""
        return self._each(values, self._hashed if self.mode == "hash" else self._masking.mask)

    def file_name(self, name: str) -> str:
        """Return the part of a file's name that may be shown."""
        return name if self.mode == "none" else self._masking.mask(name)

    def address(self, address: str) -> str:
        """Return what may be stored of a file's address: enough to recognise the file."""
        if self.mode == "none":
            return address.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return self._hashed(address)

    def labels(self, values: pl.Series) -> pl.Series:
        """Return what may be stored of short texts that a reader must still understand."""
        return self._each(values, self._masking.mask)

    def words(self, values: pl.Series) -> pl.Series:
        """Return single words, such as regions; any other text is redacted like a name."""
        return self._each(values, self._word)

    def routes(self, values: pl.Series) -> pl.Series:
        """Return endpoints as routes, without query strings and ids."""
        return self._each(values, lambda text: self._masking.mask(route_of(text)))

    def errors(self, values: pl.Series) -> pl.Series:
        """Return the types of errors; any other text becomes `error`."""
        return self._each(values, self._error)

    def shared(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Redact every text column of many calls, except models, which are product names."""
        tags = calls["tags"].explode().unique().drop_nulls()
        others = set(calls.columns) - {*SHARED_NAMES, *WORDS, *MADE_HERE, *_SPECIAL}
        labels = [name for name in others if calls.schema[name] == pl.String]
        return calls.with_columns(
            *(self.names(calls[name]) for name in SHARED_NAMES),
            *(self.words(calls[name]) for name in WORDS),
            *(self.labels(calls[name]) for name in labels),
            self.routes(calls["endpoint"]),
            self.errors(calls["error"]),
            pl.col("tags").list.eval(pl.element().replace(tags, self.names(tags))),
        )

    def _word(self, text: str) -> str:
        if self._masking.mask(text) == text and _WORD.fullmatch(text):
            return text
        return self._hashed(text) if self.mode == "hash" else self._masking.mask(text)

    def _error(self, text: str) -> str:
        masked = self._masking.mask(text)
        return text if masked == text and _ERROR_TYPE.fullmatch(text) else "error"

    def _each(self, values: pl.Series, redacted: Callable[[str], str]) -> pl.Series:
        """Apply a redaction to the distinct values; if redaction is off, remove only secrets."""
        if self.mode == "none":
            if not values.str.contains(ANY_MARK).any():
                return values
            redacted = self._masking.mask_secrets
        distinct = values.unique().drop_nulls()
        new = pl.Series(list(map(redacted, distinct)), dtype=pl.String)
        return values.replace_strict(distinct, new, default=None, return_dtype=pl.String)

    def _hashed(self, value: str) -> str:
        data = value.encode("utf-8", "replace")
        return blake2b(data, key=self._key, digest_size=8).hexdigest()


_SPECIAL = ("model", "endpoint", "error", "tags")  # see `Redactor.shared`
_WORD = re.compile(r"[\w.:/+-]{1,60}")
_ERROR_TYPE = re.compile(r"[A-Za-z][A-Za-z_.-]{0,60}|\d{3}")
_VERSION = re.compile(r"v\d+(?:\.\d+)?(?:alpha|beta)?\d*")
_ID = re.compile(
    r"(?=.*\d)(?:[0-9a-fA-F]{8,}|[A-Za-z0-9_~]{16,}|\d{3,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-\w{12})"
    r"|.*(?:@|%40).*"
)


def route_of(endpoint: str) -> str:
    """Return an endpoint as a route: without its query string, and with ids as `:id`."""
    path = re.split(r"[?#;]", endpoint, maxsplit=1)[0]
    parts = (
        ":id" if _ID.fullmatch(part) and not _VERSION.fullmatch(part) else part
        for part in path.split("/")
    )
    return "/".join(parts)
