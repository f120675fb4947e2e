"""A piece of a prompt or an answer, and how each provider's block becomes one."""

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from costaudit.ingest.content.image_tokens import pixels

TEXT, TOOL_DEFINITION, TOOL_USE, TOOL_RESULT = "text", "tool_definition", "tool_use", "tool_result"
THINKING, REFUSAL = "thinking", "refusal"
MEDIA = frozenset({"image", "document", "audio", "video", "file"})
DETAILS = ("low", "high")  # values a request to OpenAI may set; "auto" is the default
DATA_URL_LIMIT = 64  # shorter data URLs stay as they are


Block = dict[str, Any]


class Piece(NamedTuple):
    """One block of content, still with its text."""

    kind: str
    text: str  # content; for media, a descriptor in JSON
    role: str = ""  # only if the block states it; else the message's role applies
    marker: str | None = None  # as in SEGMENT


Reader = Callable[[Block], list[Piece]]


def compact(value: object) -> str:
    """Return JSON without white space, with keys in their original order."""
    return msgspec.json.encode(without_base64(value)).decode()


def without_base64(value: Any, depth: int = 0) -> Any:
    """Replace each data URL within a value by its digest, so that equal content stays equal."""
    if depth > 100:
        return None
    if isinstance(value, str):
        if value.startswith("data:") and len(value) > DATA_URL_LIMIT:
            return _data_url(value)
        return value
    if isinstance(value, dict):
        return {key: without_base64(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [without_base64(item, depth + 1) for item in value]
    return value


def media(kind: str, value: object) -> Piece:
    """Describe an image, a document or a sound by type, size and digest, or by its address."""
    return Piece(kind, compact(_describe(value)))


def _describe(value: object) -> object:
    if isinstance(value, str):
        return _data_url(value) if value.startswith("data:") else {"url": value}
    if not isinstance(value, dict):
        return {}
    for key in ("data", "bytes", "content", "file_data"):
        data = value.get(key)
        if isinstance(data, str):
            kind = value.get("media_type") or value.get("mimeType") or value.get("mime_type")
            return _digest(data, kind or value.get("format"))
    inner = next((value[k] for k in ("source", "image_url", "url") if value.get(k)), None)
    if inner is None:
        return value
    if isinstance(inner, dict) and "format" in value:  # Bedrock: the format is beside the source
        inner = {"format": value["format"], **inner}
    described, detail = _describe(inner), value.get("detail")
    if detail in DETAILS and isinstance(described, dict):
        return {**described, "detail": detail}
    return described


def _data_url(url: str) -> object:
    head, _, data = url.partition(",")
    return _digest(data, head.removeprefix("data:").partition(";")[0])


def _digest(data: str, media_type: object) -> object:
    try:
        content = b64decode(data)
    except (Base64Error, ValueError):
        content = data.encode("utf-8", "replace")
    told = media_type if isinstance(media_type, str) else ""
    described: Block = {
        "media_type": told,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if size := pixels(content, told):
        described["width"], described["height"] = size
    return described


def text_of(value: object) -> str:
    """Return a text unchanged and any other value as compact JSON."""
    return value if isinstance(value, str) else "" if value is None else compact(value)


def arguments_of(value: object) -> object:
    """Read a tool call's arguments, which OpenAI writes as JSON in a string."""
    if isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return value
    return {} if value is None else value


def tool_use(name: object, arguments: object) -> Piece:
    """Return a tool call without its random id, so that equal calls give equal pieces."""
    return Piece(
        TOOL_USE,
        compact({"name": text_of(name), "input": arguments_of(arguments)}),
        "assistant",
    )


def tool_results(content: object) -> list[Piece]:
    """Return the pieces of a tool's result: a text, or a list of blocks."""
    if not isinstance(content, list):
        return [Piece(TOOL_RESULT, text_of(content), "tool")]
    found = []
    for piece in pieces_of(content):
        kind = TOOL_RESULT if piece.kind == TEXT else piece.kind
        found.append(Piece(kind, piece.text, "tool", piece.marker))
    return found


def marker_of(block: Block) -> str | None:
    """Read a cache marker: Anthropic's cache_control, OpenAI's breakpoint."""
    control = block.get("cache_control")
    if isinstance(control, dict):
        return lifetime(control, "5m")
    point = block.get("prompt_cache_breakpoint")
    return lifetime(point if isinstance(point, dict) else {}, "30m") if point else None


def lifetime(control: Block, default: str) -> str:
    """Return the TTL that a marker names, or the provider's default."""
    ttl = control.get("ttl")
    return ttl if isinstance(ttl, str) and ttl else default


def pieces_of(content: object) -> list[Piece]:
    """Read a message's content, made of any provider's blocks."""
    if isinstance(content, str):
        return [Piece(TEXT, content)]
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return [] if content is None else [Piece(TEXT, text_of(content))]
    found: list[Piece] = []
    for block in content:
        if isinstance(block, dict):
            _add_block(found, block)
        elif block is not None:
            found.append(Piece(TEXT, text_of(block)))
    return found


def _add_block(found: list[Piece], block: Block) -> None:
    point = block.get("cachePoint")
    if isinstance(point, dict):
        if found:
            found[-1] = found[-1]._replace(marker=lifetime(point, "5m"))
        return
    pieces = _read_block(block)
    marker = marker_of(block)
    if pieces and marker:
        pieces[-1] = pieces[-1]._replace(marker=marker)
    found.extend(pieces)


def _read_block(block: Block) -> list[Piece]:
    kind = block.get("type")
    if isinstance(kind, str) and kind in BY_TYPE:
        return BY_TYPE[kind](block)
    for key, reader in BY_KEY.items():
        if key in block:
            return reader(block)
    return [Piece(kind if isinstance(kind, str) and kind else "other", compact(block))]


def _text(block: Block) -> list[Piece]:
    value = block["text"] if "text" in block else block.get("content")
    if isinstance(value, dict):  # assistants' threads: {"text": {"value": ...}}
        value = value.get("value")
    return [Piece(TEXT, text_of(value))]


def _thinking(block: Block) -> list[Piece]:
    value = next(
        (block[k] for k in ("thinking", "reasoning", "text", "content", "data") if block.get(k)), ""
    )
    return [Piece(THINKING, text_of(value), "assistant")] if value else []


def _inner(key: str, reader: Callable[[Any], list[Piece]]) -> Reader:
    def read(block: Block) -> list[Piece]:
        inner = block.get(key)
        return reader(inner if isinstance(inner, dict) else {})

    return read


def _media(kind: str, key: str = "") -> Reader:
    return lambda block: [media(kind, block.get(key, block) if key else block)]


def _called(arguments: str) -> Reader:
    return lambda block: [tool_use(block.get("name"), block.get(arguments))]


def _returned(*keys: str) -> Reader:
    return lambda block: tool_results(next((block[k] for k in keys if k in block), None))


BY_TYPE: dict[str, Reader] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "summary_text": _text,
    "mid_conv_system": lambda block: [
        p._replace(role="system") for p in pieces_of(block.get("content", block.get("text")))
    ],
    "refusal": lambda block: [Piece(REFUSAL, text_of(block.get("refusal")))],
    "thinking": _thinking,
    "redacted_thinking": _thinking,
    "reasoning": _thinking,
    "reasoning_text": _thinking,
    "image": _media("image"),
    "image_url": _media("image", "image_url"),
    "input_image": _media("image"),
    "document": _media("document"),
    "file": _media("document", "file"),
    "input_file": _media("document"),
    "input_audio": _media("audio", "input_audio"),
    "audio": _media("audio"),
    "blob": _media("file"),
    "uri": _media("file"),
    "tool_use": _called("input"),
    "server_tool_use": _called("input"),
    "tool_call": _called("arguments"),
    "server_tool_call": _called("arguments"),
    "function_call": _called("arguments"),
    "custom_tool_call": _called("input"),
    "tool_result": _returned("content"),
    "tool_call_response": _returned("response", "result"),
    "server_tool_call_response": _returned("response", "result"),
    "function_call_output": _returned("output"),
    "custom_tool_call_output": _returned("output"),
}
BY_KEY: dict[str, Reader] = {  # blocks whose only key names their type
    "text": _text,
    "toolUse": _inner("toolUse", _called("input")),
    "toolResult": _inner("toolResult", _returned("content")),
    "functionCall": _inner("functionCall", _called("args")),
    "functionResponse": _inner("functionResponse", _returned("response")),
    "reasoningContent": _inner("reasoningContent", _inner("reasoningText", _thinking)),
    "inlineData": _media("file", "inlineData"),
    "fileData": _media("file", "fileData"),
    "image": _media("image", "image"),
    "document": _media("document", "document"),
    "video": _media("video", "video"),
    "audio": _media("audio", "audio"),
    "json": lambda block: [Piece(TEXT, compact(block["json"]))],
}
