"""Independent blocks of rows: connected through shared levels, and only then."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from multilevel.estimation.row_blocks import row_blocks


def levels(*labels: int) -> np.ndarray:
    return np.array(labels, dtype=np.int32)


def test_one_factor_gives_its_groups_in_row_order():
    (stack,) = row_blocks([levels(1, 0, 1, 0)])
    assert sorted(map(tuple, stack)) == [(0, 2), (1, 3)]


def test_blocks_of_one_size_are_stacked():
    stacks = row_blocks([levels(0, 1, 1, 2, 3, 3)])
    assert [stack.shape for stack in stacks] == [(2, 1), (2, 2)]


def test_crossed_factors_hang_together():
    (stack,) = row_blocks([levels(0, 0, 1, 1), levels(0, 1, 0, 1)])
    assert stack.shape == (1, 4)


def test_a_nested_factor_changes_nothing():
    outer, inner = levels(0, 0, 0, 1, 1, 1), levels(0, 0, 1, 2, 3, 3)
    for codes in ([outer], [outer, inner], [inner, outer]):
        (stack,) = row_blocks(codes)
        assert sorted(map(tuple, stack)) == [(0, 1, 2), (3, 4, 5)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30))
def test_rows_are_in_one_block_exactly_when_linked(pairs):
    first, second = (np.unique(c, return_inverse=True)[1].astype(np.int32) for c in np.array(pairs).T)
    reach = (first[:, None] == first) | (second[:, None] == second)
    for _ in pairs:  # transitive closure, the slow and plain way
        reach = reach @ reach
    found = np.zeros_like(reach)
    for stack in row_blocks([first, second]):
        for rows in stack:
            found[np.ix_(rows, rows)] = True
    np.testing.assert_array_equal(found, reach)
