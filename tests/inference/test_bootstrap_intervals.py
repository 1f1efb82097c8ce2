"""Limits from replicates, checked where the answer can be written down."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from multilevel.errors import DataError
from multilevel.inference.bootstrap_intervals import (
    Sampled,
    accelerations,
    basic,
    bca,
    every_interval,
    least_replicates,
    normal,
    percentile,
    quantiles,
    refuse_few,
    studentized,
)

VALUES = np.random.default_rng(1).permutation(np.arange(1.0, 100.0))  # 99 replicates: the k-th is k
FREE = np.array([[-np.inf, np.inf]])


def pair(interval, estimate=50.0, values=VALUES):
    limits, _ = interval(Sampled(0, estimate, values))
    return tuple(limits)


def test_quantiles_are_order_statistics():
    np.testing.assert_allclose(quantiles(VALUES, np.array([0.05, 0.5, 0.95])), [5.0, 50.0, 95.0])
    assert np.isnan(quantiles(VALUES, np.array([0.005, 0.995]))).all()


def test_percentile_and_basic_limits():
    assert pair(percentile(0.9)) == pytest.approx((5.0, 95.0))
    assert pair(basic(0.9), estimate=40.0) == pytest.approx((80.0 - 95.0, 80.0 - 5.0))


def test_normal_limits_take_the_bias_off():
    half = ndtri(0.95) * VALUES.std(ddof=1)
    assert pair(normal(0.9), estimate=48.0) == pytest.approx((46.0 - half, 46.0 + half))


def test_bca_without_bias_and_skewness_is_the_percentile_interval():
    assert pair(bca(0.9, np.zeros(1))) == pytest.approx((5.0, 95.0))


def test_bca_follows_efron():
    """z0 and a by hand: 39.5 of 99 replicates below, acceleration 0.05."""
    z0, a = ndtri(39.5 / 99.0), 0.05
    expected = [100.0 * ndtr(z0 + (z0 + z) / (1.0 - a * (z0 + z))) for z in (ndtri(0.05), ndtri(0.95))]
    assert pair(bca(0.9, np.array([a])), estimate=40.0) == pytest.approx(expected)


def test_bca_off_the_end_is_missing_with_a_reason():
    limits, reason = bca(0.98, np.array([0.0]))(Sampled(0, 5.0, VALUES))
    assert np.isnan(limits).any()
    assert "beyond the replicates" in reason
    limits, reason = bca(0.9, np.array([0.0]))(Sampled(0, 500.0, VALUES))
    assert np.isnan(limits).all()
    assert "one side" in reason


def test_studentized_limits_turn_t_over():
    t = (VALUES - 50.0)[:, None] / 10.0
    assert pair(studentized(0.9, np.array([2.0]), t)) == pytest.approx((50.0 - 9.0, 50.0 + 9.0))


def test_acceleration_is_a_sixth_of_the_skewness_of_the_influence():
    values = np.array([[1.0], [2.0], [6.0]])
    d = 3.0 - values[:, 0]
    assert accelerations(values)[0] == pytest.approx((d**3).sum() / (6.0 * (d**2).sum() ** 1.5))
    assert accelerations(np.ones((4, 1)))[0] == 0.0


def test_limits_stay_in_the_range_of_their_parameter():
    limits = every_interval(np.array([10.0]), VALUES[:, None], 19, basic(0.9), np.array([[0.0, np.inf]]))
    assert limits.low[0] == 0.0


def test_missing_replicates_are_left_out_and_missing_estimates_said():
    some = np.concatenate([VALUES, [np.nan] * 10])[:, None]
    assert every_interval(np.array([50.0]), some, 19, percentile(0.9), FREE).low[0] == pytest.approx(5.0)
    unknown = every_interval(np.array([np.nan]), some, 19, percentile(0.9), FREE)
    assert np.isnan(unknown.low[0])
    assert "no estimate" in unknown.reasons[0]
    few = every_interval(np.array([50.0]), some[95:], 19, percentile(0.9), FREE)
    assert "too few" in few.reasons[0]


def test_how_many_replicates_a_level_needs():
    assert [least_replicates(level) for level in (0.5, 0.9, 0.95, 0.99)] == [3, 19, 39, 199]
    refuse_few(39, 0.95, "percentile")
    refuse_few(2, 0.95, "normal")
    with pytest.raises(DataError, match="n=39 or more"):
        refuse_few(38, 0.95, "bca")
