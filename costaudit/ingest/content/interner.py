"""Store content by hash, without decoding or copying it twice."""

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Raw, Struct
from xxhash import xxh3_128_digest

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
from costaudit.ingest.content.redaction import Redactor

NO_BLOCK = -1
PLAIN_ROLES = frozenset({"system", "developer", "user", "assistant"})


class _Plain(Struct):
    """A message that has a text as content and no other fields."""

    role: str
    content: str
    tool_calls: list[Raw] | None = None
    function_call: dict[str, Raw] | None = None
    refusal: str | None = None
    cache_control: dict[str, Raw] | None = None
    prompt_cache_breakpoint: dict[str, Raw] | None = None


# the result for a message, system text or tool list: segments, and whether it is a user turn
Read = tuple[tuple[int, ...], bool]
# the result for an answer: its block (NO_BLOCK if there is none) and its kind
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
        self.names: list[str] = []  # block_id, kind and text of each block
        self.kinds: list[str] = []
        self.texts: list[str] = []
        self.stated_tokens: dict[int, int] = {}  # block → tokens, if the log states them
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
        """Store a plain message and return its block; an answer may become one in the next turn."""
        role = ROLES[plain.role]
        block = self._block(TEXT, plain.content)
        self._read[read_message][key] = (self._segment(role, block, None),), role == "user"
        return block

    def _hashed(self, hashes: Sequence[tuple[str, int, str]]) -> Iterator[int]:
        """Make segments from blocks whose hash is all that the log has."""
        for name, tokens, role in hashes:
            block = self._block("hash", name)
            self.stated_tokens.setdefault(block, tokens)
            yield self._segment(role, block, None)

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
    """Read a plain message, the most common kind, the fast way; None for other messages."""
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
