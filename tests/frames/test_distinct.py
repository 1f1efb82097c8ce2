"""Distinct values are those of a sort, whichever way they are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel.frames.distinct import distinct_values, hash_values

WHOLE = st.integers(-50, 50)
FAR_APART = st.sampled_from([-(2**63), -(10**12), 0, 1, 10**12, 2**63 - 1])


def assert_like_a_sort(values: npt.NDArray[Any]) -> None:
    codes, levels = distinct_values(values)
    expected, inverse = np.unique(values, return_inverse=True)
    assert levels == expected.tolist()
    np.testing.assert_array_equal(codes, inverse)
    assert codes.dtype == np.int32


@given(st.lists(WHOLE | FAR_APART, max_size=30))
def test_integers(values: list[int]) -> None:
    assert_like_a_sort(np.array(values, dtype=np.int64))


@given(
    st.lists(st.integers(0, 200), max_size=30), st.sampled_from([np.uint8, np.uint64, np.int16, np.float32])
)
def test_other_kinds_of_numbers(values: list[int], kind: type[np.generic]) -> None:
    assert_like_a_sort(np.array(values, dtype=kind))


@given(st.lists(st.floats(allow_nan=False) | WHOLE.map(float), max_size=30))
def test_real_numbers(values: list[float]) -> None:
    assert_like_a_sort(np.array(values))


@pytest.mark.parametrize(
    "values",
    [
        np.array([-128, 127], dtype=np.int8),
        np.array([2**64 - 1, 2**64 - 3, 2**64 - 1], dtype=np.uint64),
        np.array([0.5, 1.5, 2.5]),
        np.array([-1.0, 1e-17]),
        np.array([2.0**53, 2.0**53 + 2]),
        np.array([1e300, 1e300]),
        np.array([np.inf, -np.inf, 0.0]),
        np.array([True, False, True]),
        np.array([], dtype=np.float64),
    ],
    ids=str,
)
def test_ends_of_ranges(values: npt.NDArray[Any]) -> None:
    assert_like_a_sort(values)


def test_whole_numbers_are_integers_and_others_are_not() -> None:
    assert [type(level) for level in distinct_values(np.array([7.0, 5.0]))[1]] == [int, int]
    assert [type(level) for level in distinct_values(np.array([7.0, 5.5]))[1]] == [float, float]


def test_moments_keep_their_type() -> None:
    days = np.array(["2024-03-02", "2024-03-01", "2024-03-02"], dtype="datetime64[D]")
    codes, levels = distinct_values(days)
    assert levels == [np.datetime64("2024-03-01"), np.datetime64("2024-03-02")]
    np.testing.assert_array_equal(codes, [1, 0, 1])


def test_what_is_not_a_number_is_a_value_of_its_own() -> None:
    codes, levels = hash_values(np.array([np.nan, 1.0, np.nan]))
    np.testing.assert_array_equal(levels, [1.0, np.nan])
    np.testing.assert_array_equal(codes, [1, 0, 1])
