"""A fast path for plain request/response pairs: their shared fields are read only once."""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from costaudit.ingest.calls.call import NOTHING, Buffer, Call, Prompt, Record
from costaudit.ingest.calls.exchange import is_bedrock
from costaudit.ingest.calls.fields import MOST_TOKENS, parse_time, present
from costaudit.ingest.calls.money import decimal_of
from costaudit.ingest.calls.names import Labels, labels_of
from costaudit.ingest.calls.pair import read_pair
from costaudit.ingest.calls.usage import split_writes
from costaudit.ingest.files.records import Lines
from costaudit.ingest.staging.fast_bodies import (
    ChatPair,
    ChatRequest,
    ChatUsage,
    MessagesPair,
    MessagesRequest,
    MessagesUsage,
)
from costaudit.ingest.staging.piece_tables import OWN
from costaudit.ingest.staging.piece_writer import PieceWriter, own_of

Counts = tuple[int | str | None, ...]  # the columns from `input` to `total` of piece_tables.OWN
MOST_KINDS = 4_096  # in a piece; further kinds take the slow path
PATIENCE = 1_000  # how far other records may outnumber plain ones before we stop trying
UNKNOWN = -1
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
NO_LABELS = Labels()
ID, COST = list(OWN).index("native_id"), list(OWN).index("logged_cost")
WRAPPER = (
    "provider", "endpoint", "route", "region", "service_tier", "attempt", "is_batch", "status",
    "status_code", "http_status", "cache_status", "cache_hit", "cached", "request.model",
    "request.temperature", "request.stream", "request.service_tier", "response.model",
)  # fmt: skip


class Plain(NamedTuple):
    """How to read the plain pairs of one API."""

    decode: Callable[[bytes | Raw], Any]
    decode_lines: Callable[[bytes], list[Any]]
    shared: Callable[[Any], tuple[Any, ...]]  # the fields of a pair that determine SHARED
    answer: Callable[[Any], Buffer]
    counts: Callable[[Any], Counts | None]
    settings: Callable[[Any], tuple[object, ...]]  # of a request, such as its tool choice


class PlainReader:
    """Read plain pairs into a piece, and leave all other records to their source.

    Pairs of one kind differ only in the OWN columns and in content. The first pair of a kind is
    also read by the slow path; if the results differ, the whole kind is left to the source.
    """

    def __init__(self, plain: Plain, source: str, writer: PieceWriter) -> None:
        self._plain = plain
        self._source = source
        self._writer = writer
        self._patience = PATIENCE
        self.taken = 0  # pairs read by the last call of `others`

    def others(self, lines: Lines) -> Iterator[Record]:
        """Read the plain pairs among some lines, counting them in `taken`; yield the others."""
        self.taken = 0
        if self._patience == 0:
            yield from lines.records()
            return
        places = lines.places()
        pairs = self._decoded(lines.text)
        if len(pairs) != len(places):
            yield from self._one_by_one(lines)
            return
        for pair, place in zip(pairs, places, strict=True):
            start, end = place
            if not self._take(pair, lines.offset + start, lines.text, place):
                yield Record(lines.offset + start, 0, lines.text[start:end])

    def _decoded(self, text: bytes) -> list[Any]:
        """Decode all lines at once; return [] if one of them is not a plain pair."""
        try:
            return self._plain.decode_lines(text)
        except UNREADABLE:
            return []

    def _one_by_one(self, lines: Lines) -> Iterator[Record]:
        for record in lines.records():
            try:
                pair = self._plain.decode(record.data) if self._patience else None
            except UNREADABLE:
                self._patience -= 1
                pair = None
            whole = (0, len(record.data))
            if pair is None or not self._take(pair, record.offset, record.data, whole):
                yield record

    def _take(self, pair: Any, offset: int, text: Buffer, place: tuple[int, int]) -> bool:
        moment = parse_time(pair.ts or pair.timestamp)
        counts = self._plain.counts(pair.response.usage)
        answer = self._plain.answer(pair)
        if moment is None or counts is None or not (answer and pair.request.messages):
            return False
        prompt = _prompt(pair.request)
        outer = labels_of(pair.metadata) if pair.metadata else NO_LABELS
        inner = labels_of(pair.request.metadata) if pair.request.metadata else NO_LABELS
        own = _own(pair, moment, counts, inner, outer)
        labels = (inner.endpoint, outer.endpoint)
        settings = self._plain.settings(pair.request)
        kind = (self._plain.shared(pair), own[COST] is None, is_bedrock(own[ID]), labels, settings)
        template = self._writer.templates.get(kind, UNKNOWN)
        if template == UNKNOWN:
            template = self._learn(bytes(text)[slice(*place)], own, prompt, answer)
            self._writer.templates[kind] = template
        if template is None:
            return False
        self._writer.add_like(template, (offset, 0), own, prompt, answer)
        self.taken += 1
        self._patience = min(self._patience + 1, PATIENCE)
        return True

    def _learn(
        self, data: bytes, own: tuple[Any, ...], prompt: Prompt, answer: Buffer
    ) -> int | None:
        if len(self._writer.templates) >= MOST_KINDS:
            return None
        call = read_pair(data)
        if not isinstance(call, Call) or own_of(call) != own or call.prompt != prompt:
            return None
        is_alike = bytes(call.answer) == bytes(answer)
        return self._writer.template(self._source, call) if is_alike else None


