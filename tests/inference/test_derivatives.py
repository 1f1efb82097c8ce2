"""Slopes of functions whose slopes are known."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.inference.derivatives import derivative, stencil


@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_the_covariate_itself_has_slope_one_exactly(shift: float) -> None:
    x = shift + np.linspace(-1.0, 1.0, 21)
    slope = derivative(lambda values: values[:, None], stencil(x, x))
    np.testing.assert_allclose(slope, 1.0, rtol=1e-14)


def test_smooth_functions() -> None:
    x = np.linspace(0.1, 5.0, 50)
    ours = derivative(lambda v: np.column_stack([np.log(v), v**4, np.exp(-v)]), stencil(x, x))
    np.testing.assert_allclose(ours, np.column_stack([1 / x, 4 * x**3, -np.exp(-x)]), rtol=1e-8)


def test_values_of_very_different_size() -> None:
    x = np.array([1e-3, 1.0, 1e3])
    ours = derivative(lambda v: np.log(v)[:, None], stencil(x, x))[:, 0]
    np.testing.assert_allclose(ours, 1 / x, rtol=1e-7)  # steps near zero are those of a ten-thousandth


def test_a_constant_covariate_has_a_step_all_the_same() -> None:
    x = np.zeros(3)
    np.testing.assert_allclose(derivative(lambda v: 2.0 * v[:, None], stencil(x, x)), 2.0)
