"""The fit without random effects against Newton's method written out, and by algebra."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.kernels.density import DensityCode, log_density
from multilevel.kernels.gaussian import ScaledColumns
from multilevel.kernels.marginal import FixedOutcome, RowPredictor, fit_fixed
from multilevel.kernels.threads import use_threads

CODES = {
    "binomial": DensityCode("binomial", "logit"),
    "cloglog": DensityCode("binomial", "cloglog"),
    "poisson": DensityCode("poisson", "log"),
    "nbinom2": DensityCode("nbinom2", "log"),
    "gamma": DensityCode("gamma", "log"),
    "student": DensityCode("student", "identity"),
    "zero-inflated": DensityCode("nbinom2", "log", extra_zeros=True),
    "ordinal": DensityCode("ordinal", "logit", categories=4),
}


def problem(name: str, n: int = 700):
    """Responses, predictors and a start of finite likelihood."""
    rng = np.random.default_rng(3)
    X = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(3.0, 2.0, n), rng.normal(size=n)]))
    eta = 0.2 + 0.3 * (X[:, 1] - 3.0) - 0.2 * X[:, 2]
    mu = np.exp(eta)
    y = {
        "binomial": lambda: rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))),
        "cloglog": lambda: rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))),
        "poisson": lambda: rng.poisson(mu),
        "nbinom2": lambda: rng.poisson(mu * rng.gamma(2.0, 0.5, n)),
        "gamma": lambda: rng.gamma(3.0, mu / 3.0),
        "student": lambda: eta + rng.standard_t(5, n),
        "zero-inflated": lambda: rng.poisson(mu * rng.gamma(2.0, 0.5, n)) * (rng.random(n) > 0.3),
        "ordinal": lambda: np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5, 1.5]),
    }[name]().astype(float)
    code = CODES[name]
    columns = ScaledColumns(X, np.array([0.0, 3.0, 0.0]), np.array([1.0, 0.5, 1.0]))
    one = ScaledColumns(np.ones((n, 1), order="F"), np.zeros(1), np.ones(1))
    if name == "ordinal":
        columns = ScaledColumns(X[:, 1:].copy(order="F"), np.array([3.0, 0.0]), np.array([0.5, 1.0]))
        upper = np.asfortranarray((y[:, None] == np.arange(3)).astype(float))
        lower = np.asfortranarray((y[:, None] == np.arange(1, 4)).astype(float))
        zero, unit, places = np.zeros(3), np.ones(3), np.arange(2, 5, dtype=np.int32)
        predictors = [
            RowPredictor(None, columns, np.arange(2, dtype=np.int32)),
            RowPredictor(None, ScaledColumns(upper, zero, unit), places),
            RowPredictor(None, ScaledColumns(lower, zero, unit), places),
        ]
        return code, y, predictors, np.array([0.0, 0.0, -1.0, 0.5, 2.0])
    predictors = [RowPredictor(0.1 * X[:, 2].copy(), columns, np.arange(3, dtype=np.int32))]
    for k in range(1, code.n_predictors):
        predictors.append(RowPredictor(None, one, np.array([2 + k], dtype=np.int32)))
    start = np.zeros(2 + code.n_predictors)
    start[3:] = 1.0 if name == "student" else 0.0
    return code, y, predictors, start


def predictor_values(predictors, gamma, n):
    rows = []
    for p in predictors:
        X = (p.columns.values - p.columns.shift) * p.columns.scale
        rows.append(X @ gamma[p.coefficients] + (0.0 if p.offset is None else p.offset) + np.zeros(n))
    return np.array(rows)


def twin_derivatives(code, y, power, predictors, gamma):
    """Log-likelihood, gradient and information, summed column by column."""
    n, G, K = len(y), len(gamma), len(predictors)
    at = log_density(code, y, None, power, predictor_values(predictors, gamma, n), 2)
    wide = np.zeros((K, n, G))
    for k, p in enumerate(predictors):
        np.add.at(
            wide[k], (slice(None), p.coefficients), (p.columns.values - p.columns.shift) * p.columns.scale
        )
    gradient = sum(wide[k].T @ at[1 + k] for k in range(K))
    information = np.zeros((G, G))
    for k in range(K):
        for m in range(K):
            low, high = min(k, m), max(k, m)
            information -= wide[k].T @ (at[1 + K + high * (high + 1) // 2 + low][:, None] * wide[m])
    return at[0].sum(), gradient, information


def fit(name: str, power=None) -> FixedOutcome:
    code, y, predictors, start = problem(name)
    return fit_fixed(code, y, None, power, predictors, start, tolerance=1e-12, most_steps=60)


@pytest.mark.parametrize("name", CODES)
def test_derivatives_are_the_twins_and_vanish(name):
    code, y, predictors, _ = problem(name)
    found = fit(name)
    loglik, gradient, information = twin_derivatives(code, y, None, predictors, found.gamma)
    assert found.converged
    assert found.loglik == pytest.approx(loglik, rel=1e-13)
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-9 * len(y))  # sums in another order
    np.testing.assert_allclose(
        found.information, information, rtol=1e-9, atol=1e-9 * np.abs(information).max()
    )
    promise = 0.5 * gradient @ np.linalg.solve(information, gradient)
    assert promise < 1e-11


@pytest.mark.parametrize("name", ["poisson", "nbinom2", "ordinal"])
def test_a_power_is_repetition(name):
    code, y, predictors, start = problem(name)
    counts = np.random.default_rng(1).integers(1, 4, len(y))
    rows = np.repeat(np.arange(len(y)), counts)
    repeated = [
        RowPredictor(
            None if p.offset is None else p.offset[rows],
            ScaledColumns(np.asfortranarray(p.columns.values[rows]), p.columns.shift, p.columns.scale),
            p.coefficients,
        )
        for p in predictors
    ]
    options = {"tolerance": 1e-12, "most_steps": 60}
    one = fit_fixed(code, y, None, counts.astype(float), predictors, start, **options)
    other = fit_fixed(code, y[rows], None, None, repeated, start, **options)
    np.testing.assert_allclose(one.gamma, other.gamma, rtol=1e-7, atol=1e-9)
    assert one.loglik == pytest.approx(other.loglik, rel=1e-12)


def test_threads_do_not_change_bits():
    code, y, predictors, start = problem("poisson", n=30_000)
    fits = []
    for count in (1, 2):
        use_threads(count)
        fits.append(fit_fixed(code, y, None, None, predictors, start, tolerance=1e-10, most_steps=60))
    use_threads()
    np.testing.assert_array_equal(fits[0].gamma, fits[1].gamma)
    assert fits[0].loglik == fits[1].loglik


def test_a_likelihood_without_a_maximum_does_not_converge_or_ends_far_out():
    x = np.asfortranarray(np.column_stack([np.ones(6), np.arange(6.0)]))
    predictor = RowPredictor(None, ScaledColumns(x, np.zeros(2), np.ones(2)), np.arange(2, dtype=np.int32))
    y = (x[:, 1] > 2.5).astype(float)
    found = fit_fixed(
        CODES["binomial"], y, None, None, [predictor], np.zeros(2), tolerance=1e-9, most_steps=60
    )
    assert np.abs(found.gamma).max() > 20.0


def test_a_start_without_a_likelihood_is_given_back():
    code, y, predictors, start = problem("poisson")
    start[0] = 1e6
    found = fit_fixed(code, y, None, None, predictors, start, tolerance=1e-9, most_steps=60)
    assert not found.converged
    np.testing.assert_array_equal(found.gamma, start)
