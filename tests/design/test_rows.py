"""Which rows are used: missing values are dropped, counted and said; the rest of the data does not matter."""

from __future__ import annotations

import numpy as np
import pytest

from design_data import design, mixed_data
from multilevel.errors import DataError


def test_rows_with_something_missing_are_dropped_and_counted() -> None:
    data = mixed_data()
    data.loc[[0, 1, 2], "x"] = np.nan
    data.loc[[2, 3], "g"] = None
    data.loc[4, "y"] = np.nan
    data.loc[5, "z"] = np.nan  # not used, so it does not matter
    made = design("y ~ x + (1 | g)", data)
    assert made.dropped.missing_by_column == {"y": 1, "x": 3, "g": 2}
    assert (made.dropped.n_total, made.dropped.n_missing, made.n_rows) == (48, 5, 43)
    np.testing.assert_array_equal(np.flatnonzero(~made.rows), [0, 1, 2, 3, 4])
    complete = design("y ~ x + (1 | g)", data.drop(index=[0, 1, 2, 3, 4]))
    np.testing.assert_array_equal(made.X, complete.X)
    np.testing.assert_array_equal(made.y, complete.y)
    np.testing.assert_array_equal(made.groupings[0].codes, complete.groupings[0].codes)


def test_missing_may_be_refused() -> None:
    data = mixed_data()
    data.loc[[0, 1], "x"] = np.nan
    data.loc[[1, 2], "text"] = None
    with pytest.raises(DataError, match=r"3 of 48 rows .*'x' in 2, 'text' in 2"):
        design("y ~ x + text", data, missing="raise")
    with pytest.raises(DataError, match="'drop' or 'raise', not 'ignore'"):
        design("y ~ x", data, missing="ignore")
    assert design("y ~ z", data, missing="raise").n_rows == 48


def test_missing_in_arguments_and_extra_columns() -> None:
    data = mixed_data()
    data.loc[0, "z"] = np.nan
    data.loc[1, "g"] = None
    weights = np.ones(48)
    weights[2] = np.nan
    made = design("y ~ x", data, weights=weights, offset="z", extra_columns=["g"])
    assert made.dropped.missing_by_column == {"g": 1, "weights=": 1, "offset=": 1}
    assert made.n_rows == 45


def test_no_rows_left() -> None:
    data = mixed_data()
    with pytest.raises(DataError, match="no rows"):
        design("y ~ x", data.iloc[:0])
    with pytest.raises(DataError, match=r"No rows are left of 2 \(missing values: 'x' in 2\)"):
        design("y ~ x", data.iloc[:2].assign(x=np.nan))
    with pytest.raises(DataError, match="frequency weight of zero"):
        design("y ~ x", data, freq_weights=np.zeros(48))


def test_infinite_values_name_column_and_rows() -> None:
    data = mixed_data()
    data.loc[[3, 5], "x"] = [np.inf, -np.inf]
    with pytest.raises(DataError, match=r"Column 'x' is infinite in rows 3, 5 \(counted from 0\)"):
        design("y ~ x", data)
    with pytest.raises(DataError, match="Column 'x' is infinite"):
        design("x ~ y", data)


def test_rows_in_messages_are_those_of_the_data() -> None:
    data = mixed_data()
    data.loc[0, "x"] = np.nan
    data.loc[7, "z"] = 0.0
    with pytest.raises(DataError, match=r"'log\(z\)' is not finite in row 7 "):
        design("y ~ x + log(z)", data)


def test_unused_levels_are_dropped() -> None:
    data = mixed_data()
    data["g"] = data["g"].astype("category").cat.add_categories(["zz"])
    made = design("y ~ own + (1 | g)", data[data["g"] != "c"])
    assert made.coef_names == ("Intercept", "own[T.w]", "own[T.u]")
    assert made.groupings[0].levels == ("a", "b", "d", "e", "f")


def test_levels_that_only_incomplete_rows_have_are_dropped() -> None:
    data = mixed_data()
    data.loc[data["text"] == "v", "x"] = np.nan
    data.loc[data["g"] == "c", "x"] = np.nan
    made = design("y ~ x + text + (1 | g)", data)
    assert made.coef_names == ("Intercept", "x", "text[T.w]")
    assert "c" not in made.groupings[0].levels
