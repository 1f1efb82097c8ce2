"""Charts of correlations: matrices, their derivatives, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.covariance.lags import arma_correlations, correlations_of_partial
from multilevel.covariance.residual.chart import (
    CORRELATION,
    NUMBER,
    POSITIVE,
    bounded,
    line_slopes,
    unbounded,
)
from multilevel.covariance.residual.free import FreeCorrelation
from multilevel.covariance.residual.linear import LinearCorrelation
from multilevel.covariance.residual.stationary import StationaryCorrelation, partial_of_correlations
from multilevel.covariance.working.m_dependent import MDependent

T = 5
VISITS = np.arange(T)


def names(k: int) -> tuple[str, ...]:
    return tuple(map(str, range(k)))


CHARTS = {
    "free": (FreeCorrelation(names(10), T), 0.7),
    "all lags": (StationaryCorrelation(names(4), VISITS), 0.7),
    "arma(2, 1)": (StationaryCorrelation(names(3), np.array([0, 1, 3, 4, 7]), (2, 1)), 0.7),
    "ma(3)": (StationaryCorrelation(names(3), VISITS, (0, 3)), 0.7),
    "2-dependent": (LinearCorrelation(names(2), T, MDependent(2).pairs(VISITS, VISITS, T)), 0.1),
}


@pytest.mark.parametrize("name", CHARTS)
def test_every_point_is_a_correlation_matrix(name):
    chart, size = CHARTS[name]
    eta = size * np.random.default_rng(1).normal(size=len(chart.names))
    R = chart.matrix(eta)
    np.testing.assert_allclose(R, R.T, atol=1e-14)
    np.testing.assert_allclose(R.diagonal(), 1.0, atol=1e-14)
    assert np.linalg.eigvalsh(R)[0] > 0.0
    natural = chart.natural(eta)
    assert all(low < x < high for x, (low, high) in zip(natural, chart.limits, strict=True))


@pytest.mark.parametrize("name", CHARTS)
def test_slopes_are_derivatives(name):
    chart, size = CHARTS[name]
    rng = np.random.default_rng(2)
    eta, G = size * rng.normal(size=len(chart.names)), rng.normal(size=(T, T))
    G = G + G.T
    h = 1e-5
    steps = h * np.eye(len(eta))
    numeric = [((chart.matrix(eta + s) - chart.matrix(eta - s)) * G).sum() / (2 * h) for s in steps]
    np.testing.assert_allclose(chart.slopes(eta, G), numeric, atol=1e-8)


@pytest.mark.parametrize("name", ["free", "all lags"])
def test_near_finds_the_point_of_a_matrix(name):
    chart = CHARTS[name][0]
    eta = 0.4 * np.random.default_rng(3).normal(size=len(chart.names))  # a start stays away from one
    np.testing.assert_allclose(chart.near(chart.matrix(eta)), eta, atol=1e-10)


def test_a_moving_average_forgets_and_an_autoregression_decays():
    np.testing.assert_allclose(arma_correlations(np.empty(0), np.array([0.5]), 3), [1.0, 0.4, 0.0, 0.0])
    np.testing.assert_allclose(arma_correlations(np.array([-0.5]), np.empty(0), 3), [1, -0.5, 0.25, -0.125])


def test_arma_correlations_by_simulation_free_recursion():
    """Autocovariances from a long moving-average representation."""
    phi, theta = np.array([0.5, -0.3]), np.array([0.4, 0.2])
    psi = np.zeros(400)
    psi[0] = 1.0
    for k in range(1, 400):
        psi[k] = sum(phi[j] * psi[k - j - 1] for j in range(min(k, 2))) + (theta[k - 1] if k <= 2 else 0.0)
    gamma = [psi[: 400 - h] @ psi[h:] for h in range(6)]
    np.testing.assert_allclose(arma_correlations(phi, theta, 5), np.array(gamma) / gamma[0], atol=1e-12)


def test_partial_autocorrelations_go_and_come():
    partial = np.array([0.5, -0.4, 0.8])
    np.testing.assert_allclose(partial_of_correlations(correlations_of_partial(partial), 3), partial)


def test_scales_of_intervals_go_and_come():
    limits = (CORRELATION, POSITIVE, NUMBER, (-0.25, 1.0))
    value = np.array([0.3, 2.5, -4.0, -0.1])
    line = unbounded(value, limits)
    np.testing.assert_allclose(bounded(line, limits), value)
    h = 1e-6 * np.eye(4)
    numeric = [
        (unbounded(value + s, limits) - unbounded(value - s, limits))[k] / 2e-6 for k, s in enumerate(h)
    ]
    np.testing.assert_allclose(line_slopes(value, limits), numeric, rtol=1e-7)
