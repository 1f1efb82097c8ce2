"""What does the distribution of a row have as parameters? From linear predictors to means and dispersions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from multilevel._typing import Array
from multilevel.families.links import LINKS
from multilevel.kernels.density import DensityCode

TINY, LARGEST = np.finfo(float).tiny, np.finfo(float).max
VAST = 1e10  # beside which one is nothing


@dataclass(frozen=True, slots=True)
class RowParameters:
    """Parameters of n distributions, as the families' docstrings name them."""

    mu: Array  # (n,) before truncation and excess zeros; of ordered categories nothing is meant by it
    phi: Array  # (n,) dispersion or precision; ones where the family has none
    shape: Array  # (n,) Student's degrees of freedom, Tweedie's power; ones elsewhere
    zeros: (
        Array  # (n,) probability of an excess zero, of a hurdle that of any zero; zeros where there is none
    )
    below: Array  # (categories + 1, n) P(y < j) of ordered categories; (0, n) elsewhere


def row_parameters(density: DensityCode, predictors: Array) -> RowParameters:
    """Parameters from the predictors (K, n) in the order of the core.

    Ordered categories have all their thresholds here, since any of them may be drawn: predictors are the
    mean's and then the categories - 1 thresholds, in increasing order.

    >>> row_parameters(DensityCode("nbinom2", "log"), np.log([[2.0], [5.0]])).mu.round(3)
    array([2.])
    """
    n = predictors.shape[1]
    ones, link = np.ones(n), LINKS[density.link]
    ordinal = density.family == "ordinal"
    own = len(predictors) - density.extra_zeros
    return RowParameters(
        mu=ones if ordinal else link.inverse(predictors[0]),
        phi=ones if ordinal or own < 2 else np.exp(predictors[1]),
        shape=_shape(density, predictors[2]) if own == 3 and not ordinal else ones,
        zeros=expit(predictors[-1]) if density.extra_zeros else np.zeros(n),
        below=_below(density, predictors) if ordinal else np.empty((0, n)),
    )


def _shape(density: DensityCode, predictor: Array) -> Array:
    """Degrees of freedom nu = exp(shape), or the power p = 1 + 1 / (1 + exp(-shape))."""
    return np.asarray(np.exp(predictor) if density.family == "student" else 1.0 + expit(predictor))


def _below(density: DensityCode, predictors: Array) -> Array:
    """P(y < j) for j = 0 .. categories."""
    thresholds = predictors[1 : density.categories] - predictors[0]
    n = predictors.shape[1]
    return np.vstack([np.zeros(n), LINKS[density.link].inverse(thresholds), np.ones(n)])


def negative_binomial_size(density: DensityCode, rows: RowParameters) -> Array:
    """Size of a negative binomial: phi for NB2, mu / phi for NB1; neither zero nor infinite."""
    with np.errstate(over="ignore"):
        size = rows.phi if density.family.endswith("2") else rows.mu / rows.phi
    return np.clip(size, TINY, LARGEST)


def log_no_events(density: DensityCode, rows: RowParameters) -> Array:
    """Log-probability (n,) of a zero in counts before they are cut off above it."""
    if density.family.endswith("poisson"):
        return -rows.mu
    size = negative_binomial_size(density, rows)
    with np.errstate(over="ignore"):
        ratio = rows.mu / size
    return -size * np.where(ratio < VAST, np.log1p(ratio), np.log(np.maximum(rows.mu, TINY)) - np.log(size))
