"""Content by hash: redacted as asked, and neither decoded nor copied a second time."""

import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Literal

import msgspec
import polars as pl
from msgspec import Raw, Struct
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from costaudit.ingest.calls.call import Buffer, Prompt
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.content.blocks import TEXT, Piece
from costaudit.ingest.content.message import (
    ROLES,
    AnswerKind,
    read_answer,
    read_message,
    read_system,
    read_tools,
)

Redaction = Literal["none", "hash", "mask"]

SECRET_MARKS = (
    "sk-", "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "xox", "AIza", "eyJ", "glpat-",
    "hf_", "-----BEGIN", "earer ", "r8_", "pplx-", "gsk_", "xai-", "_live_", "_test_", "npm_",
)  # fmt: skip
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|\b[Bb]earer [\w.~+/-]{20,}=*"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[\w-]{30,}"
    r"|\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|\bsk-[\w-]{20,}"
    r"|\bxox[abeoprs]-[\w-]{10,}"
    r"|\b(?:gh[opsu]_|github_pat_|glpat-|hf_|r8_|pplx-|gsk_|xai-|npm_)[\w-]{20,}",
    re.DOTALL,
)
ANY_MARK = "|".join(map(re.escape, SECRET_MARKS))
PERSONAL = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[email]"),
    (re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"), "[iban]"),
    (re.compile(r"\b(?:\d[ -]?){12,18}\d\b"), "[card]"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "[ip]"),
    (re.compile(r"(?<![\w.])\+?\(?\d{2,4}\)?(?:[ .-]\d{2,4}){2,4}\b"), "[phone]"),
)


class Redactor:
    """Apply one redaction to contents and to the names of people."""

    def __init__(self, redaction: Redaction) -> None:
        self.redaction = redaction

    def identify(self, kind: str, text: str) -> str:
        """Name a block: 32 hex digits of its kind and content, one-way where it is redacted."""
        data = f"{kind}\0{text}".encode("utf-8", "replace")
        if self.redaction == "none":
            return xxh3_128_hexdigest(data)
        return blake2b(data, digest_size=16).hexdigest()

    def contents(self, texts: Sequence[str]) -> list[str | None]:
        """Give what may be stored of each text."""
        if self.redaction == "hash":
            return [None] * len(texts)
        kept = list(texts)
        marked = pl.Series(kept, dtype=pl.String).str.contains(ANY_MARK)
        for place in marked.arg_true():
            kept[place] = mask_secrets(kept[place])
        return [mask_personal(text) for text in kept] if self.redaction == "mask" else list(kept)

    def names(self, values: pl.Series) -> pl.Series:
        """Give what may be stored of users, tenants or conversations."""
        if self.redaction == "none" and not values.str.contains(ANY_MARK).any():
            return values
        distinct = values.unique().drop_nulls()
        named = pl.Series(list(map(self._name, distinct)), dtype=pl.String)
        return values.replace_strict(distinct, named, default=None, return_dtype=pl.String)

    def _name(self, value: str) -> str:
        if self.redaction == "none":
            return mask_secrets(value)
        if self.redaction == "mask":
            return mask_personal(mask_secrets(value))
        return blake2b(value.encode("utf-8", "replace"), digest_size=8).hexdigest()


def mask_secrets(text: str) -> str:
    """Replace what looks like a key, a token or a private key and has one of the marks."""
    for mark in SECRET_MARKS:
        if mark in text:
            return SECRETS.sub("[secret]", text)
    return text


def mask_personal(text: str) -> str:
    """Replace e-mail addresses, card and account numbers, IP addresses and telephone numbers."""
    for pattern, name in PERSONAL:
        text = pattern.sub(name, text)
    return text


NO_BLOCK = -1
PLAIN_ROLES = frozenset({"system", "developer", "user", "assistant"})


class _Plain(Struct):
    """A message whose content is a text and that has nothing else."""

    role: str
    content: str
    tool_calls: list[Raw] | None = None
    function_call: dict[str, Raw] | None = None
    refusal: str | None = None
    cache_control: dict[str, Raw] | None = None
    prompt_cache_breakpoint: dict[str, Raw] | None = None


# what a message, a system text or a tool list comes to: segments, and whether it is a user's turn
Read = tuple[tuple[int, ...], bool]
# what an answer comes to: its block, NO_BLOCK where there is none, and its kind
ReadAnswer = tuple[int, AnswerKind]
Reader = Callable[[object], list[Piece]]
_decode_plain = msgspec.json.Decoder(_Plain).decode


