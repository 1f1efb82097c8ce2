"""Rates with their limits, and what is summed up of simulated tests."""

import numpy as np
import pytest
from scipy import stats

from multilevel.inference.monte_carlo import Outcomes, Rate, figures_of, t_outcomes


@pytest.mark.parametrize(("hits", "n"), [(0, 50), (3, 50), (25, 50), (50, 50)])
@pytest.mark.parametrize("kind", ["exact", "wilson"])
def test_limits_are_those_of_scipy(hits, n, kind):
    limits = stats.binomtest(hits, n).proportion_ci(0.95, method=kind)
    np.testing.assert_allclose(Rate(hits, n).limits(kind), (limits.low, limits.high), atol=1e-12)


def test_t_tests_are_those_of_scipy():
    found = t_outcomes(np.array([2.0, -2.0, 0.5]), np.ones(3), np.array([7.5, 3.0, np.inf]))
    expected = [2 * stats.t.sf(2, 7.5), 2 * stats.t.sf(2, 3), 2 * stats.norm.sf(0.5)]
    np.testing.assert_allclose(found.p_value, expected, rtol=1e-12)


def test_figures_by_hand():
    estimate = np.array([3.0, -2.5, 1.0, 4.0, np.nan])
    p = np.array([0.01, 0.04, 0.3, 0.001, np.nan])
    yes, no = np.ones(5, dtype=bool), np.zeros(5, dtype=bool)
    outcomes = Outcomes(estimate, np.ones(5), np.full(5, np.inf), p, yes, no)
    found = figures_of(outcomes, 2.0, 0.05)
    assert (found.rate.hits, found.rate.n, found.n_failed) == (3, 4, 1)
    assert found.bias == pytest.approx(estimate[:4].mean() - 2.0)
    assert found.wrong_sign == pytest.approx(1 / 3)
    assert found.exaggeration == pytest.approx((3 + 2.5 + 4) / 3 / 2.0)
    assert found.coverage.share == pytest.approx(2 / 4)  # 3 and 1 are within 1.96 of 2; -2.5 and 4 are not
    assert found.width == pytest.approx(2 * stats.norm.isf(0.025))


def test_an_effect_of_zero_has_no_sign_and_no_size():
    found = figures_of(t_outcomes(np.array([3.0]), np.ones(1), np.full(1, 5.0)), 0.0, 0.05)
    assert np.isnan(found.wrong_sign)
    assert np.isnan(found.exaggeration)
