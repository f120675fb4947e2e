"""Estimate the billed tokens of an image by size and model, if the rule is published."""

import math
import re
import struct
from io import BytesIO
from typing import NamedTuple

import msgspec

_CLAUDE_EDGE, _CLAUDE_TOKENS, _CLAUDE_PIXELS = 1_568, 1_600, 750  # side; max; pixels per token
_OPENAI_TILES = (  # a base, and tiles of 512 pixels once the short side is at most 768
    (r"^gpt-4o-mini", 2_833, 5_667),
    (r"^(gpt-4o|gpt-4\.1(?!-mini|-nano)|gpt-4\.5|gpt-4-turbo)", 85, 170),
    (r"^(o1(?!-mini)|o3(?!-mini))", 75, 150),
    (r"^gpt-5(-chat|-\d{4}|$)", 70, 140),
)
_OPENAI_PATCHES = (  # patches of 32 pixels, at most 1,536, times a factor
    (r"^(gpt-4\.1-mini|gpt-5-mini)", 1.62),
    (r"^(gpt-4\.1-nano|gpt-5-nano)", 2.46),
    (r"^o4-mini", 1.72),
)
_MOST_PATCHES = 1_536
_GEMINI = re.compile(r"^gemini-2\.[05]")
_GEMINI_TOKENS, _GEMINI_SMALL, _GEMINI_TILE = 258, 384, 768
_KINDS = re.compile("image/|png$|jpe?g$|gif$|webp$")


class ImageSize(NamedTuple):
    """The properties that decide an image's tokens."""

    width: int  # pixels
    height: int
    detail: str  # as requested: low, high or ""


def pixels(content: bytes, media_type: str) -> tuple[int, int] | None:
    """Read width and height in pixels from an image's header; None for an unknown format."""
    import imagesize

    if not _KINDS.match(media_type):
        return None
    try:
        width, height = imagesize.get(BytesIO(content))
    except (ValueError, struct.error, OSError):
        return None
    return (int(width), int(height)) if width > 0 and height > 0 else None


class _Descriptor(msgspec.Struct):
    width: int = 0
    height: int = 0
    detail: str = ""


_descriptor = msgspec.json.Decoder(_Descriptor)


def size_of(descriptor: str) -> ImageSize | None:
    """Read an image's size from its descriptor; None if the descriptor does not state it."""
    try:
        found = _descriptor.decode(descriptor)
    except msgspec.MsgspecError:
        return None
    if found.width <= 0 or found.height <= 0:
        return None
    return ImageSize(found.width, found.height, found.detail)


def image_tokens(model: str, size: ImageSize) -> int | None:
    """Estimate the tokens of an image; None for a model whose rule is not published.

    Sources, all of 2025: Anthropic, "Vision"; OpenAI, "Images and vision: calculating costs";
    Google, "Understand and count tokens". Later OpenAI models and Gemini 3 use other rules.
    """
    name = model.lower().rpartition("/")[2].rpartition("models.")[2]
    if "claude" in name:
        return _claude(size.width, size.height)
    if _GEMINI.match(name):
        return _gemini(size.width, size.height)
    for pattern, base, tile in _OPENAI_TILES:
        if re.match(pattern, name):
            return base if size.detail == "low" else base + tile * _tiles(size.width, size.height)
    for pattern, factor in _OPENAI_PATCHES:
        if re.match(pattern, name):
            return math.ceil(_patches(size.width, size.height) * factor)
    return None


def _claude(width: int, height: int) -> int:
    fits = min(1.0, _CLAUDE_EDGE / max(width, height))
    tokens = width * fits * height * fits / _CLAUDE_PIXELS
    return max(1, math.ceil(min(tokens, _CLAUDE_TOKENS)))


def _tiles(width: int, height: int) -> int:
    fits = min(1.0, 2_048 / max(width, height))
    fits *= min(1.0, 768 / (min(width, height) * fits))
    return math.ceil(round(width * fits, 6) / 512) * math.ceil(round(height * fits, 6) / 512)


def _patches(width: int, height: int) -> int:
    whole = math.ceil(width / 32) * math.ceil(height / 32)
    if whole <= _MOST_PATCHES:
        return whole
    fits = math.sqrt(32 * 32 * _MOST_PATCHES / (width * height))
    across, down = width * fits / 32, height * fits / 32
    fits *= min(math.floor(across) / across, math.floor(down) / down)
    return math.ceil(round(width * fits / 32, 6)) * math.ceil(round(height * fits / 32, 6))


def _gemini(width: int, height: int) -> int:
    if max(width, height) <= _GEMINI_SMALL:
        return _GEMINI_TOKENS
    return _GEMINI_TOKENS * math.ceil(width / _GEMINI_TILE) * math.ceil(height / _GEMINI_TILE)
