"""Grouping rows by template."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from costaudit.simulate.prefix.tree.prompts import Group, Groups


@given(st.lists(st.integers(-1, 5), max_size=60))
def test_rows_are_those_of_each_template_in_order(index: list[int]) -> None:
    groups = Groups(tuple(Group(f"t{n}", "", "", "", 0) for n in range(6)), np.array(index, int))
    found = [rows.tolist() for rows in groups.rows]
    assert found == [[row for row, one in enumerate(index) if one == n] for n in range(6)]
