"""Combinations of two factors: the same by a table, by nesting and by hashing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel._typing import Codes
from multilevel.design.pairs import distinct_pairs, pair

RNG = np.random.default_rng(5)
ROWS = 3000


def shuffled(levels: int, rows: int = ROWS) -> Codes:
    """Codes (rows,) in which every level occurs."""
    codes = np.concatenate([np.arange(levels), RNG.integers(0, levels, rows - levels)])
    return RNG.permutation(codes).astype(np.int32)


def assert_combinations(first: Codes, second: Codes) -> None:
    n_first, n_second = int(first.max()) + 1, int(second.max()) + 1
    keys, codes = distinct_pairs(first, second, n_first, n_second)
    expected, inverse = np.unique(pair(first, second, n_second), return_inverse=True)
    np.testing.assert_array_equal(keys, expected)
    np.testing.assert_array_equal(codes, inverse)
    assert (keys.dtype, codes.dtype) == (np.int64, np.int32)


@given(st.integers(1, 8), st.integers(1, 8))
def test_few_levels(n_first: int, n_second: int) -> None:
    assert_combinations(shuffled(n_first, 20), shuffled(n_second, 20))


@pytest.mark.parametrize("inner_first", [False, True])
def test_nested(inner_first: bool) -> None:
    inner = shuffled(900)
    outer = RNG.permutation(900).astype(np.int32)[inner] % np.int32(90)
    assert_combinations(*((inner, outer) if inner_first else (outer, inner)))


def test_crossed_with_many_levels() -> None:
    assert_combinations(shuffled(900), shuffled(700))


def test_all_but_nested() -> None:
    inner = shuffled(900)
    outer = inner // np.int32(10)
    outer[0] = (outer[0] + 1) % 90
    assert_combinations(outer, inner)
