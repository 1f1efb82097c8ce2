"""New responses from linear predictors: one draw for each row, whatever the family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import betainc

from multilevel._typing import Array, Mask
from multilevel.kernels.density import DensityCode
from multilevel.simulation.row_parameters import (
    RowParameters,
    log_no_events,
    negative_binomial_size,
    row_parameters,
)

TINY = np.finfo(float).tiny
MANY = 1e15  # events beyond which a Poisson count is a normal variable, rounded


def draw(
    density: DensityCode, predictors: Array, trials: Array | None, generator: np.random.Generator
) -> Array:
    """One response (n,) for each column of the predictors.

    Args:
        density: family, link, excess of zeros.
        predictors: (K, n) in the order of the core; of ordered categories the mean's and all thresholds.
        trials: (n,), or None for one each.
        generator: the random stream.

    >>> code = DensityCode("poisson", "log", extra_zeros=True)
    >>> draw(code, np.array([[3.0, 3.0], [50.0, -50.0]]), None, np.random.default_rng(1))
    array([ 0., 25.])
    """
    rows = row_parameters(density, predictors)
    n = np.ones(predictors.shape[1]) if trials is None else trials
    drawn = _draw_family(density, rows, n, generator)
    if not density.extra_zeros:
        return drawn
    return np.where(generator.random(len(drawn)) < rows.zeros, 0.0, drawn)


def _draw_family(
    density: DensityCode, rows: RowParameters, trials: Array, generator: np.random.Generator
) -> Array:
    match density.family:
        case "gaussian" | "student" | "gamma" | "inverse_gaussian" | "beta" | "tweedie":
            return np.asarray(_measurement(density.family, rows, generator))
        case "binomial":
            return _successes(trials, np.clip(rows.mu, 0.0, 1.0), generator)
        case "beta_binomial":
            return _successes(trials, _beta(rows.mu, rows.phi, generator), generator)
        case "ordinal":
            uniform = generator.random(len(rows.mu))
            return np.asarray((uniform >= rows.below[1:-1]).sum(axis=0), dtype=float)
        case _:
            return _count(density, rows, generator)


def _measurement(family: str, rows: RowParameters, generator: np.random.Generator) -> Array:
    mu, phi = rows.mu, rows.phi
    match family:
        case "gaussian":
            return mu + np.sqrt(phi) * generator.standard_normal(len(mu))
        case "student":
            return mu + np.sqrt(phi) * generator.standard_t(rows.shape)
        case "gamma":
            return mu * phi * generator.standard_gamma(1.0 / phi)
        case "inverse_gaussian":
            return generator.wald(mu, 1.0 / phi)
        case "beta":
            return np.clip(_beta(mu, phi, generator), TINY, 1.0 - np.finfo(float).epsneg)
        case _:
            return _tweedie(rows, generator)


def _count(density: DensityCode, rows: RowParameters, generator: np.random.Generator) -> Array:
    match density.family:
        case "poisson":
            return _poisson(rows.mu, generator)
        case "nbinom2" | "nbinom1":
            size = negative_binomial_size(density, rows)
            return _poisson(rows.mu / size * generator.standard_gamma(size), generator)
        case "truncated_poisson":
            return _truncated_poisson(rows.mu, generator)
        case _:
            return _truncated_negative_binomial(density, rows, generator)


def _successes(trials: Array, probability: Array, generator: np.random.Generator) -> Array:
    return generator.binomial(trials.astype(np.int64), probability).astype(float)


def _poisson(mu: Array, generator: np.random.Generator) -> Array:
    counts = generator.poisson(np.minimum(mu, MANY))
    normal = np.rint(mu + np.sqrt(mu) * generator.standard_normal(len(mu))) if (mu > MANY).any() else counts
    return np.where(mu > MANY, normal, counts).astype(float)


def _beta(mu: Array, precision: Array, generator: np.random.Generator) -> Array:
    return generator.beta(np.maximum(mu * precision, TINY), np.maximum((1.0 - mu) * precision, TINY))


def _tweedie(rows: RowParameters, generator: np.random.Generator) -> Array:
    """The sum of a Poisson number of gamma amounts."""
    p = rows.shape
    events = generator.poisson(rows.mu ** (2.0 - p) / (rows.phi * (2.0 - p)))
    scale = rows.phi * (p - 1.0) * rows.mu ** (p - 1.0)
    return np.where(events > 0, scale * generator.standard_gamma(events * (2.0 - p) / (p - 1.0)), 0.0)


def _truncated_poisson(mu: Array, generator: np.random.Generator) -> Array:
    """The first event falls somewhere in (0, mu); after it events come as they always do."""
    first = -np.log1p(generator.random(len(mu)) * np.expm1(-mu))
    return 1.0 + _poisson(np.maximum(mu - first, 0.0), generator)


def _truncated_negative_binomial(
    density: DensityCode, rows: RowParameters, generator: np.random.Generator
) -> Array:
    """The quantile of a uniform share of what lies above zero."""
    size = negative_binomial_size(density, rows)
    above = -np.expm1(log_no_events(density, rows)) * generator.random(len(rows.mu))
    event = rows.mu / (size + rows.mu)
    return _least_count(lambda count: betainc(count + 1.0, size, event) <= above, len(above))


def _least_count(reached: Callable[[Array], Mask], n: int) -> Array:
    """The smallest count (n,) from 1 on at which something is reached that stays reached, by bisection."""
    high = np.ones(n)
    while (short := ~reached(high) & (high < MANY)).any():
        high = np.where(short, 2.0 * high, high)
    low = np.floor(0.5 * high)  # not yet reached, or 0
    while (apart := high - low > 1.0).any():
        middle = np.floor(0.5 * (low + high))
        there = reached(middle)
        high = np.where(apart & there, middle, high)
        low = np.where(apart & ~there, middle, low)
    return high
