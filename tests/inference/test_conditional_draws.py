"""Draws of missing responses: their mean and covariance against the dense conditional distribution."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.inference.conditional_draws import RowsToComplete, draw_missing, spherical_columns

N_DRAWS = 3_000


@pytest.fixture(scope="module")
def record(sleepstudy):
    return ml.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy).record


@pytest.fixture(scope="module")
def rows():
    days = np.tile(np.arange(4.0), 3)
    codes = np.repeat(np.arange(3), 4).astype(np.int32)
    X = np.column_stack([np.ones(12), days])
    y = 250.0 + 10.0 * days + np.random.default_rng(17).normal(0.0, 40.0, 12)
    y[[2, 3, 6, 8, 9, 10, 11]] = np.nan  # nothing is seen of the third group
    weights = np.linspace(0.5, 2.0, 12)
    return RowsToComplete(X, (X,), (codes,), np.linspace(0.0, 5.0, 12), weights, y, ~np.isnan(y))


def test_moments_of_the_draws(rows, record):
    rng = np.random.default_rng(18)
    draws = np.array([draw_missing(rows, record, rng) for _ in range(N_DRAWS)])
    (term,) = record.terms
    same = rows.codes[0][:, None] == rows.codes[0]
    V = same * (rows.X @ term.covariance @ rows.X.T) + np.diag(record.sigma**2 / rows.weights)
    o, m = rows.observed, ~rows.observed
    mean = rows.X @ record.beta + rows.offset
    gain = V[np.ix_(m, o)] @ np.linalg.inv(V[np.ix_(o, o)])
    expected = mean[m] + gain @ (rows.y[o] - mean[o])
    covariance = V[np.ix_(m, m)] - gain @ V[np.ix_(o, m)]
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(draws.mean(axis=0) - expected) < 4.0 * sd / np.sqrt(N_DRAWS)).all()
    # the standard error of an empirical covariance is at most sqrt(2 / N) standard deviations squared
    apart = np.abs(np.cov(draws.T) - covariance) / np.outer(sd, sd)
    assert apart.max() < 4.5 * np.sqrt(2.0 / N_DRAWS)


def test_columns_times_their_root(rows, record):
    (term,) = record.terms
    G = spherical_columns(rows, [term.root]).toarray()
    same = rows.codes[0][:, None] == rows.codes[0]
    np.testing.assert_allclose(G @ G.T, same * (rows.X @ term.covariance @ rows.X.T), rtol=1e-9, atol=1e-9)
