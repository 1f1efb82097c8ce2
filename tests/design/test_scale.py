"""Columns far from 1: rank does not depend on units, and what squares cannot hold is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from design_data import design, mixed_data
from multilevel.design.rank import dependent_columns
from multilevel.errors import DataError


@pytest.mark.parametrize("scale", [1e-307, 1e-200, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("intercept", [0, None])
def test_rank_does_not_depend_on_units(scale: float, intercept: int | None) -> None:
    a, b = np.random.default_rng(4).normal(size=(2, 50))
    X = np.column_stack([np.ones(50), scale * a, b, scale * (a / 4), np.zeros(50)])
    assert dependent_columns(X, intercept) == (3, 4)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ z + (0 + x | g)", "x ~ z + (1 | g)"])
def test_values_whose_squares_leave_double_precision_are_refused(scale: float, formula: str) -> None:
    data = mixed_data()
    data["x"] *= scale
    with pytest.raises(DataError, match=r"'x' has values of the order of .* in other units"):
        design(formula, data)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_large_and_small_units_are_fine(scale: float) -> None:
    data = mixed_data()
    data["x"] *= scale
    assert design("y ~ x + (x | g)", data).coef_names == ("Intercept", "x")


def test_rows_that_a_sample_misses_decide_too() -> None:
    x = np.zeros(30_000)
    x[1::3] = 1.0
    x[::3] = 1e-200
    data = {"y": np.arange(30_000.0), "x": x}
    assert design("y ~ x", data).coef_names == ("Intercept", "x")
