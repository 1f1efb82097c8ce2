"""Design effects of coefficients: the variance formula written out, Moulton's for one predictor, algebra."""

import numpy as np
import pytest

from multilevel.clusters.attenuation import attenuation
from multilevel.clusters.coefficient_inflation import WhitenedRows, coefficient_inflation, whitened_rows
from multilevel.clusters.moulton import icc_given, predictor_icc
from multilevel.clusters.one_way import group_moments


@pytest.fixture
def regression():
    rng = np.random.default_rng(1)
    codes = np.sort(rng.integers(0, 12, 90)).astype(np.int32)
    between = rng.normal(size=12)[codes]
    X = np.column_stack([np.ones(90), between, rng.normal(size=90), 0.5 * between + rng.normal(size=90)])
    y = X @ np.ones(4) + rng.normal(size=12)[codes] + rng.normal(size=90)
    return X, y, codes


def residuals(X, y):
    return y - X @ np.linalg.lstsq(X, y, rcond=None)[0]


def test_the_design_effect_is_the_variance_under_a_common_correlation(regression):
    X, y, codes = regression
    found = coefficient_inflation(WhitenedRows(X, residuals(X, y), None), codes)
    same = (codes[:, None] == codes).astype(float)
    V = (1.0 - found.icc) * np.eye(90) + found.icc * same
    bread = np.linalg.inv(X.T @ X)
    np.testing.assert_allclose(found.deff, np.diag(bread @ X.T @ V @ X @ bread) / np.diag(bread), rtol=1e-10)
    M = np.eye(90) - X @ bread @ X.T
    assert found.naive_share == pytest.approx(np.trace(M @ V) / 86.0, rel=1e-10)


def test_one_predictor_has_moultons_numbers(regression):
    X, y, codes = regression
    one = X[:, [0, 3]]
    found = coefficient_inflation(WhitenedRows(one, residuals(one, y), None), codes)
    assert found.icc_x[1] == pytest.approx(predictor_icc(group_moments(one[:, 1], codes)), rel=1e-10)
    assert found.icc == pytest.approx(icc_given(y, one[:, 1], codes, None), rel=1e-10)


def test_counts_are_repeated_rows_and_units_do_not_matter(regression):
    X, y, codes = regression
    counts = np.random.default_rng(2).integers(1, 4, 90).astype(float)
    times = counts.astype(int)
    long, scaled = np.repeat(X, times, axis=0), X * [1.0, 1e6, 1.0, 1e-5]
    left = residuals(long, np.repeat(y, times))
    first = left[np.cumsum(times) - 1]
    one = coefficient_inflation(WhitenedRows(scaled, first, counts), codes)
    other = coefficient_inflation(WhitenedRows(long, left, None), np.repeat(codes, times))
    for name in ("icc", "icc_x", "deff", "se_ratio"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-7)


def test_weights_whiten_the_rows(regression):
    X, y, _ = regression
    weights = np.linspace(0.5, 2.0, 90)
    rows = whitened_rows(X, y, weights, None)
    np.testing.assert_allclose(rows.X.T @ rows.X, X.T @ np.diag(weights) @ X)
    np.testing.assert_allclose(rows.residuals**2, weights * y**2)


def test_too_few_clusters_leave_no_icc(regression):
    _, y, codes = regression
    two = np.minimum(codes, 1)
    X = np.column_stack([np.ones(90), two])
    found = coefficient_inflation(WhitenedRows(X, residuals(X, y), None), two)
    assert np.isnan(found.icc)
    assert np.isnan(found.se_ratio).all()


@pytest.mark.parametrize(("link", "expected"), [("identity", 1.0), ("log", 1.0), ("cauchit", None)])
def test_links_without_attenuation_or_without_a_formula(link, expected):
    assert attenuation(link, 4.0) == expected


def test_attenuation_is_that_of_the_averaged_curve():
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    mean = (1.0 / (1.0 + np.exp(-2.0 * nodes - 2.0))) @ weights / weights.sum()
    flattened = np.log(mean / (1.0 - mean)) / 2.0  # the slope between 0 and 2
    assert attenuation("logit", 4.0) == pytest.approx(flattened, rel=0.05)  # the closed form errs by up to 7%
    nearer = (1.0 / (1.0 + np.exp(-0.5 * nodes - 0.5))) @ weights / weights.sum()
    assert attenuation("logit", 0.25) == pytest.approx(np.log(nearer / (1.0 - nearer)) / 0.5, rel=0.02)