def plain_reader(source: str, writer: PieceWriter) -> PlainReader | None:
    """Return a reader of the source's plain pairs; None if the source has no fast path."""
    plain = PLAIN.get(source)
    return None if plain is None else PlainReader(plain, source, writer)


def _own(
    pair: ChatPair | MessagesPair, moment: int, counts: Counts, inner: Labels, outer: Labels
) -> tuple[Any, ...]:
    user = pair.user or pair.user_id or inner.user or pair.request.user
    conversation = pair.conversation or pair.conversation_id or pair.session_id
    return (
        pair.response.id or None,
        None,
        None,
        moment,
        None,
        pair.tenant or pair.tenant_id or inner.tenant or outer.tenant,
        user or outer.user,
        conversation or inner.conversation or outer.conversation,
        *counts,
        decimal_of(pair.cost_usd) if pair.cost_usd else None,
        pair.latency_ms or None,
        pair.ttft_ms,
        pair.session_id or None,
        None,
        None,
        None,
        None,
        None,
    )


def _prompt(request: ChatRequest | MessagesRequest) -> Prompt:
    return Prompt(
        request.tools if present(request.tools) else NOTHING,
        request.system if present(request.system) else NOTHING,
        request.messages,
    )


def _chat_kind(pair: ChatPair) -> tuple[Any, ...]:
    choices = pair.response.choices
    return _chat_fields(pair), choices[0].finish_reason if choices else None


def _chat_answer(pair: ChatPair) -> Buffer:
    choices = pair.response.choices
    return choices[0].message if choices and present(choices[0].message) else NOTHING


def _chat_counts(usage: ChatUsage) -> Counts:
    sent, received = usage.prompt_tokens_details, usage.completion_tokens_details
    writes = (sent.cache_write_tokens or 0) if sent is not None else 0
    return (
        usage.prompt_tokens,
        usage.completion_tokens,
        None if sent is None else sent.cached_tokens or 0,
        0,
        0,
        writes,
        None,
        writes,
        (received.reasoning_tokens or 0) if received is not None else 0,
        usage.total_tokens,
    )


def _messages_counts(usage: MessagesUsage) -> Counts | None:
    short, long = split_writes(usage.cache_creation, usage.cache_creation_input_tokens)
    if not (0 <= short < MOST_TOKENS and 0 <= long < MOST_TOKENS):
        return None
    read = usage.cache_read_input_tokens or 0
    split = usage.cache_creation
    unstated = short if split is None or split.ephemeral_5m_input_tokens is None else 0
    return usage.input_tokens, usage.output_tokens, read, short, long, 0, None, unstated, 0, None


_chat_fields = attrgetter(*WRAPPER, "response.service_tier")
_messages_kind = attrgetter(
    *WRAPPER, "response.stop_reason", "response.usage.service_tier", "response.usage.inference_geo"
)
CHATS, MESSAGES = msgspec.json.Decoder(ChatPair), msgspec.json.Decoder(MessagesPair)
PLAIN = {
    "openai_chat": Plain(
        CHATS.decode,
        CHATS.decode_lines,
        _chat_kind,
        _chat_answer,
        _chat_counts,
        lambda asked: (
            bytes(asked.tool_choice),
            bytes(asked.response_format),
            bytes(asked.prompt_cache_key),
        ),
    ),
    "anthropic_messages": Plain(
        MESSAGES.decode,
        MESSAGES.decode_lines,
        _messages_kind,
        attrgetter("response.content"),
        _messages_counts,
        lambda asked: (bytes(asked.tool_choice), bytes(asked.thinking)),
    ),
}
