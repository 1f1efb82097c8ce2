"""New data are coded as the data of the fit were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from design_data import design, mixed_data
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError, NewLevelsError

FORMULA = "y ~ x * text + level + scale(z) + (1 + x | g) + (0 + z | g:flag)"


def test_the_data_of_the_fit_come_back() -> None:
    data = mixed_data()
    made = design(FORMULA, data)
    new = made.encoder.encode(data)
    np.testing.assert_array_equal(new.X, made.X)
    for ours, term in zip(new.Z, made.terms, strict=True):
        np.testing.assert_array_equal(ours, term.Z)
    for codes, grouping in zip(new.codes, made.groupings, strict=True):
        np.testing.assert_array_equal(codes, grouping.codes)
    assert new.new_levels == ((), ())
    assert new.rows.all()


def test_a_few_rows_without_response() -> None:
    data = mixed_data()
    made = design(FORMULA, data)
    rows = [5, 40, 17]
    new = made.encoder.encode(data.iloc[rows].drop(columns="y"))
    np.testing.assert_array_equal(new.X, made.X[rows])
    np.testing.assert_array_equal(new.codes[0], made.groupings[0].codes[rows])


def test_labels_match_however_they_are_stored() -> None:
    data = pd.DataFrame({"y": np.arange(6.0), "g": pd.Categorical(["1", "1", "2", "2", "3", "3"])})
    encoder = design("y ~ g + (1 | g)", data).encoder
    for values in (["3", "1"], [3, 1], [3.0, 1.0], pd.Categorical([3, 1], [7, 3, 1])):
        new = encoder.encode({"g": values})
        np.testing.assert_array_equal(new.X, [[1, 0, 1], [1, 0, 0]])
        np.testing.assert_array_equal(new.codes[0], [2, 0])


def test_new_groups_are_given_to_the_caller() -> None:
    encoder = design("y ~ x + (1 | g)", mixed_data()).encoder
    new = encoder.encode({"x": [1.0, 2, 3], "g": ["new", "a", "new"]})
    np.testing.assert_array_equal(new.codes[0], [-1, 0, -1])
    np.testing.assert_array_equal(new.new_codes[0], [0, -1, 0])
    assert new.new_levels == (("new",),)


def test_new_levels_of_a_predictor_are_refused_by_name() -> None:
    encoder = design("y ~ text + (1 | g)", mixed_data()).encoder
    with pytest.raises(NewLevelsError, match="'text' has levels that the fit has not seen: 'q'"):
        encoder.encode({"text": ["u", "q"], "g": ["a", "a"]})
    encoder = design("y ~ factor(h) + (1 | g)", mixed_data()).encoder
    with pytest.raises(
        NewLevelsError, match=r"'factor\(h\)' .* not seen: '9'. .* known for '1', '2', '3', '4'"
    ):
        encoder.encode({"h": [1, 9], "g": ["a", "a"]})
    encoder = design("y ~ x + (text | g)", mixed_data()).encoder
    with pytest.raises(NewLevelsError, match="'text'"):
        encoder.encode({"x": [1.0], "text": ["q"], "g": ["a"]})


def test_incomplete_rows_are_marked_and_left_out() -> None:
    encoder = design("y ~ x + text + (1 | g)", mixed_data()).encoder
    new = encoder.encode(
        {"x": [1.0, np.nan, 3, 4], "text": ["u", "v", None, "w"], "g": ["a", "b", "c", None]}
    )
    np.testing.assert_array_equal(new.rows, [True, False, False, False])
    assert new.n_rows == 1
    assert encoder.encode({"x": [np.nan], "text": ["u"], "g": ["a"]}).X.shape == (0, 4)


def test_groups_that_are_not_wanted_need_not_be_there() -> None:
    encoder = design("y ~ x + (1 | g) + (0 + z | h)", mixed_data()).encoder
    new = encoder.encode({"x": [1.0, 2.0]}, groupings=())
    assert [codes.tolist() for codes in new.codes] == [[-1, -1], [-1, -1]]
    assert [Z.tolist() for Z in new.Z] == [[[0.0], [0.0]], [[0.0], [0.0]]]
    only_h = encoder.encode({"x": [1.0], "z": [5.0], "h": [2]}, groupings=[1])
    assert (only_h.codes[1].tolist(), only_h.Z[1].tolist()) == ([1], [[5.0]])
    every = encoder.encode({"x": [1.0], "z": [5.0]}, groupings=(), every_term=True)
    assert [Z.tolist() for Z in every.Z] == [[[1.0]], [[5.0]]]


def test_missing_columns_are_named() -> None:
    encoder = design("y ~ x + (1 | g)", mixed_data()).encoder
    with pytest.raises(ColumnNotFoundError, match="no column 'g'"):
        encoder.encode({"x": [1.0]})
    with pytest.raises(ColumnNotFoundError, match="no column 'x'"):
        encoder.encode({"g": ["a"]})


def test_offsets_and_weights() -> None:
    data = mixed_data()
    encoder = design("y ~ x + offset(log(z))", data, offset="dotted.name", weights="z").encoder
    new = encoder.encode({"x": [1.0], "z": [2.0], "dotted.name": [10.0]})
    np.testing.assert_allclose(new.offset, [10 + np.log(2)])
    np.testing.assert_array_equal(new.weights, [2.0])
    assert design("y ~ x", data, weights="z").encoder.encode({"x": [1.0]}).weights is None
    assert design("y ~ x", data, weights=np.ones(48)).encoder.encode({"x": [1.0]}).weights is None
    with pytest.raises(DataError, match="offset= was an array"):
        design("y ~ x", data, offset=np.zeros(48)).encoder.encode({"x": [1.0]})


def test_numbers_stay_numbers() -> None:
    encoder = design("y ~ x", mixed_data()).encoder
    with pytest.raises(DataTypeError, match="'x' holds labels here; the model was fitted to numbers"):
        encoder.encode({"x": ["one", "two"]})
    assert encoder.encode({"x": [1, 2]}).X.tolist() == [[1.0, 1.0], [1.0, 2.0]]


def test_truth_values_with_one_value_only() -> None:
    encoder = design("y ~ flag", mixed_data()).encoder
    np.testing.assert_array_equal(encoder.encode({"flag": [True, True]}).X, [[1, 1], [1, 1]])
    np.testing.assert_array_equal(encoder.encode({"flag": [False]}).X, [[1, 0]])


def test_truth_values_in_computations() -> None:
    data = mixed_data()
    made = design("y ~ flag + I(flag * x) + I(!flag)", data)
    np.testing.assert_array_equal(made.encoder.encode(data).X, made.X)
    assert made.encoder.encode({"flag": [True], "x": [3.0]}).X.tolist() == [[1, 1, 3]]


def test_response_in_new_data() -> None:
    data = mixed_data()
    encoder = design("scale(y) ~ x", data).encoder
    y = encoder.encode_response({"y": [10.0, np.nan]})
    np.testing.assert_allclose(y, [(10 - data["y"].mean()) / data["y"].std(), np.nan])


def test_not_finite_in_new_data_is_refused() -> None:
    encoder = design("y ~ log(z)", mixed_data()).encoder
    with pytest.raises(DataError, match=r"'log\(z\)' is not finite in row 1 "):
        encoder.encode({"z": [1.0, -1.0]})


def test_coding_new_data_changes_nothing() -> None:
    data = mixed_data()
    encoder = design("y ~ scale(x) + between(z, g) + factor(h) + (1 | g)", data).encoder
    first = encoder.encode(data)
    encoder.encode({"x": [100.0], "z": [50.0], "g": ["new"], "h": [2]})
    np.testing.assert_array_equal(encoder.encode(data).X, first.X)
