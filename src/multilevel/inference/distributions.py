"""How probable is a response as small as this one? Distribution functions, row by row."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, gammainc, gammaln, ndtr, pdtr, stdtr
from scipy.stats import invgauss

from multilevel._typing import Array
from multilevel.kernels.density import DensityCode, log_density
from multilevel.simulation.row_parameters import (
    RowParameters,
    log_no_events,
    negative_binomial_size,
    row_parameters,
)

POISSON_FROM = 1e10  # sizes from which a negative binomial is a Poisson variable to ten digits
CONTINUOUS = {"gaussian", "student", "gamma", "inverse_gaussian", "beta"}


def cumulative(density: DensityCode, y: Array, predictors: Array, trials: Array | None) -> Array:
    """P(Y <= y) of each row (n,).

    Args:
        density: family, link, excess of zeros.
        y: responses (n,), successes where there are trials, the category from 0 where ordinal.
        predictors: (K, n) in the order of the core; of ordered categories the mean's and all thresholds.
        trials: (n,), or None for one each.

    >>> code = DensityCode("poisson", "log")
    >>> cumulative(code, np.array([0.0, 1.0]), np.zeros((1, 2)), None).round(4)
    array([0.3679, 0.7358])
    """
    rows = row_parameters(density, predictors)
    n = np.ones(len(y)) if trials is None else trials
    inside = _cumulative_family(density, y, rows, predictors, n)
    if not density.extra_zeros:
        return inside
    return np.where(y < 0.0, inside, rows.zeros + (1.0 - rows.zeros) * inside)


def cumulative_below(density: DensityCode, y: Array, predictors: Array, trials: Array | None) -> Array:
    """P(Y < y) of each row (n,): less than P(Y <= y) where y has a probability of its own.

    Randomised quantile residuals draw a uniform number between the two (Dunn and Smyth 1996).
    """
    if density.family in CONTINUOUS:
        at = cumulative(density, y, predictors, trials)
        return np.where(y == 0.0, 0.0, at) if density.extra_zeros else at
    if density.family == "tweedie":
        return np.where(y <= 0.0, 0.0, cumulative(density, y, predictors, trials))
    return cumulative(density, y - 1.0, predictors, trials)


def _cumulative_family(
    density: DensityCode, y: Array, rows: RowParameters, predictors: Array, trials: Array
) -> Array:
    mu, phi = rows.mu, rows.phi
    positive = np.maximum(y, 0.0)
    match density.family:
        case "gaussian":
            return np.asarray(ndtr((y - mu) / np.sqrt(phi)))
        case "student":
            return np.asarray(stdtr(rows.shape, (y - mu) / np.sqrt(phi)))
        case "gamma":
            return np.asarray(gammainc(1.0 / phi, positive / (mu * phi)))
        case "inverse_gaussian":
            return np.asarray(invgauss.cdf(positive, mu * phi, scale=1.0 / phi))
        case "beta":
            return np.asarray(betainc(mu * phi, (1.0 - mu) * phi, np.clip(y, 0.0, 1.0)))
        case "binomial":
            return _binomial(y, mu, trials)
        case "beta_binomial":
            return _summed(density, y, predictors, trials)
        case "tweedie":
            return _tweedie(y, rows)
        case "ordinal":
            at = np.clip(np.floor(y) + 1.0, 0.0, density.categories).astype(int)
            return np.asarray(rows.below[at, np.arange(len(y))])
        case _:
            return _counts(density, y, rows)


def _binomial(y: Array, mu: Array, trials: Array) -> Array:
    """P(Y <= y) = I(1 - mu; trials - y, y + 1)."""
    whole = np.clip(np.floor(y), -1.0, trials)
    inside = betainc(np.maximum(trials - whole, 0.5), whole + 1.0 + (whole < 0.0), 1.0 - mu)
    return np.where(whole >= trials, 1.0, np.where(whole < 0.0, 0.0, inside))


def _counts(density: DensityCode, y: Array, rows: RowParameters) -> Array:
    """Of a Poisson or negative binomial variable, as it is or cut off above zero."""
    whole = np.maximum(np.floor(y), 0.0)
    at = pdtr(whole, rows.mu)
    if not density.family.endswith("poisson"):
        size = negative_binomial_size(density, rows)
        at = np.where(size > POISSON_FROM, at, betainc(size, whole + 1.0, size / (size + rows.mu)))
    if density.family.startswith("truncated"):
        none = log_no_events(density, rows)
        at = np.where(whole < 1.0, 0.0, (at - np.exp(none)) / -np.expm1(none))
    return np.where(y < 0.0, 0.0, at)


def _summed(density: DensityCode, y: Array, predictors: Array, trials: Array) -> Array:
    """The probabilities of 0 .. y, added up."""
    last = np.clip(np.floor(y), -1.0, trials).astype(int)
    counts = last + 1
    row = np.repeat(np.arange(len(y)), counts)
    value = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    own = DensityCode(density.family, density.link)
    logs = log_density(own, value.astype(float), trials[row], None, predictors[: own.n_predictors, row])[0]
    return np.minimum(np.bincount(row, np.exp(logs), len(y)), 1.0)


def _tweedie(y: Array, rows: RowParameters) -> Array:
    """Over the number of amounts: Poisson's probabilities, and the gamma distributions of their sums."""
    p = rows.shape
    rate = rows.mu ** (2.0 - p) / (rows.phi * (2.0 - p))
    scale, amount = rows.phi * (p - 1.0) * rows.mu ** (p - 1.0), (2.0 - p) / (p - 1.0)
    reach = 10.0 * np.sqrt(rate) + 40.0  # Poisson's tails beyond are below rounding
    first = np.maximum(1.0, np.floor(rate - reach))
    counts = (np.ceil(rate + reach) - first + 1.0).astype(int)
    row = np.repeat(np.arange(len(y)), counts)
    j = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + first[row]
    log_probability = j * np.log(rate[row]) - rate[row] - gammaln(j + 1.0)
    below = gammainc(j * amount[row], np.maximum(y, 0.0)[row] / scale[row])
    inside = np.exp(-rate) + np.bincount(row, np.exp(log_probability) * below, len(y))
    return np.where(y < 0.0, 0.0, np.minimum(inside, 1.0))
