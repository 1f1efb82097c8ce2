"""The columns of random effects as one variable moves."""

from __future__ import annotations

import numpy as np
import pandas as pd

import multilevel as ml
from multilevel.design.one_variable import move_column, move_variable, random_variables


def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 120
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(2.0, 6.0, n).round(1),
            "z": rng.normal(size=n),
            "f": pd.Categorical(rng.choice(["low", "high"], n), ["low", "high"]),
            "b": rng.random(n) < 0.5,
            "g": rng.integers(0, 6, n),
            "c": rng.integers(1, 4, n),
        }
    )


def test_others_stay_at_their_means_and_first_levels() -> None:
    frame = data()
    fit = ml.lmm("y ~ x + (1 + log(x) + z + f | g)", frame, freq_weights="c")
    variables = random_variables(fit.design, frame)
    assert set(variables) == {"x", "z", "f"}
    moved = move_variable(fit.design, variables, "x", 5)
    np.testing.assert_allclose(moved.values, np.linspace(frame["x"].min(), frame["x"].max(), 5))
    mean = np.average(frame["z"], weights=frame["c"])
    expected = np.column_stack([np.ones(5), np.log(moved.values), np.full(5, mean), np.zeros(5)])
    np.testing.assert_allclose(moved.columns[0], expected)


def test_factors_and_truth_values_move_over_their_levels() -> None:
    frame = data()
    fit = ml.lmm("y ~ x + (0 + f | g) + (1 + b | c)", frame)
    variables = random_variables(fit.design, frame)
    moved = move_variable(fit.design, variables, "f", 50)
    assert list(moved.values) == ["low", "high"]
    np.testing.assert_array_equal(moved.columns[0], np.eye(2))
    np.testing.assert_array_equal(move_variable(fit.design, variables, "b", 50).columns[1], [[1, 0], [1, 1]])


def test_what_the_fit_learned_is_used() -> None:
    frame = data()
    fit = ml.lmm("y ~ x + (1 + scale(x) | g)", frame)
    moved = move_variable(fit.design, random_variables(fit.design, frame), "x", 3)
    scaled = (moved.values - frame["x"].mean()) / frame["x"].std()
    np.testing.assert_allclose(moved.columns[0][:, 1], scaled)


def test_a_column_moves_over_its_own_range() -> None:
    frame = data()
    fit = ml.lmm("y ~ x + (1 + I(x - 4) + z | g)", frame)
    moved = move_column(fit.design, "I(x - 4)", 3)
    np.testing.assert_allclose(moved.columns[0][:, 1], np.linspace(*(frame["x"] - 4).agg(["min", "max"]), 3))
    np.testing.assert_allclose(moved.columns[0][:, [0, 2]], np.tile([1.0, frame["z"].mean()], (3, 1)))
