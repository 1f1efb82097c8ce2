"""Draws have the distribution that their density says: means, variances and distribution functions agree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, nbinom

from multilevel.inference.distributions import cumulative, cumulative_below
from multilevel.inference.response_moments import moments
from multilevel.kernels.density import DensityCode
from multilevel.simulation.families import draw
from multilevel.simulation.row_parameters import log_no_events, negative_binomial_size, row_parameters

N = 40_000
CASES = {
    "gaussian": (DensityCode("gaussian", "identity"), (1.5, 0.4)),
    "student": (DensityCode("student", "identity"), (1.5, 0.4, 2.0)),
    "gamma": (DensityCode("gamma", "log"), (0.7, -0.5)),
    "gamma-zeros": (DensityCode("gamma", "log", extra_zeros=True), (0.7, -0.5, -1.0)),
    "inverse_gaussian": (DensityCode("inverse_gaussian", "log"), (0.3, -1.0)),
    "beta": (DensityCode("beta", "logit"), (0.4, 1.2)),
    "binomial": (DensityCode("binomial", "probit"), (0.4,)),
    "binomial-zeros": (DensityCode("binomial", "cloglog", extra_zeros=True), (0.4, -1.0)),
    "beta_binomial": (DensityCode("beta_binomial", "logit"), (-0.6, 0.8)),
    "poisson": (DensityCode("poisson", "log"), (1.1,)),
    "poisson-zeros": (DensityCode("poisson", "sqrt", extra_zeros=True), (1.5, -0.3)),
    "nbinom2": (DensityCode("nbinom2", "log"), (1.4, 0.3)),
    "nbinom2-zeros": (DensityCode("nbinom2", "log", extra_zeros=True), (1.4, 0.3, -1.0)),
    "nbinom1": (DensityCode("nbinom1", "log"), (1.4, 0.3)),
    "tweedie": (DensityCode("tweedie", "log"), (0.5, 0.2, -0.4)),
    "truncated_poisson": (DensityCode("truncated_poisson", "log"), (0.2,)),
    "truncated_poisson-hurdle": (DensityCode("truncated_poisson", "log", extra_zeros=True), (0.2, 0.5)),
    "truncated_nbinom2": (DensityCode("truncated_nbinom2", "log"), (0.2, 0.4)),
    "truncated_nbinom1": (DensityCode("truncated_nbinom1", "log"), (0.2, 0.4)),
}
TRIALS = 7.0


def drawn(name: str, n: int = N) -> tuple[DensityCode, np.ndarray, np.ndarray, np.ndarray]:
    density, row = CASES[name]
    predictors = np.repeat(np.array(row)[:, None], n, axis=1)
    trials = np.full(n, TRIALS)
    return density, predictors, trials, draw(density, predictors, trials, np.random.default_rng(7))


@pytest.mark.parametrize("name", CASES)
def test_moments_of_draws(name: str) -> None:
    density, predictors, trials, y = drawn(name)
    expected = moments(density, predictors, trials)
    mean, variance = expected.mean[0], expected.variance[0]
    fourth = np.mean((y - mean) ** 4)
    # five standard errors of a mean and of a variance
    assert y.mean() == pytest.approx(mean, abs=5.0 * np.sqrt(variance / N))
    assert np.mean((y - mean) ** 2) == pytest.approx(variance, abs=5.0 * np.sqrt((fourth - variance**2) / N))


@pytest.mark.parametrize("name", CASES)
def test_draws_between_the_two_distribution_functions_are_uniform(name: str) -> None:
    density, predictors, trials, y = drawn(name)
    below, upto = (f(density, y, predictors, trials) for f in (cumulative_below, cumulative))
    assert np.all(below <= upto + 1e-14)
    residuals = below + (upto - below) * np.random.default_rng(3).random(N)
    assert kstest(residuals, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
def test_ordered_categories(link: str) -> None:
    density = DensityCode("ordinal", link, categories=4)
    predictors = np.repeat([[0.3], [-0.5], [0.2], [1.9]], N, axis=1)
    y = draw(density, predictors, None, np.random.default_rng(5))
    shares = np.bincount(y.astype(int), minlength=4) / N
    categories, few = np.arange(4.0), predictors[:, :4]
    probability = cumulative(density, categories, few, None) - cumulative_below(
        density, categories, few, None
    )
    assert probability.sum() == pytest.approx(1.0)
    assert shares == pytest.approx(probability, abs=0.013)  # five standard errors


def test_draws_far_out_are_possible_responses() -> None:
    """Predictors at the ends of what numbers hold give counts and shares, not errors."""
    rng = np.random.default_rng(1)
    ends = np.array([[-600.0, -40.0, 40.0]])
    assert np.all(draw(DensityCode("poisson", "log"), ends, None, rng)[:2] == 0.0)
    assert np.all(np.isfinite(draw(DensityCode("poisson", "log"), ends, None, rng)))
    assert draw(DensityCode("binomial", "logit"), ends, np.full(3, 9.0), rng).tolist() == [0.0, 0.0, 9.0]
    dispersed = np.vstack([ends, np.zeros((1, 3))])
    shares = draw(DensityCode("beta", "logit"), dispersed, None, rng)
    assert np.all((shares > 0.0) & (shares < 1.0))
    assert draw(DensityCode("truncated_nbinom2", "log"), dispersed[:, :2], None, rng).tolist() == [1.0, 1.0]
    assert draw(DensityCode("truncated_poisson", "log"), ends[:, :2], None, rng).tolist() == [1.0, 1.0]


def test_the_same_seed_gives_the_same_draws() -> None:
    density, predictors, trials, y = drawn("nbinom2-zeros", 50)
    assert np.array_equal(y, draw(density, predictors, trials, np.random.default_rng(7)))


@pytest.mark.parametrize("family", ["truncated_nbinom2", "truncated_nbinom1"])
def test_truncated_counts_are_quantiles_and_end_whatever_the_predictors(family):
    code = DensityCode(family, "log")
    rng = np.random.default_rng(4)
    predictors = np.vstack([rng.normal(0.0, 2.0, 2000), rng.normal(0.0, 1.0, 2000)])
    drawn = draw(code, predictors, None, np.random.default_rng(1))
    rows = row_parameters(code, predictors)
    size = negative_binomial_size(code, rows)
    above = -np.expm1(log_no_events(code, rows)) * np.random.default_rng(1).random(2000)
    np.testing.assert_array_equal(drawn, np.maximum(nbinom.isf(above, size, size / (size + rows.mu)), 1.0))
    for wild in ([-262.0, 3.0], [40.0, 30.0], [-700.0, -700.0], [300.0, -600.0], [0.0, 600.0]):
        counts = draw(code, np.repeat(np.array(wild)[:, None], 50, axis=1), None, rng)
        assert (counts >= 1.0).all()
