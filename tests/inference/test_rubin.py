"""Rubin's rules against numbers worked by hand, and their algebra."""

import numpy as np
import pytest

from multilevel.inference.coefficients import KnownDf
from multilevel.inference.rubin import PooledInference, barnard_rubin_df, joint_df

RNG = np.random.default_rng(6)


def inference(beta, covariance, df):
    return KnownDf("test", np.array(beta, dtype=float), np.linalg.cholesky(covariance), df)


def random_inference(p, df):
    A = RNG.normal(size=(p, p + 2))
    return inference(RNG.normal(size=p), A @ A.T, df)


def test_one_coefficient_by_hand():
    # estimates 8, 9, 10, 11, 12 with variances 1.0, 1.2, 0.8, 1.1, 0.9: Q = 10, W = 1, B = 10 / 4 = 2.5,
    # T = 1 + 1.2 * 2.5 = 4, r = 3, lambda = 0.75, nu = 4 / 0.75^2 = 64 / 9
    fits = [
        inference([q], [[w]], np.inf)
        for q, w in zip([8, 9, 10, 11, 12], [1.0, 1.2, 0.8, 1.1, 0.9], strict=True)
    ]
    pooled = PooledInference(tuple(fits)).pooled(np.eye(1))
    df = 64.0 / 9.0
    expected = {
        "estimate": 10.0,
        "within": 1.0,
        "between": 2.5,
        "total": 4.0,
        "std_error": 2.0,
        "increase": 3.0,
        "share_missing": 0.75,
        "df": df,
        "missing_information": (3.0 + 2.0 / (df + 3.0)) / 4.0,
    }
    for name, value in expected.items():
        assert getattr(pooled, name)[0] == pytest.approx(value, rel=1e-12), name
    assert pooled.efficiency[0] == pytest.approx(1.0 / (1.0 + expected["missing_information"] / 5.0))
    # Barnard and Rubin with 20 degrees of freedom: observed 0.25 * 20 * 21 / 23
    small = 1.0 / (9.0 / 64.0 + 23.0 / (0.25 * 20.0 * 21.0))
    assert barnard_rubin_df(5, 0.75, 20.0) == pytest.approx(small, rel=1e-12)


def test_d1_by_hand():
    # W = I, B = diag(0.1, 0.3): r = 1.25 * 0.4 / 2 = 0.25, D1 = (4 + 9) / (2 * 1.25); t = 2 * 3 = 6
    deviations = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt([0.1, 0.3]) * np.sqrt(3.0) / 2.0
    fits = tuple(inference(each, np.eye(2), np.inf) for each in deviations + np.array([2.0, 3.0]))
    test = PooledInference(fits).f_test(np.eye(2))
    assert test.statistic == pytest.approx(13.0 / 2.5, rel=1e-12)
    assert test.df_num == 2.0
    assert test.df_den == pytest.approx(4.0 + 2.0 * (1.0 + (2.0 / 3.0) / 0.25) ** 2, rel=1e-12)


def test_identical_fits_pool_to_themselves():
    one = random_inference(3, 17.0)
    pooled = PooledInference((one,) * 4)
    L = RNG.normal(size=(2, 3))
    np.testing.assert_allclose(pooled.covariance(L), one.covariance(L), rtol=1e-12)
    np.testing.assert_array_equal(pooled.df(L), one.df(L))
    assert (pooled.pooled(L).missing_information == 0.0).all()
    mine, theirs = pooled.f_test(L), one.f_test(L)
    assert mine.statistic == pytest.approx(theirs.statistic, rel=1e-9)
    assert mine.p_value == pytest.approx(theirs.p_value, rel=1e-9)


@pytest.fixture
def fits():
    return tuple(random_inference(3, df) for df in (12.0, 14.0, 16.0, 18.0))


def test_the_order_of_fits_is_irrelevant(fits):
    one, other = PooledInference(fits).pooled(np.eye(3)), PooledInference(fits[::-1]).pooled(np.eye(3))
    for name in ("estimate", "total", "df", "missing_information"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12)


def test_the_joint_test_of_one_function_is_its_t_test(fits):
    pooled = PooledInference(fits)
    L = np.array([[1.0, -2.0, 0.5]])
    one = pooled.pooled(L)
    test = pooled.f_test(L)
    assert test.statistic == pytest.approx(float(one.estimate[0] ** 2 / one.total[0]), rel=1e-10)
    assert test.df_den == pytest.approx(float(one.df[0]), rel=1e-10)


def test_the_joint_test_does_not_depend_on_how_it_is_stated(fits):
    pooled = PooledInference(fits)
    L = RNG.normal(size=(2, 3))
    one, other = pooled.f_test(L), pooled.f_test(np.vstack([1e4 * L[1], L[0] + L[1], L[0]]))
    assert (other.df_num, other.statistic) == pytest.approx((one.df_num, one.statistic), rel=1e-8)
    assert other.df_den == pytest.approx(one.df_den, rel=1e-6)


def test_complete_data_bound_the_degrees_of_freedom():
    assert joint_df(3, 10, 0.2, 25.0) < min(25.0, joint_df(3, 10, 0.2, np.inf))
    assert joint_df(1, 4, 0.3, np.inf) == pytest.approx(barnard_rubin_df(4, 0.3 / 1.3, np.inf), rel=1e-12)


@pytest.mark.study
def test_intervals_cover_when_a_fifth_is_missing():
    covered = []
    for _ in range(2000):
        y = RNG.normal(size=40)
        seen = RNG.random(40) > 0.3
        n = int(seen.sum())
        means = []
        for _ in range(5):
            sigma = np.sqrt((n - 1) * y[seen].var(ddof=1) / RNG.chisquare(n - 1))
            mu = RNG.normal(y[seen].mean(), sigma / np.sqrt(n))
            full = np.where(seen, y, RNG.normal(mu, sigma, 40))
            means.append(inference([full.mean()], [[full.var(ddof=1) / 40]], 39.0))
        pooled = PooledInference(tuple(means))
        covered.append(pooled.f_test(np.eye(1)).p_value > 0.05)
    assert 0.935 < np.mean(covered) < 0.965  # three standard errors of 2,000 replicates
