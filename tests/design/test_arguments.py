"""Weights, counts and offsets beside the formula."""

from __future__ import annotations

import numpy as np
import pytest

from design_data import design, mixed_data
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError


def test_column_or_array() -> None:
    data = mixed_data()
    by_name = design("y ~ x", data, weights="z", freq_weights=data["h"], offset="dotted.name")
    by_array = design(
        "y ~ x", data, weights=data["z"].to_numpy(), freq_weights="h", offset=data["dotted.name"]
    )
    for argument in ("weights", "freq_weights", "offset"):
        np.testing.assert_array_equal(getattr(by_name, argument), getattr(by_array, argument))
    assert by_name.n_obs == data["h"].sum()


def test_rows_counted_zero_times_are_left_out() -> None:
    data = mixed_data()
    made = design("y ~ x", data, freq_weights="count")
    np.testing.assert_array_equal(made.rows, data["count"] > 0)
    np.testing.assert_array_equal(made.freq_weights, data["count"][data["count"] > 0])
    assert made.dropped.n_missing == 0


def test_offsets_add_up() -> None:
    data = mixed_data()
    made = design("y ~ x + offset(log(z)) + offset(x)", data, offset="h")
    np.testing.assert_allclose(made.offset, np.log(data["z"]) + data["x"] + data["h"], rtol=1e-14)
    assert design("y ~ x", data).offset is None


def test_given_arrays_are_not_kept_by_reference() -> None:
    data = {"y": np.arange(4.0), "x": np.array([0.0, 1, 3, 2])}
    weights = np.ones(4)
    made = design("y ~ x", data, weights=weights)
    weights[0] = data["y"][1] = data["x"][1] = 99.0
    assert (made.weights[0], made.y[1], made.X[1, 1]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": "x"}, DataError, "weights= must be positive, and is not in rows"),
        ({"weights": np.zeros(48)}, DataError, "must be positive"),
        ({"weights": np.full(48, np.inf)}, DataError, "weights= is infinite"),
        ({"weights": [1, 2]}, DataError, "has 2 values and the data 48 rows"),
        ({"weights": np.ones((48, 2))}, DataError, "2 dimensions"),
        ({"weights": 3.0}, DataError, "0 dimensions"),
        ({"weights": "text"}, DataTypeError, "'text', which holds labels"),
        ({"weights": "zz"}, ColumnNotFoundError, "no column 'zz'"),
        ({"weights": [object()] * 48}, DataTypeError, "numbers or the name of a column"),
        ({"freq_weights": "z"}, DataError, "use weights="),
        ({"freq_weights": -np.ones(48)}, DataError, "counts how often"),
        ({"offset": "text"}, DataTypeError, "offset= names column 'text'"),
        ({"offset": np.full(48, np.inf)}, DataError, "offset= is infinite"),
        ({"extra_columns": ["gg"]}, ColumnNotFoundError, "no column 'gg'"),
    ],
)
def test_misuse(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        design("y ~ x", mixed_data(), **options)


def test_offset_terms_must_be_finite_numbers() -> None:
    with pytest.raises(DataTypeError, match=r"offset\(text\) holds labels"):
        design("y ~ x + offset(text)", mixed_data())
    with pytest.raises(DataError, match=r"offset\(log\(x\)\) is not finite"):
        design("y ~ x + offset(log(x))", mixed_data())
