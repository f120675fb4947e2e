"""A small model of Anthropic's prompt cache: marked prefixes that live 5 minutes or an hour."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sample_generator.tokens import count

MINIMUM_TOKENS = {"claude-sonnet-4-5": 1_024, "claude-haiku-4-5": 4_096}
LIFETIME_S = {"5m": 300.0, "1h": 3_600.0}
POSITIONS = 20
TRAILING_TOKENS = 3  # framing after the last block, never cached


@dataclass
class Entry:
    """A stored prefix."""

    tokens: int
    ttl: str
    available_at: float  # s
    expires_at: float  # s


@dataclass
class Block:
    """One content block of a rendered request with the prefix that ends at it."""

    kind: str
    tokens: int  # of the whole prefix
    digest: bytes  # of the whole prefix
    marker: str  # "" or the marker's lifetime


@dataclass
class Use:
    """The tokens of one request by how they are billed."""

    fresh: int
    read: int
    write_5m: int
    write_1h: int


def _plain(block: dict[str, Any]) -> str:
    content = {key: value for key, value in block.items() if key != "cache_control"}
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


def block_tokens(block: dict[str, Any]) -> int:
    """Estimate a block's tokens: 1.1 times o200k_base, and some framing."""
    if block.get("type") == "text":
        text = block["text"]
    elif block.get("type") == "tool_result":
        text = block["content"]
    else:
        text = _plain(block)
    return round(1.1 * count(text)) + 4


def render(request: dict[str, Any]) -> list[Block]:
    """List the blocks in prefix order: tools, system, messages."""
    parts = [("tool", tool) for tool in request["tools"]]
    parts += [("system", block) for block in request["system"]]
    for message in request["messages"]:
        parts += [(f"{message['role']}/{block['type']}", block) for block in message["content"]]
    running, total, blocks = hashlib.blake2b(digest_size=16), 0, []
    for kind, block in parts:
        running.update(f"{kind}\0{_plain(block)}\0".encode())
        total += block_tokens(block)
        control = block.get("cache_control")
        marker = control.get("ttl", "5m") if control else ""
        blocks.append(Block(kind, total, running.digest(), marker))
    return blocks


def _positions_back(blocks: list[Block], end: int) -> list[int]:
    """List the blocks to look at from a breakpoint; a run of tool calls or results is one place."""
    found, places, previous = [], 0, ""
    for index in range(end, -1, -1):
        kind = blocks[index].kind
        joined = kind == previous and kind.rsplit("/", 1)[-1] in ("tool_use", "tool_result")
        places += not joined
        if places > POSITIONS:
            break
        found.append(index)
        previous = kind
    return found


class MarkedCache:
    """Keeps the entries of one workspace."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, bytes], Entry] = {}

    def _hit(self, model: str, blocks: list[Block], points: list[int], now: float) -> int:
        for point in reversed(points):
            for index in _positions_back(blocks, point):
                entry = self._entries.get((model, blocks[index].digest))
                if entry is not None and entry.available_at <= now < entry.expires_at:
                    entry.expires_at = now + LIFETIME_S[entry.ttl]
                    return entry.tokens
        return 0

    def serve(self, request: dict[str, Any], now: float, first_token: float) -> Use:
        """Bill a request that starts at `now` (s) and whose answer begins at `first_token` (s)."""
        model, blocks = request["model"], render(request)
        total = blocks[-1].tokens + TRAILING_TOKENS
        least = MINIMUM_TOKENS[model]
        points = [i for i, block in enumerate(blocks) if block.marker and block.tokens >= least]
        if not points:
            return Use(total, 0, 0, 0)
        read = self._hit(model, blocks, points, now)
        long_ends = [blocks[i].tokens for i in points if blocks[i].marker == "1h"]
        long_end = max([read, *long_ends])
        last_end = max(long_end, blocks[points[-1]].tokens)
        for point in points:
            block = blocks[point]
            if block.tokens > read:
                self._entries[model, block.digest] = Entry(
                    block.tokens, block.marker, first_token, now + LIFETIME_S[block.marker]
                )
        return Use(total - last_end, read, last_end - long_end, long_end - read)