class Interner:
    """Hold the distinct segments and blocks of one part of a log."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._read: dict[Reader, dict[bytes, Read]] = {
            reader: {} for reader in (read_tools, read_system, read_message)
        }
        self._answers: dict[bytes, ReadAnswer] = {}
        self._segments: dict[tuple[str, int, str | None], int] = {}
        self._blocks: dict[str, int] = {}
        self.segments: list[tuple[str, int, str | None]] = []  # role, block, marker
        self.names: list[str] = []  # of each block its block_id, kind and text
        self.kinds: list[str] = []
        self.texts: list[str] = []
        self.stated_tokens: dict[int, int] = {}  # block → tokens, where the log states them
        self.size = 0  # characters held

    def prompt(self, prompt: Prompt) -> tuple[list[int], int]:
        """List a prompt's segments, and count its user turns."""
        found: list[int] = []
        turns = 0
        if prompt.tools:
            found += self._segments_of(prompt.tools, read_tools)[0]
        if prompt.system:
            found += self._segments_of(prompt.system, read_system)[0]
        seen = self._read[read_message]
        for message in prompt.messages or ():
            read = seen.get(xxh3_128_digest(message))
            if read is None:
                read = self._segments_of(message, read_message)
            found += read[0]
            turns += read[1]
        if prompt.hashes:
            found.extend(self._hashed(prompt.hashes))
        if prompt.auto_marker and found:
            role, block, _ = self.segments[found[-1]]
            found[-1] = self._segment(role, block, prompt.auto_marker)
        return found, turns

    def answer(self, body: Buffer) -> ReadAnswer:
        """Find or make the block of an answer."""
        key = xxh3_128_digest(body)
        known = self._answers.get(key)
        if known is None:
            known = self._answers[key] = self._new_answer(key, body)
        return known

    def _new_answer(self, key: bytes, body: Buffer) -> ReadAnswer:
        plain = _plain(body)
        if plain is not None:
            return self._plain_message(key, plain), "text"
        read = read_answer(_decode(body))
        return (NO_BLOCK if read.piece is None else self._block(*read.piece[:2])), read.kind

    def _segments_of(self, data: Buffer, reader: Reader) -> Read:
        seen = self._read[reader]
        key = xxh3_128_digest(data)
        known = seen.get(key)
        if known is not None:
            return known
        if reader is read_message:
            plain = _plain(data)
            if plain is not None:
                self._plain_message(key, plain)
                return seen[key]
        pieces = reader(_decode(data))
        segments = tuple(
            self._segment(p.role, self._block(p.kind, p.text), p.marker) for p in pieces
        )
        read = seen[key] = segments, any(p.role == "user" for p in pieces)
        return read

    def _plain_message(self, key: bytes, plain: _Plain) -> int:
        """Note a plain message, which an answer may become in the next turn; gives its block."""
        role = ROLES[plain.role]
        block = self._block(TEXT, plain.content)
        self._read[read_message][key] = (self._segment(role, block, None),), role == "user"
        return block

    def _hashed(self, hashes: Sequence[tuple[str, int]]) -> Iterator[int]:
        """Make segments of blocks that the log knows by hash only."""
        for name, tokens in hashes:
            block = self._block("hash", name)
            self.stated_tokens.setdefault(block, tokens)
            yield self._segment("user", block, None)

    def _segment(self, role: str, block: int, marker: str | None) -> int:
        key = (role, block, marker)
        index = self._segments.get(key)
        if index is None:
            index = self._segments[key] = len(self.segments)
            self.segments.append(key)
        return index

    def _block(self, kind: str, text: str) -> int:
        name = self._redactor.identify(kind, text)
        index = self._blocks.get(name)
        if index is None:
            index = self._blocks[name] = len(self.names)
            self.names.append(name)
            self.kinds.append(kind)
            self.texts.append(text)
            self.size += len(text)
        return index


def _plain(data: Buffer) -> _Plain | None:
    """Read the commonest message without building what it does not need; else None."""
    try:
        message = _decode_plain(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if (
        message.role not in PLAIN_ROLES
        or not message.content
        or message.tool_calls
        or message.function_call
        or message.refusal
        or message.cache_control
        or message.prompt_cache_breakpoint
    ):
        return None
    return message


def _decode(data: Buffer) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return parse_lenient(bytes(data))
    except UnreadableError:
        return None
