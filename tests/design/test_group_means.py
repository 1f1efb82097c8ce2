"""within() and between(): stateful, right on new data."""

from __future__ import annotations

import numpy as np

import multilevel as ml
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


def test_rows_count_as_frequency_weights_say() -> None:
    data = mixed_data()
    counts = np.random.default_rng(1).integers(0, 3, len(data))
    formula = "y ~ within(x, g) + between(x, g) + (between(x, h) | g)"
    counted, repeated = (
        design(formula, data, freq_weights=counts),
        design(formula, data.loc[data.index.repeat(counts)]),
    )
    once = np.repeat(np.arange(counted.n_rows), counts[counts > 0])
    np.testing.assert_allclose(counted.X[once], repeated.X, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(counted.terms[0].Z[once], repeated.terms[0].Z, rtol=1e-12, atol=1e-14)
    new = {"x": [1.0, 2.0], "g": ["a", "new"], "h": [1, 1]}
    np.testing.assert_allclose(counted.encoder.encode(new).X, repeated.encoder.encode(new).X, rtol=1e-12)
    assert set(counted.encoder.levels) == {"x", "g", "h", "y"}


def test_predictions_for_new_rows_keep_the_means_of_the_fit() -> None:
    data = mixed_data()
    fit = ml.ols("y ~ within(x, g) + between(x, g)", data)
    mean = data.loc[data["g"] == "a", "x"].mean()
    new = {"x": [mean + 1.0, mean + 3.0], "g": ["a", "a"]}
    low, high = fit.predict(new)
    np.testing.assert_allclose(high - low, 2.0 * fit.fixef[1])
    np.testing.assert_allclose(low, fit.fixef @ [1.0, 1.0, mean])


def test_left_side_of_a_bar() -> None:
    term = design("y ~ x + (within(x, g) | g)", mixed_data()).terms[0]
    assert term.names == ("Intercept", "within(x, g)")
