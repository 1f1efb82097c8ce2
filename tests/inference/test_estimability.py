"""What can be said of coefficients when columns of X depend on others."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml
from multilevel.inference.estimability import estimable, estimable_combinations, full_columns

RNG = np.random.default_rng(3)
N = 60
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "g": np.array(list("abc"))[np.arange(N) % 3],
}


def columns_of(shift: float):
    data = {**DATA, "x": DATA["x"] + shift, "z": 2.0 * (DATA["x"] + shift) + 1.0}
    fit = ml.ols("y ~ x + z + g", data)
    assert fit.dropped.columns == ("z",)
    return full_columns(fit.design, data), shift


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_only_what_respects_the_dependence_is_estimable(shift: float) -> None:
    columns, shift = columns_of(shift)  # order of columns: 1, x, z, g[b], g[c]
    consistent = [1.0, shift + 0.3, 2.0 * (shift + 0.3) + 1.0, 1.0, 0.0]
    inconsistent = [1.0, shift + 0.3, 2.0 * (shift + 0.3) + 1.5, 1.0, 0.0]
    difference = [0.0, 0.0, 0.0, 1.0, -1.0]
    slope_alone = [0.0, 1.0, 0.0, 0.0, 0.0]
    both_slopes = [0.0, 1.0, 2.0, 0.0, 0.0]
    L = np.array([consistent, inconsistent, difference, slope_alone, both_slopes])
    assert estimable(L, columns).tolist() == [True, False, True, False, True]


def test_combinations_keep_what_is_estimable() -> None:
    columns, _ = columns_of(0.0)
    L = np.array([[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]])
    kept = estimable_combinations(L, columns) @ L
    assert len(kept) == 2
    assert estimable(kept, columns).all()
    np.testing.assert_allclose(kept[:, 2], 2.0 * kept[:, 1], atol=1e-12)


def test_everything_is_estimable_where_nothing_was_dropped() -> None:
    fit = ml.ols("y ~ x + g", DATA)
    columns = full_columns(fit.design, DATA)
    L = np.vstack([RNG.normal(size=(3, 4)), np.full((1, 4), np.nan)])
    assert estimable(L, columns).tolist() == [True, True, True, False]
    np.testing.assert_array_equal(estimable_combinations(L[:3], columns), np.eye(3))
