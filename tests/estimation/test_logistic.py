"""Logistic regression: the optimum by its conditions, columns far from zero, separation."""

import numpy as np

from multilevel.estimation.logistic import expit, fit_logistic


def data(n=300):
    rng = np.random.default_rng(8)
    X = np.column_stack([np.ones(n), rng.normal(size=n), 1e6 + rng.normal(size=n)])
    eta = 0.3 + X[:, 1] - 0.5 * (X[:, 2] - 1e6)
    return X, (rng.random(n) < expit(eta)).astype(float)


def test_the_score_is_zero():
    X, y = data()
    fit = fit_logistic(X, y)
    assert fit.converged
    assert not fit.separated
    centred = X - [0.0, 0.0, 1e6]
    np.testing.assert_allclose(centred.T @ (y - fit.probability), 0.0, atol=1e-9)
    np.testing.assert_allclose(expit(X @ fit.beta), fit.probability, atol=1e-8)  # digits of X beta at 1e6


def test_saturated_probabilities_are_shares():
    X = np.kron(np.eye(3), np.ones((4, 1)))
    y = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0.0])
    np.testing.assert_allclose(fit_logistic(X, y).probability[::4], [0.25, 0.5, 0.75], atol=1e-12)


def test_separation_is_seen():
    X = np.column_stack([np.ones(20), np.arange(20.0)])
    assert fit_logistic(X, (np.arange(20) > 9).astype(float)).separated
    assert fit_logistic(np.kron(np.eye(2), np.ones((5, 1))), np.r_[np.ones(5), [1, 0, 1, 0, 1.0]]).separated
