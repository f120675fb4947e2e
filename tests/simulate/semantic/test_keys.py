"""Keys of random prompts against plain Python that spells the definition out."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.policies import CacheKey
from costaudit.contracts.requests import SEGMENT
from costaudit.simulate.semantic.keys import Keys, first_of, groups_of, keys_of

TEXTS = ["a", "b", "a\nb", " ", None, "a", "c", "\u2003"]  # the second "a" is another block
IMAGE = 6  # a block with a text of its own, as a description of the image
LOST = 7  # a block that the table lacks
ROLES = ["tools", "system", "user", "user", "user", "assistant", "tool", "developer"]
Part = tuple[str, int]


def prompts(count: int, seed: int) -> list[list[Part]]:
    rng = np.random.default_rng(seed)
    return [
        [(ROLES[rng.integers(len(ROLES))], int(rng.integers(len(TEXTS)))) for _ in range(size)]
        for size in rng.integers(0, 7, count)
    ]


def keyed(parts: list[list[Part]], key: CacheKey, *, as_numbers: bool, at_once: int) -> Keys:
    """Return the keys of prompts; ids are numbers of rows, or names."""

    def segment(role: str, block: int) -> dict[str, Any]:
        kind = "image" if block == IMAGE else "text"
        return {"role": role, "kind": kind, "block_id": block if as_numbers else f"id{block}"}

    ids = pl.Series("block_id", range(len(TEXTS)), pl.UInt32)
    blocks = pl.DataFrame(
        {"block_id": ids if as_numbers else "id" + ids.cast(pl.String), "text": TEXTS}
    ).head(LOST)
    inner = dict(SEGMENT.to_schema()) | {"block_id": blocks.schema["block_id"]}
    rows = [[segment(*part) for part in one] for one in parts]
    segments = pl.Series("segments", rows, pl.List(pl.Struct(inner)))
    return keys_of(segments.to_frame(), blocks, key, at_once)


def split(parts: Sequence[Part], key: CacheKey) -> tuple[list[Part], list[Part]]:
    """Return what of a prompt is compared, and the other messages."""
    messages = [one for one in parts if one[0] in ("user", "assistant", "tool")]
    if key == "full":
        return messages, []
    if key == "prompt":
        return [one for one in parts if one in messages or one[0] == "system"], []
    end = max((n for n, one in enumerate(messages) if one[0] == "user"), default=-1) + 1
    start = max((n for n in range(end) if messages[n][0] != "user"), default=-1) + 1
    asked = [n for n, one in enumerate(messages) if n >= start and one[0] == "user"]
    return [messages[n] for n in asked], [one for n, one in enumerate(messages) if n not in asked]


def classes(values: Sequence[Hashable]) -> list[int]:
    """Number values in order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(one, len(numbers)) for one in values]


@pytest.mark.parametrize("as_numbers", [True, False])
@pytest.mark.parametrize("at_once", [7, 10_000])
@pytest.mark.parametrize("key", ["last_user", "conversation", "full", "prompt"])
def test_keys_are_those_of_the_definition(key: CacheKey, at_once: int, as_numbers: bool) -> None:
    parts = prompts(800, seed=3)
    keys = keyed(parts, key, as_numbers=as_numbers, at_once=at_once)
    both = [split(one, key) for one in parts]
    texts = [[TEXTS[block] if block != LOST else None for _, block in one] for one, _ in both]
    has_text = [None not in one and any((t or "").strip() for t in one) for one in texts]
    assert keys.has_text.to_list() == has_text
    assert keys.has_image.to_list() == [
        any(block == IMAGE and role in ("user", "assistant", "tool") for role, block in one)
        for one in parts
    ]
    eligible = np.array(has_text)
    found, row = keys.distinct(eligible)
    whole = ["\n".join(t or "" for t in one) for one in texts]
    wanted = [one for one, there in zip(whole, has_text, strict=True) if there]
    assert found["text"].to_list() == list(dict.fromkeys(wanted))
    assert row[eligible].tolist() == classes(wanted) and (row[~eligible] == -1).all()
    history = [tuple(others) or None if key == "conversation" else None for _, others in both]
    assert (keys.history < 0).tolist() == [one is None for one in history]
    assert classes(keys.history.tolist()) == classes(history)
    for name, role in (("system_raw", "system"), ("tools", "tools")):
        ids = [tuple(block for r, block in one if r == role) for one in parts]
        assert keys.fields[name].tolist() == classes(ids)


def test_groups_are_numbered_in_order_of_first_appearance() -> None:
    """Equal rows of strings, numbers and nulls, also of more groups than the table begins with."""
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 60, 9_000).tolist()
    names = pl.Series([None if n % 5 == 0 else f"n{n}" for n in numbers])
    codes = rng.integers(-1, 200, 9_000).astype(np.int32)
    wide = rng.integers(0, 2**63, 9_000, np.uint64)
    wide[1::2] = wide[::2]
    same = np.zeros(9_000, np.int32)
    cases: list[list[pl.Series | np.ndarray]] = [
        [names], [codes], [wide], [same, codes, names], [codes, wide, same], [same],
    ]  # fmt: skip
    for columns in cases:
        rows = list(zip(*(pl.Series(one).to_list() for one in columns), strict=True))
        groups = groups_of(columns)
        assert groups.tolist() == classes(rows) and groups.dtype == np.int32
        assert first_of(groups).tolist() == [rows.index(one) for one in dict.fromkeys(rows)]
