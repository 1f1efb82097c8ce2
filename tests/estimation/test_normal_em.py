"""EM for a normal vector: a closed form, the likelihood climbed directly, and algebra."""

import numpy as np
import pytest
from scipy.optimize import minimize

from multilevel.clusters.missing_patterns import patterns_of
from multilevel.estimation.normal_em import fit_normal


def gappy(n=40, p=3, seed=13):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + np.arange(p)
    holes = rng.random((n, p)) < 0.25
    holes[holes.all(axis=1), 0] = False
    values[holes] = np.nan
    return values


def fit(values):
    return fit_normal(values, patterns_of(~np.isnan(values)).member)


def minus_loglik(values, mean, covariance):
    total = 0.0
    for row in values:
        seen = ~np.isnan(row)
        part, apart = covariance[np.ix_(seen, seen)], row[seen] - mean[seen]
        total += np.linalg.slogdet(part)[1] + apart @ np.linalg.solve(part, apart)
    return 0.5 * total


def test_one_column_with_gaps_has_a_closed_form():
    # Anderson (1957): the regression on the complete column carries all that its gaps lose
    values = gappy(p=2)
    values = values[~np.isnan(values[:, 0])]
    x, seen = values[:, 0], ~np.isnan(values[:, 1])
    slope, intercept = np.polyfit(x[seen], values[seen, 1], 1)
    left = values[seen, 1] - intercept - slope * x[seen]
    found = fit(values)
    np.testing.assert_allclose(found.mean, [x.mean(), intercept + slope * x.mean()], atol=1e-9)
    variance = left @ left / seen.sum() + slope**2 * x.var()
    np.testing.assert_allclose(
        found.covariance, [[x.var(), slope * x.var()], [slope * x.var(), variance]], atol=1e-8
    )


def test_the_likelihood_has_its_maximum_there():
    values = gappy()
    found = fit(values)
    assert found.converged
    lower = np.tril_indices(3)

    def criterion(parameters):
        root = np.zeros((3, 3))
        root[lower] = parameters[3:]
        return minus_loglik(values, parameters[:3], root @ root.T)

    start = np.concatenate([np.nanmean(values, axis=0), np.diag(np.nanstd(values, axis=0))[lower]])
    best = minimize(criterion, start, method="BFGS", options={"gtol": 1e-7})
    root = np.zeros((3, 3))
    root[lower] = best.x[3:]
    assert minus_loglik(values, found.mean, found.covariance) <= best.fun + 1e-9
    # differenced gradients leave BFGS at about 1e-5
    np.testing.assert_allclose(found.mean, best.x[:3], atol=2e-5)
    np.testing.assert_allclose(found.covariance, root @ root.T, atol=2e-4)


def test_units_and_order_do_not_matter():
    values = gappy()
    one = fit(values)
    other = fit((values * [1e6, 1e-4, 1.0] + [1e9, 0.0, 5.0])[::-1])
    np.testing.assert_allclose(other.mean, one.mean * [1e6, 1e-4, 1.0] + [1e9, 0.0, 5.0], rtol=1e-8)
    scale = np.array([1e6, 1e-4, 1.0])
    np.testing.assert_allclose(other.covariance / np.outer(scale, scale), one.covariance, rtol=1e-7)


def test_complete_rows_have_their_moments():
    values = np.random.default_rng(14).normal(size=(30, 4))
    found = fit(values)
    np.testing.assert_allclose(found.mean, values.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(values.T, ddof=0), atol=1e-12)


@pytest.mark.parametrize("columns", [[0, 1, 1], [0, 1, 0]])
def test_a_column_that_repeats_another_is_seen(columns):
    assert fit(gappy()[:, columns]).singular
