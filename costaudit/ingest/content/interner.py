"""Content by hash: what was seen before is neither decoded nor copied again."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct
from xxhash import xxh3_128_digest

from costaudit.ingest.call import Buffer, Prompt
from costaudit.ingest.content.message import (
    ROLES,
    AnswerKind,
    AnswerText,
    read_answer,
    read_message,
    read_system,
    read_tools,
)
from costaudit.ingest.content.piece import MEDIA, TEXT, Piece
from costaudit.ingest.content.redact import Redactor
from costaudit.ingest.lenient import UnreadableError, parse_lenient

MESSAGE, SYSTEM, TOOLS, ANSWER = 1, 2, 3, 4  # seeds: the same bytes mean different things
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


class Read(NamedTuple):
    """What a message, a system text or a tool list comes to."""

    segments: tuple[int, ...]  # indices into the interner's segments
    is_user_turn: bool


class Content(NamedTuple):
    """A distinct block, still with its text."""

    name: str  # block_id
    kind: str
    text: str
    is_media: bool
    tokens: int | None  # where the log states them


class ReadAnswer(NamedTuple):
    """What an answer comes to."""

    block: int  # index into the interner's blocks; NO_BLOCK where there is none
    kind: AnswerKind


_decode_plain = msgspec.json.Decoder(_Plain).decode


class Interner:
    """Hold the distinct segments and blocks of one part of a log."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._seen: dict[bytes, Read] = {}
        self._answers: dict[bytes, ReadAnswer] = {}
        self._segments: dict[tuple[str, int, str | None], int] = {}
        self._blocks: dict[str, int] = {}
        self.segments: list[tuple[str, int, str | None]] = []  # role, block, marker
        self.blocks: list[Content] = []
        self.size = 0  # characters held

    def prompt(self, prompt: Prompt) -> tuple[list[int], int]:
        """List a prompt's segments, and count its user turns."""
        found: list[int] = []
        turns = 0
        if prompt.tools:
            found.extend(self._read(prompt.tools, TOOLS).segments)
        if prompt.system:
            found.extend(self._read(prompt.system, SYSTEM).segments)
        seen = self._seen
        for message in prompt.messages or ():
            read = seen.get(xxh3_128_digest(message, MESSAGE))
            if read is None:
                read = self._read(message, MESSAGE)
            found += read.segments
            turns += read.is_user_turn
        if prompt.hashes:
            found.extend(self._hashed(prompt.hashes))
        if prompt.auto_marker and found:
            role, block, _ = self.segments[found[-1]]
            found[-1] = self._segment(role, block, prompt.auto_marker)
        return found, turns

    def answer(self, body: Buffer) -> ReadAnswer:
        """Find or make the block of an answer."""
        key = xxh3_128_digest(body, ANSWER)
        known = self._answers.get(key)
        if known is None:
            plain = _plain(body)
            read = read_answer(_decode(body)) if plain is None else AnswerText("text", plain)
            block = NO_BLOCK if read.piece is None else self._block(read.piece)
            known = self._answers[key] = ReadAnswer(block, read.kind)
        return known

    def _read(self, data: Buffer, slot: int) -> Read:
        key = xxh3_128_digest(data, slot)
        known = self._seen.get(key)
        if known is not None:
            return known
        if slot == MESSAGE:
            plain = _plain(data)
            pieces = read_message(_decode(data)) if plain is None else [plain]
        else:
            pieces = (read_system if slot == SYSTEM else read_tools)(_decode(data))
        segments = tuple(self._segment(p.role, self._block(p), p.marker) for p in pieces)
        is_user_turn = any(p.role == "user" for p in pieces)
        read = self._seen[key] = Read(segments, is_user_turn)
        return read

    def _hashed(self, hashes: Sequence[tuple[str, int]]) -> Iterator[int]:
        """Make segments of blocks that the log knows by hash only."""
        for name, tokens in hashes:
            block = self._block(Piece("hash", name), tokens)
            yield self._segment("user", block, None)

    def _segment(self, role: str, block: int, marker: str | None) -> int:
        key = (role, block, marker)
        index = self._segments.get(key)
        if index is None:
            index = self._segments[key] = len(self.segments)
            self.segments.append(key)
        return index

    def _block(self, piece: Piece, tokens: int | None = None) -> int:
        name = self._redactor.identify(piece.kind, piece.text)
        index = self._blocks.get(name)
        if index is None:
            index = self._blocks[name] = len(self.blocks)
            self.blocks.append(Content(name, piece.kind, piece.text, piece.kind in MEDIA, tokens))
            self.size += len(piece.text)
        return index


def _plain(data: Buffer) -> Piece | None:
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
    return Piece(TEXT, message.content, ROLES[message.role])


def _decode(data: Buffer) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return parse_lenient(bytes(data))
    except UnreadableError:
        return None
