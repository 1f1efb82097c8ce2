"""Weights of chi-bar-squares against projections, tables and each other."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import nnls

from multilevel.inference.chi_bar import (
    cone_weights,
    elliptic_weights,
    mixture_tail,
    orthant_weights,
    simulated_weights,
)

RNG = np.random.default_rng(11)


def information(d):
    half = RNG.standard_normal((d, d + 3))
    return half @ half.T


def squared_projections(metric, n):
    """Squared lengths of projections on the orthant, each by non-negative least squares."""
    root = np.linalg.cholesky(metric).T
    draws = np.random.default_rng(5).standard_normal((n, len(metric)))
    return np.array([z @ z - nnls(root, z)[1] ** 2 for z in draws])


def test_independent_variances_are_binomial():
    np.testing.assert_allclose(orthant_weights(np.eye(1)), [0.5, 0.5])
    np.testing.assert_allclose(orthant_weights(np.diag([1.0, 9.0])), [0.25, 0.5, 0.25])
    np.testing.assert_allclose(orthant_weights(np.eye(3)), np.array([1, 3, 3, 1]) / 8)


@pytest.mark.parametrize("d", [2, 3])
def test_exact_weights_are_those_of_projections(d):
    metric = information(d)
    squares = squared_projections(metric, 4000)
    weights = cone_weights([1] * d, metric)
    for point in (0.5, 2.0, 5.0):
        tail = mixture_tail(point, weights)
        error = np.sqrt(tail * (1.0 - tail) / 4000)
        assert (squares >= point).mean() == pytest.approx(tail, abs=4.0 * error)


def test_simulated_weights_agree_with_exact_ones():
    # 5,000 draws: a weight has a standard error of at most 0.007
    for sizes, d in [([1, 1, 1], 3), ([1, 1], 2)]:
        metric = information(d)
        np.testing.assert_allclose(simulated_weights(sizes, metric), cone_weights(sizes, metric), atol=0.03)


def test_the_cone_of_2_by_2_covariances_is_circular_in_its_own_metric():
    # by the sum of squares of all entries, matrices of rank one stand at 45 degrees about the identity
    inside = (1.0 - np.cos(np.pi / 4.0)) / 2.0
    expected = [inside, 0.5 - inside, 0.5 - inside, inside]
    np.testing.assert_allclose(elliptic_weights(np.diag([1.0, 2.0, 1.0])), expected, rtol=1e-10)


def test_an_elliptic_cone_agrees_with_projections():
    metric = information(3)
    exact, simulated = elliptic_weights(metric), simulated_weights([2], metric)
    assert exact.sum() == pytest.approx(1.0, abs=1e-12)
    for point in (1.0, 4.0, 8.0):
        assert mixture_tail(point, simulated) == pytest.approx(mixture_tail(point, exact), rel=0.1)


def test_units_do_not_matter():
    metric, units = information(3), np.array([1.0, 100.0, 1e4])
    scaled = metric * np.outer(units, units)  # of a 2 x 2 covariance whose second column is scaled by 100
    np.testing.assert_allclose(cone_weights([2], scaled), cone_weights([2], metric), rtol=1e-10)
    np.testing.assert_allclose(cone_weights([1, 1, 1], scaled), cone_weights([1, 1, 1], metric), rtol=1e-10)


def test_weights_of_every_cone_balance():
    for sizes, d in [([1] * 4, 4), ([2, 1], 4), ([3], 6)]:
        weights = cone_weights(sizes, information(d))
        assert (weights >= 0.0).all()
        assert weights[::2].sum() == pytest.approx(0.5)
        assert weights[1::2].sum() == pytest.approx(0.5)


def test_tails_of_mixtures():
    assert mixture_tail(0.0, np.array([0.5, 0.5])) == 1.0
    assert mixture_tail(3.0, np.array([0.5, 0.5])) == pytest.approx(stats.chi2.sf(3.0, 1) / 2)
    both = (stats.chi2.sf(3.0, 2) + stats.chi2.sf(3.0, 3)) / 2
    assert mixture_tail(3.0, np.array([0.5, 0.5]), free=2) == pytest.approx(both)
