"""Any column names groups, and the same group has the same name in any column type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel.errors import DataError
from multilevel.frames.labels import group_codes, label_text
from multilevel.frames.table import Categorical, read_table


def codes_of(values: Any) -> Categorical:
    return group_codes(read_table({"g": values}).column("g"))


def test_integers_and_whole_floats_are_named_alike() -> None:
    whole, real = codes_of(np.array([10, 2, 10])), codes_of(np.array([10.0, 2.0, 10.0]))
    assert whole.levels == real.levels == ("2", "10")
    np.testing.assert_array_equal(whole.codes, [1, 0, 1])
    np.testing.assert_array_equal(real.codes, whole.codes)


def test_missing_labels() -> None:
    found = codes_of(np.array([3.0, np.nan, 1.5]))
    assert found.levels == ("1.5", "3")
    np.testing.assert_array_equal(found.codes, [1, -1, 0])
    assert codes_of(np.array([np.nan])).levels == ()


@pytest.mark.parametrize(
    "values",
    [
        [2**60, 2**60 + 1, 5],
        [-(2**62), 2**62],
        [0, 10**12],
        [-5, 3, -5],
    ],
)
def test_wide_ranges_of_integers(values: list[int]) -> None:
    found = codes_of(np.array(values))
    assert [int(found.levels[code]) for code in found.codes] == values
    assert found.levels == tuple(str(v) for v in sorted(set(values)))


def test_unsigned_integers_near_their_end() -> None:
    data = pl.DataFrame({"g": [2**64 - 1, 2**64 - 2, None]}, schema={"g": pl.UInt64})
    found = group_codes(read_table(data).column("g"))
    assert found.levels == (str(2**64 - 2), str(2**64 - 1))
    np.testing.assert_array_equal(found.codes, [1, 0, -1])


def test_zeros_of_both_signs_and_infinities() -> None:
    found = codes_of(np.array([0.0, -0.0, np.inf, 0.5]))
    assert len(found.levels) == 3
    assert found.codes[0] == found.codes[1]


def test_truth_values_and_categoricals() -> None:
    assert codes_of(np.array([True, False])).levels == ("False", "True")
    found = codes_of(pd.Categorical([2.0, 1.0], categories=[2.0, 1.0], ordered=True))
    assert found.levels == ("2", "1")
    assert found.ordered


def test_dates_are_named_as_dates() -> None:
    days = codes_of(np.array(["2024-03-02", "2024-03-01"], dtype="datetime64[ns]"))
    assert days.levels == ("2024-03-01", "2024-03-02")
    moments = codes_of(np.array(["2024-03-01T08:30", "NaT"], dtype="datetime64[us]"))
    assert moments.levels == ("2024-03-01T08:30:00",)
    np.testing.assert_array_equal(moments.codes, [0, -1])


def test_two_levels_that_read_alike_are_refused() -> None:
    with pytest.raises(DataError, match="'1'"):
        codes_of(pd.Categorical([1, "1"], categories=[1, "1"]))


@pytest.mark.parametrize(("value", "text"), [(7.0, "7"), (7, "7"), (0.1, "0.1"), ("a", "a"), (1e20, "1e+20")])
def test_label_text(value: Any, text: str) -> None:
    assert label_text(value) == text


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20), min_size=1, max_size=30))
def test_codes_find_their_integers_again(values: list[int]) -> None:
    found = codes_of(np.array(values, dtype=np.int64))
    assert [int(str(found.levels[code])) for code in found.codes] == values


@given(st.lists(st.text(max_size=3) | st.none(), min_size=1, max_size=20), st.randoms())
def test_row_order_does_not_change_levels(values: list[str | None], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    first, second = (codes_of(np.array([*cells, "x"], dtype=object)) for cells in (values, shuffled))
    assert first.levels == second.levels == tuple(sorted({v for v in [*values, "x"] if v is not None}))
