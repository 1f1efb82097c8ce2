"""within() and between(): stateful, right on new data."""

from __future__ import annotations

import numpy as np

from design_data import design, mixed_data


def test_parts_are_deviation_and_mean() -> None:
    data = mixed_data()
    X = design("y ~ 0 + within(x, g) + between(x, g)", data).X
    means = data.groupby("g")["x"].transform("mean").to_numpy()
    np.testing.assert_allclose(X, np.column_stack([data["x"] - means, means]), atol=1e-14)


def test_known_groups_keep_their_mean_and_new_ones_have_their_own() -> None:
    data = mixed_data()
    mean_a = data.loc[data["g"] == "a", "x"].mean()
    encoder = design("y ~ 0 + within(x, g) + between(x, g)", data).encoder
    new = encoder.encode({"x": [5.0, 7.0, 2.0, 4.0], "g": ["a", "a", "new", "new"]})
    expected = [[5 - mean_a, mean_a], [7 - mean_a, mean_a], [-1, 3], [1, 3]]
    np.testing.assert_allclose(new.X, expected, atol=1e-14)


def test_groups_may_be_numbers_or_combinations() -> None:
    data = mixed_data()
    by_number = design("y ~ 0 + between(x, h)", data).X[:, 0]
    np.testing.assert_allclose(by_number, data.groupby("h")["x"].transform("mean"), atol=1e-14)
    by_pair = design("y ~ 0 + between(x, g:h)", data).X[:, 0]
    np.testing.assert_allclose(by_pair, data.groupby(["g", "h"])["x"].transform("mean"), atol=1e-14)


def test_means_are_over_the_rows_used() -> None:
    data = mixed_data()
    data.loc[0, "y"] = np.nan
    kept = data.iloc[1:]
    np.testing.assert_array_equal(design("y ~ between(x, g)", data).X, design("y ~ between(x, g)", kept).X)


def test_large_numbers_keep_their_digits() -> None:
    data = mixed_data()
    shifted = data.assign(x=data["x"] + 1e8)
    np.testing.assert_allclose(
        design("y ~ within(x, g)", shifted).X, design("y ~ within(x, g)", data).X, atol=1e-7
    )


def test_left_side_of_a_bar() -> None:
    term = design("y ~ x + (within(x, g) | g)", mixed_data()).terms[0]
    assert term.names == ("Intercept", "within(x, g)")
