"""Texts of contents, read from the blocks when they are asked for."""

import json

import polars as pl

from costaudit.simulate.prefix.pieces import Contents
from costaudit.simulate.segments import ROLES

_TOOLS = ROLES.index("tools")


class Texts:
    """Look up the text of a content, and the tool that it defines."""

    def __init__(self, contents: Contents, blocks: pl.DataFrame) -> None:
        self._contents = contents
        self._texts = blocks["text"]

    def text(self, content: int) -> str:
        """Give the text of a content; "" where the log has none, or for -1."""
        row = int(self._contents.block[content]) if content >= 0 else -1
        return (self._texts[row] or "") if row >= 0 else ""

    def same_tool(self, one: int, other: int) -> bool:
        """Tell whether two contents could be versions of one thing: of tools, by their names."""
        if self._contents.role[one] != _TOOLS:
            return True
        return tool_name(self.text(one)) == tool_name(self.text(other))


def tool_name(text: str) -> str:
    """Read the name of a tool's definition; "" where it has none."""
    try:
        tool = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(tool, dict):
        return ""
    for holder in (tool, tool.get("function"), tool.get("toolSpec")):
        if isinstance(holder, dict) and isinstance(holder.get("name"), str):
            return str(holder["name"])
    return ""
