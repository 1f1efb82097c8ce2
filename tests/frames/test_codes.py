"""Codes without gaps agree with what a sort says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel.frames.codes import short_range, which_occur, without_gaps

KINDS = (np.int8, np.int16, np.int32, np.int64, np.uint8)


@given(st.lists(st.integers(0, 30), max_size=60), st.sampled_from(KINDS))
def test_codes_are_ranks_among_what_occurs(values: list[int], kind: type[np.integer[Any]]) -> None:
    indices = np.array(values, dtype=kind)
    codes, kept = without_gaps(indices, 31)
    np.testing.assert_array_equal(kept, np.unique(indices))
    np.testing.assert_array_equal(kept[codes], indices)
    assert codes.dtype == np.int32


@pytest.mark.parametrize("order", ["sorted", "shuffled", "the last level last"])
def test_more_rows_than_are_looked_at_once(order: str) -> None:
    indices: npt.NDArray[np.int32] = np.repeat(np.arange(5, dtype=np.int32), 20_000)
    if order == "shuffled":
        np.random.default_rng(1).shuffle(indices)
    if order == "the last level last":
        indices[:-1] = np.minimum(indices[:-1], 3)
    assert which_occur(indices, 5).all()
    assert which_occur(indices, 7).tolist() == [True] * 5 + [False] * 2
    assert without_gaps(indices, 5)[0] is indices


def test_ranges_too_long_for_a_table() -> None:
    assert short_range(1000, 1)
    assert not short_range(10**6, 1000)
    assert not short_range(2**31, 2**40)
