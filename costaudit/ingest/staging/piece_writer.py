"""Turn calls into the rows, segments, blocks and skips of a staged piece."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import to_builtins
from msgspec.structs import astuple
from xxhash import xxh3_64_intdigest

from costaudit.ingest.calls.call import BilledUnit, Buffer, Call, Key, Prompt, Skip, Usage
from costaudit.ingest.content.blocks import MEDIA
from costaudit.ingest.content.image_tokens import size_of
from costaudit.ingest.content.interner import NO_BLOCK, Interner, ReadAnswer
from costaudit.ingest.content.redaction import Redactor
from costaudit.ingest.content.tokenizer import Tokenizer
from costaudit.ingest.staging.piece_tables import Content, write_piece

WRITES = {"cache_write_5m", "cache_write_1h", "cache_write_other"}
NO_USAGE = Usage("openai", source="missing")


def own_of(call: Call) -> tuple[Any, ...]:
    """Return a call's values for the columns of OWN."""
    usage = call.usage or NO_USAGE
    return (
        call.native_id,
        call.same_as,
        call.join_key,
        call.ts_us,
        call.updated_us,
        call.tenant,
        call.user,
        call.conversation,
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.cache_write_other,
        usage.other_ttl,
        usage.unstated_writes,
        usage.reasoning,
        usage.total,
        call.logged_cost,
        call.latency_ms,
        call.ttft_ms,
        call.session,
        call.parent_call,
        call.forked_from,
        _digest(call.span),
        _digest(call.within),
        units_of(billed_units(call)),
    )


def _digest(key: str | None) -> int | None:
    return None if key is None else xxh3_64_intdigest(key.encode("utf-8", "replace"))


def billed_units(call: Call) -> tuple[BilledUnit, ...]:
    """Return a call's units, plus one for cache writes whose count can't be read.

    Without that count, cache writes can't be told from uncached input.
    """
    usage = call.usage
    if usage is None or usage.input is None or not WRITES & set(usage.unreadable):
        return call.units
    return (*call.units, BilledUnit("cache_write_token", None))


def lost_counts(call: Call) -> Iterator[str]:
    """Yield the names of counts that the call states but that can't be read."""
    lost = call.usage.unreadable if call.usage is not None else ()
    yield from dict.fromkeys("cache_write" if name in WRITES else name for name in lost)
    for unit in call.units:
        if unit.quantity is None:
            yield unit.unit


def units_of(units: tuple[BilledUnit, ...]) -> list[dict[str, object]] | None:
    """Return the units as a value of the column `billed_units`."""
    return [to_builtins(unit) for unit in units] if units else None


def shared_of(source: str, call: Call) -> tuple[Any, ...]:
    """Return a call's values for the columns of SHARED."""
    usage = call.usage or NO_USAGE
    return (
        source,
        call.half,
        call.provider,
        call.model,
        call.service_tier,
        call.is_batch,
        call.region,
        call.kind,
        call.endpoint,
        call.temperature,
        call.stream,
        usage.convention,
        usage.source,
        call.cost_unit,
        call.status,
        call.http_status,
        call.error,
        call.finish_reason,
        call.attempt,
        call.served_by,
        call.truncated,
        call.account,
        call.agent,
        call.skill,
        call.branch,
        call.client_version,
        call.tags or None,
        *astuple(call.settings),
    )


MOST_CHARACTERS = 96 << 20
NO_PROMPT = Prompt()
NO_ANSWER: ReadAnswer = (NO_BLOCK, "missing")


class PieceWriter:
    """Collect the calls and skips of a piece, and write it."""

    def __init__(self, redactor: Redactor, tokenizer: Tokenizer, most_rows: int) -> None:
        self._most_rows = most_rows
        self._redactor = redactor
        self._tokenizer = tokenizer
        self._reset()

    def _reset(self) -> None:
        self._interner = Interner(self._redactor)
        self._rows: list[tuple[Any, ...]] = []  # the columns of OWN and PLACE
        self._shared: dict[tuple[Any, ...], int] = {}  # SHARED values → template
        self.templates: dict[object, int | None] = {}  # a reader's own keys → template
        self._segments = array("I")  # segments of all rows, concatenated
        self._sizes = array("q")  # number of segments of each row
        self._skips: list[tuple[Any, ...]] = []

    @property
    def is_full(self) -> bool:
        """Return whether the piece is large enough to be written."""
        return (
            len(self._rows) >= self._most_rows
            or self._interner.size >= MOST_CHARACTERS
            or len(self._skips) >= 4 * self._most_rows
        )

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to write."""
        return not self._rows and not self._skips

    def skip(self, key: Key, skip: Skip) -> None:
        """Add a record that yields no row."""
        told = (skip.reason, skip.detail, None, None, _digest(skip.span), _digest(skip.within))
        self._skips.append((*key, "skipped", *told))

    def merge(self, key: Key, reason: str, detail: str, into: Key) -> None:
        """Add a record that is part of the row of another record in the same file."""
        self._skips.append((*key, "merged", reason, detail, *into, None, None))

    def add(self, key: Key, source: str, call: Call) -> None:
        """Add a call."""
        template = self.template(source, call)
        self.add_like(template, key, own_of(call), call.prompt or NO_PROMPT, call.answer)

    def template(self, source: str, call: Call) -> int:
        """Return a template for `add_like` with a call's SHARED values, valid until `write`."""
        return self._shared.setdefault(shared_of(source, call), len(self._shared))

    def add_like(
        self, template: int, key: Key, own: tuple[Any, ...], prompt: Prompt, answer: Buffer
    ) -> None:
        """Add a call with the SHARED values of a template, and its own columns and content."""
        interner = self._interner
        segments, turns = interner.prompt(prompt)
        self._segments.extend(segments)
        self._sizes.append(len(segments))
        block, answer_kind = interner.answer(answer) if answer else NO_ANSWER
        turn_index = max(turns - 1, 0) if segments else None
        found = (template, turn_index, None if block == NO_BLOCK else block, answer_kind)
        self._rows.append((*own, *key, *found))

    def write(self, stem: Path) -> None:
        """Write the piece and start the next one."""
        write_piece(stem, self._content(), self._redactor)
        self._reset()

    def _content(self) -> Content:
        interner = self._interner
        stated = interner.stated_tokens
        texts = [
            "" if kind in MEDIA or block in stated else text
            for block, (kind, text) in enumerate(zip(interner.kinds, interner.texts, strict=True))
        ]
        tokens: list[int | None] = self._tokenizer.count_all(interner.names, texts)
        kept: list[str | None] = self._redactor.contents(texts)
        for block, kind in enumerate(interner.kinds):
            if kind in MEDIA or block in stated:
                tokens[block], kept[block] = stated.get(block), None
        return Content(
            rows=self._rows,
            shared=list(self._shared),
            segments=self._segments,
            sizes=self._sizes,
            prompt_segments=interner.segments,
            names=interner.names,
            kinds=interner.kinds,
            texts=kept,
            chars=list(map(len, interner.texts)),
            tokens=tokens,
            skips=self._skips,
            images=[
                (block, *size)
                for block, kind in enumerate(interner.kinds)
                if kind == "image" and (size := size_of(interner.texts[block]))
            ],
        )
