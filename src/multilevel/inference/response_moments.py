"""What does a response have as mean and variance, with trials, truncation and an excess of zeros?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.families.ordinal import NO_MEAN
from multilevel.kernels.density import DensityCode
from multilevel.simulation.row_parameters import RowParameters, log_no_events, row_parameters


@dataclass(frozen=True, slots=True)
class ResponseMoments:
    """Mean and variance of each row; of successes where there are trials."""

    mean: Array  # (n,)
    variance: Array  # (n,) infinite where there is none


def moments(density: DensityCode, predictors: Array, trials: Array | None) -> ResponseMoments:
    """Mean and variance of the response (n,) given its predictors (K, n).

    >>> code = DensityCode("poisson", "log", extra_zeros=True)
    >>> moments(code, np.array([[np.log(2.0)], [np.log(1 / 3)]]), None)
    ResponseMoments(mean=array([1.5]), variance=array([2.25]))
    """
    if density.family == "ordinal":
        raise ModelError(NO_MEAN)
    rows = row_parameters(density, predictors)
    n = np.ones(predictors.shape[1]) if trials is None else trials
    mean = rows.mu * n if density.family in ("binomial", "beta_binomial") else rows.mu
    variance = _variance(density, rows, n)
    if density.family.startswith("truncated"):
        mean, variance = _above_zero(mean, variance, log_no_events(density, rows))
    kept = 1.0 - rows.zeros
    return ResponseMoments(kept * mean, kept * (variance + rows.zeros * mean**2))


def _variance(density: DensityCode, rows: RowParameters, trials: Array) -> Array:
    """Before truncation and excess zeros."""
    mu, phi = rows.mu, rows.phi
    match density.family.removeprefix("truncated_"):
        case "gaussian":
            return phi
        case "student":
            finite = rows.shape > 2.0
            return np.where(finite, phi / (1.0 - 2.0 / np.where(finite, rows.shape, 3.0)), np.inf)
        case "gamma":
            return np.asarray(phi * mu**2)
        case "inverse_gaussian":
            return np.asarray(phi * mu**3)
        case "beta":
            return np.asarray(mu * (1.0 - mu) / (1.0 + phi))
        case "binomial":
            return np.asarray(trials * mu * (1.0 - mu))
        case "beta_binomial":
            return np.asarray(trials * mu * (1.0 - mu) * (1.0 + (trials - 1.0) / (1.0 + phi)))
        case "poisson":
            return mu
        case "nbinom2":
            return np.asarray(mu + mu**2 / phi)
        case "nbinom1":
            return np.asarray(mu * (1.0 + phi))
        case _:  # Tweedie
            return np.asarray(phi * mu**rows.shape)


def _above_zero(mean: Array, variance: Array, log_none: Array) -> tuple[Array, Array]:
    """Mean and variance given that the count is not zero; a count of one where mu is next to nothing."""
    some = np.maximum(-np.expm1(log_none), np.finfo(float).tiny)
    above = np.where(mean < 1e-12, 1.0, mean / some)
    return above, np.where(mean < 1e-12, 0.0, (variance + mean**2) / some - above**2)
