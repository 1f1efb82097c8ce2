"""The F test of the whole model agrees with the comparison of sums of squares, however X is written."""

import numpy as np
import pytest

from multilevel.estimation.ols import least_squares
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.overall import adjusted_r_squared, overall_test, r_squared
from multilevel.inference.variance import model_variance, variance_of


def record(X, y):
    solution = least_squares(X, y)
    n, p = X.shape
    return OLSRecord(
        coef_names=tuple(f"x{j}" for j in range(p)),
        beta=solution.beta,
        sigma=float(np.sqrt(solution.rss / (n - p))),
        fitted=y - solution.residuals,
        residuals=solution.residuals,
        rss=solution.rss,
        tss=solution.tss,
        n_obs=float(n),
        loglik=0.0,
        centring=solution.centring,
        root=solution.root,
    )


@pytest.fixture
def data():
    rng = np.random.default_rng(11)
    dummies = (np.arange(40) % 4)[:, None] == np.arange(4)
    return dummies.astype(float), rng.normal(size=40), rng.normal(size=40)


@pytest.mark.parametrize("intercept", ["first", "last", "dummies"])
def test_wald_f_is_the_ratio_of_sums_of_squares(data, intercept):
    dummies, x, y = data
    constant = np.ones(40)
    X = {
        "first": np.column_stack([constant, dummies[:, 1:], 1e6 * x]),
        "last": np.column_stack([dummies[:, 1:], 1e-6 * x, constant]),
        "dummies": np.column_stack([dummies, x + 100.0]),
    }[intercept]
    fit = record(X, y)
    test = overall_test(fit, model_variance(fit))
    expected = (fit.tss - fit.rss) / 4 / (fit.rss / 35)
    assert test.statistic == pytest.approx(expected, rel=1e-10)
    assert (test.df_num, test.df_den) == (4.0, 35.0)
    assert adjusted_r_squared(fit) == pytest.approx(1.0 - (1.0 - r_squared(fit)) * 39 / 35, rel=1e-12)


def test_without_a_constant_all_coefficients_are_tested(data):
    _, x, y = data
    fit = record(x[:, None], y)
    test = overall_test(fit, model_variance(fit))
    assert test.df_num == 1.0
    assert test.statistic == pytest.approx((fit.tss - fit.rss) / (fit.rss / 39), rel=1e-10)


def test_a_mean_alone_has_nothing_to_test(data):
    fit = record(np.ones((40, 1)), data[2])
    assert overall_test(fit, model_variance(fit)) is None


def test_variance_of_a_prediction_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(12)
    x, y = np.round(rng.normal(size=(2, 50)), 3)
    near = record(np.column_stack([np.ones(50), x]), y)
    far = record(np.column_stack([np.ones(50), x + 2.0**27]), y)
    rows = np.array([[1.0, 0.5], [1.0, -2.0]])
    moved = rows + np.array([0.0, 2.0**27])
    # x'Vx as written would lose 16 digits here
    np.testing.assert_allclose(
        variance_of(far, model_variance(far), moved), variance_of(near, model_variance(near), rows), rtol=1e-6
    )
