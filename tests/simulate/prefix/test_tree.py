"""Texts share pieces exactly as far as they are equal, and prompts share equal segments."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.simulate.prefix.tree.prompts import MIN_PIECE_BYTES, cut_contents, read_prompts
from costaudit.simulate.prefix.tree.tree_kernels import (
    common_ends,
    kept_ancestors,
    shared_intervals,
)
from costaudit.simulate.segments import flat_segments
from tests.simulate.traffic import Log

texts = st.lists(st.text("abñ", max_size=12), min_size=1, max_size=12, unique=True)


def common_head(one: Sequence[object], other: Sequence[object]) -> int:
    size = 0
    while size < min(len(one), len(other)) and one[size] == other[size]:
        size += 1
    return size


@given(texts)
@settings(max_examples=100)
def test_intervals_are_the_distinct_shared_lengths(drawn: list[str]) -> None:
    ordered = sorted(text.encode() for text in drawn)
    shared = [0, *(common_head(a, b) for a, b in pairwise(ordered))]
    leaf, parent, length = shared_intervals(np.array(shared, np.int64))
    for place, text in enumerate(ordered):
        lengths = []
        interval = leaf[place]
        while interval >= 0:
            lengths.append(int(length[interval]))
            interval = parent[interval]
        others = [common_head(text, other) for i, other in enumerate(ordered) if i != place]
        assert sorted(lengths) == sorted({size for size in others if size > 0})


@given(st.lists(st.lists(st.sampled_from("xyz"), min_size=1, max_size=5), min_size=1, max_size=10))
@settings(max_examples=60)
def test_contents_share_pieces_as_far_as_they_are_equal(drawn: list[list[str]]) -> None:
    log = Log()
    for words in drawn:
        text = "".join(word * MIN_PIECE_BYTES for word in words)
        log.call([("user", text, 10)])
    requests, blocks = log.tables()
    segments = flat_segments(requests, blocks)
    contents = cut_contents(segments, blocks)
    for i, one in enumerate(drawn):
        for j, other in enumerate(drawn):
            a, b = segments.content[i], segments.content[j]
            pieces = [
                set(contents.piece[contents.offsets[c] : contents.offsets[c + 1]]) for c in (a, b)
            ]
            ends = [
                contents.end[at]
                for at in range(contents.offsets[a], contents.offsets[a + 1])
                if contents.piece[at] in pieces[1]
            ]
            same = common_head("".join(one).encode(), "".join(other).encode())
            assert max(ends, default=0) == same * MIN_PIECE_BYTES
            assert (a == b) == (one == other)


def test_beginnings_that_add_little_are_left_to_what_is_around_them() -> None:
    # Nested prefixes of 15, 16, 31 and 32 bytes. 15 < 16: none; 16 - 0: itself; 31 - 16 = 15: the
    # one of 16; 32 - 16 = 16: itself.
    parent, length = np.array([-1, 0, 1, 2]), np.array([15, 16, 31, 32])
    assert kept_ancestors(parent, length, np.arange(4), 16).tolist() == [-1, 1, 1, 3]


@pytest.mark.parametrize(
    ("texts", "ends"),
    [
        # All share 15 bytes, too few for a piece; the first two share 40.
        (["p" * 15 + "q" * 25 + "a" * 9, "p" * 15 + "q" * 25 + "b" * 9, "p" * 15 + "x" * 30],
         [[40, 49], [40, 49], [45]]),
        # All share 20 bytes; the 10 more that the first two share are too few.
        (["p" * 20 + "q" * 10 + "a" * 9, "p" * 20 + "q" * 10 + "b" * 9, "p" * 20 + "x" * 30],
         [[20, 39], [20, 39], [20, 50]]),
        # All share 20 bytes; the first two share 36, 16 more.
        (["p" * 20 + "q" * 16 + "a" * 9, "p" * 20 + "q" * 16 + "b" * 9, "p" * 20 + "x" * 30],
         [[20, 36, 45], [20, 36, 45], [20, 50]]),
    ],
)  # fmt: skip
def test_texts_are_cut_where_enough_is_shared(texts: list[str], ends: list[list[int]]) -> None:
    log = Log()
    for text in texts:
        log.call([("user", text, 10)])
    requests, blocks = log.tables()
    segments = flat_segments(requests, blocks)
    cut = cut_contents(segments, blocks)
    bounds = [(cut.offsets[c], cut.offsets[c + 1]) for c in segments.content]
    assert [cut.end[first:last].tolist() for first, last in bounds] == ends
    pieces = [cut.piece[first:last].tolist() for first, last in bounds]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        shared = len(ends[one]) - 1 if (one, other) == (0, 1) else len(ends[2]) - 1
        assert common_head(pieces[one], pieces[other]) == shared


@given(st.lists(st.lists(st.sampled_from("pqr"), max_size=5), min_size=1, max_size=12))
@settings(max_examples=60)
def test_prompts_share_nodes_as_far_as_they_are_equal(drawn: list[list[str]]) -> None:
    log = Log()
    for words in drawn:
        log.call([("user", word * 20, 10) for word in words])
    prompts = read_prompts(*log.tables())
    paths = [
        prompts.segment_node[prompts.segments.offsets[i] : prompts.segments.offsets[i + 1]].tolist()
        for i in range(len(drawn))
    ]
    for one, path in zip(drawn, paths, strict=True):
        for other, there in zip(drawn, paths, strict=True):
            same = common_head(one, other)
            assert path[:same] == there[:same]
            assert not set(path[same:]) & set(there[same:])


@given(st.text("ab", max_size=9), st.text("ab", max_size=9))
@settings(max_examples=100)
def test_common_ends_do_not_overlap(one: str, other: str) -> None:
    data = np.frombuffer((one + other).encode(), np.uint8)
    starts, sizes = np.array([0, len(one)]), np.array([len(one), len(other)])
    head, tail = common_ends(data, starts, sizes, np.array([0]), np.array([1]))
    h, t = int(head[0]), int(tail[0])
    assert h == common_head(one.encode(), other.encode())
    shorter = min(len(one), len(other))
    assert h + t <= shorter
    assert one[len(one) - t :] == other[len(other) - t :]
    if h + t < shorter:
        assert one[len(one) - t - 1] != other[len(other) - t - 1]


def test_tokens_add_up_to_what_was_billed() -> None:
    log = Log()
    # The log counts 30 and 10 tokens and 100 were billed, so the parts have 75 and 25.
    log.call(
        [("system", "s" * 90, 30), ("user", "u" * 30, 10)], billed={"input_uncached_tokens": 100}
    )
    # Without counts, 60 and 20 characters are estimated at a quarter each: 15 and 5 of 80.
    log.call(
        [("system", "t" * 60, None), ("user", "v" * 20, None)], billed={"input_uncached_tokens": 80}
    )
    prompts = read_prompts(*log.tables())
    assert prompts.segment_tokens.tolist() == [75, 100, 60, 80]
