"""What does a response have as mean and variance, with trials, truncation and an excess of zeros?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.families.moments import RowParameters, response_mean, response_variance
from multilevel.families.ordinal import NO_MEAN
from multilevel.kernels.density import DensityCode
from multilevel.simulation.row_parameters import row_parameters


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
    zeros = rows.zeros if density.extra_zeros else None
    parameters = RowParameters(rows.mu, rows.phi, rows.shape, n, zeros)
    size = n if density.family in ("binomial", "beta_binomial") else np.ones_like(n)
    mean = response_mean(density.family, parameters)
    return ResponseMoments(size * mean, size**2 * response_variance(density.family, parameters))
