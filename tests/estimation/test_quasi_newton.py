"""The search on functions whose minima are known."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.estimation.quasi_newton import minimise


def rosenbrock(x):
    a, b = x
    value = (1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2
    return value, np.array([-2.0 * (1.0 - a) - 400.0 * a * (b - a * a), 200.0 * (b - a * a)])


def test_a_curved_valley():
    found = minimise(rosenbrock, np.array([-1.2, 1.0]), curvature=100.0, tolerance=1e-14)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-6)
    assert found.promise < 1e-14


@pytest.mark.parametrize("curvature", [1e-3, 1.0, 1e4])
def test_a_bowl_whatever_its_curvature_is_said_to_be(curvature):
    scales = np.array([1.0, 10.0, 1000.0])

    def bowl(x):
        return float(scales @ (x - 2.0) ** 2), 2.0 * scales * (x - 2.0)

    found = minimise(bowl, np.zeros(3), curvature)
    np.testing.assert_allclose(found.x, 2.0, atol=1e-4)
    np.testing.assert_allclose(found.value, 0.0, atol=1e-9)


def test_an_open_region():
    """Infinite beyond a border that the first step would cross."""

    def barrier(x):
        if x[0] <= 0.0:
            return None
        return float(x[0] - np.log(x[0])), np.array([1.0 - 1.0 / x[0]])

    assert minimise(barrier, np.array([50.0]), 1e-3).x[0] == pytest.approx(1.0, abs=1e-4)
    assert minimise(barrier, np.array([-1.0]), 1.0) is None


def test_nothing_to_search():
    found = minimise(lambda x: (3.0, np.empty(0)), np.empty(0), 1.0)
    assert found.value == 3.0
    assert found.evaluations == 1
