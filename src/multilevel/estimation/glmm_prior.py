"""Weak priors that keep a generalized mixed model's estimates finite, off unless asked for.

Coefficients of the mean are drawn to zero by a normal density on standardised columns (Gelman, Jakulin,
Pittau & Su 2008), and covariances of random effects away from singular ones by a gamma density of shape
two on their standard deviations, which is flat but for the boundary (Chung, Rabe-Hesketh, Dorie, Gelman
& Liu 2013).

Gelman, A., Jakulin, A., Pittau, M. G. & Su, Y.-S. (2008). A weakly informative default prior distribution for
logistic and other regression models. Annals of Applied Statistics 2, 1360-1383.
Chung, Y., Rabe-Hesketh, S., Dorie, V., Gelman, A. & Liu, J. (2013). A nondegenerate penalized likelihood
estimator for variance parameters in multilevel models. Psychometrika 78, 685-709.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real

import numpy as np

from multilevel._typing import Array
from multilevel.errors import DataError, DataTypeError
from multilevel.estimation.glmm_rows import WorkingRows
from multilevel.kernels.marginal import PriorPenalty


@dataclass(frozen=True, slots=True)
class WeakPrior:
    """Standard deviations of normal priors on standardised columns; infinite for none."""

    coef: float = 2.5  # slopes of the mean
    intercept: float = 10.0
    zi: float = 5.0  # all coefficients of the excess of zeros
    covariance: float = 1.0  # power of the standard deviations in the prior of the random effects; 0 for none


def checked_prior(prior: object) -> WeakPrior | None:
    """What prior= asks for: None, "weak", or a mapping of the names in WeakPrior to numbers."""
    if prior is None:
        return None
    names = [each.name for each in fields(WeakPrior)]
    if prior == "weak":
        return WeakPrior()
    if not isinstance(prior, Mapping):
        raise DataTypeError(
            f'prior={prior!r:.60} is no prior; write prior="weak", or prior={{"coef": 2.5}} with any of '
            f"{', '.join(names)}."
        )
    unknown = [name for name in prior if name not in names]
    if unknown:
        raise DataError(f"prior= has no part {unknown[0]!r}; its parts are {', '.join(names)}.")
    for name, value in prior.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not float(value) >= 0.0:
            raise DataError(f"prior[{name!r}]={value!r} is no number above zero.")
    off = dict.fromkeys(names, np.inf) | {"covariance": 0.0}
    return WeakPrior(**{**off, **{name: float(value) for name, value in prior.items()}})


def prior_penalty(prior: WeakPrior | None, rows: WorkingRows) -> PriorPenalty | None:
    """The prior on working coefficients, whose columns have unit spread."""
    if prior is None:
        return None
    precision = np.zeros(rows.parts[-1].places.stop)
    for part in rows.parts:
        if part.component == "cond":
            assert part.fixed is not None
            one = part.fixed.centring.one
            sd = np.full(len(part.names), prior.coef)
            if one is not None:
                sd[one != 0.0] = prior.intercept
            precision[part.places] = inverse_square(sd)
        elif part.component == "zi":
            precision[part.places] = inverse_square(np.full(len(part.names), prior.zi))
    return PriorPenalty(precision, np.zeros_like(precision), prior.covariance)


def inverse_square(sd: Array) -> Array:
    """Precisions of standard deviations; zero for infinite ones."""
    return np.where(np.isfinite(sd), 1.0 / np.maximum(sd, 1e-12) ** 2, 0.0)


def penalty(prior: PriorPenalty | None, gamma: Array, factors: list[Array]) -> float:
    """What the prior adds to the criterion."""
    if prior is None:
        return 0.0
    total = float((prior.precision * (gamma - prior.centre) ** 2).sum())
    if prior.avoid_zero > 0.0:
        with np.errstate(divide="ignore"):
            total -= 2.0 * prior.avoid_zero * sum(float(np.log(np.abs(np.diag(T))).sum()) for T in factors)
    return total
