"""Splits add up exactly, and each part is within one token of its exact share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ingest.assembly.request_rows import split_totals, with_media

ROWS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 100_000), min_size=1, max_size=12), st.integers(0, 2_000_000)
    ),
    min_size=1,
    max_size=20,
)


@given(ROWS)
def test_every_row_adds_up_and_no_share_is_off_by_one(rows: list[tuple[list[int], int]]) -> None:
    weights = np.array([w for each, _ in rows for w in each], np.int64)
    sizes = np.array([len(each) for each, _ in rows], np.int64)
    totals = np.array([total for _, total in rows], np.int64)
    split = split_totals(weights, sizes, totals)
    start = 0
    for each, total in rows:
        part = split[start : start + len(each)]
        start += len(each)
        assert part.sum() == total
        for weight, tokens in zip(each, part, strict=True):
            if sum(each):
                assert abs(tokens - total * weight / sum(each)) < 1
            else:
                assert abs(tokens - total / len(each)) < 1


def test_the_largest_remainders_get_the_rest_and_earlier_ones_first() -> None:
    # 10 x 1/3 each is 3 + 1/3: equal remainders, so the first gets the odd token
    split = split_totals(np.array([1, 1, 1]), np.array([3]), np.array([10]))
    assert split.tolist() == [4, 3, 3]
    # 7 x (5, 3, 2)/10 = 3.5, 2.1, 1.4: one token is left for the largest remainder, .5
    split = split_totals(np.array([5, 3, 2]), np.array([3]), np.array([7]))
    assert split.tolist() == [4, 2, 1]


def test_a_row_without_segments_takes_no_part() -> None:
    split = split_totals(np.array([2, 2]), np.array([0, 2, 0]), np.array([5, 8, 9]))
    assert split.tolist() == [4, 4]


def test_images_take_what_the_texts_leave() -> None:
    # 900 billed, 100 counted for texts: 800 left for two images
    tokens, known = np.array([100, 0, 0]), np.array([True, False, False])
    assert with_media(tokens, known, np.array([3]), np.array([900])).tolist() == [100, 400, 400]
    assert with_media(tokens, known, np.array([3]), np.array([50])).tolist() == [100, 0, 0]
