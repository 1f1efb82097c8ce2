"""The compiled log-densities of a response: values and exact derivatives in each row's predictors.

The predictors of a density stand in order: of the mean; the log dispersion, or the upper threshold of an
ordered category; the shape, or the lower threshold; last, with an excess of zeros, the logit of its
probability. `multilevel.families` says what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel.kernels import _core

Array = npt.NDArray[np.float64]

DENSITIES = (  # as the core numbers them
    "gaussian",
    "binomial",
    "poisson",
    "nbinom2",
    "nbinom1",
    "gamma",
    "inverse_gaussian",
    "beta",
    "beta_binomial",
    "tweedie",
    "student",
    "ordinal",
    "truncated_poisson",
    "truncated_nbinom2",
    "truncated_nbinom1",
)
LINKS = ("logit", "probit", "cloglog", "cauchit", "log", "identity", "inverse", "1/mu^2", "sqrt")
ONE_PREDICTOR = {"binomial", "poisson", "truncated_poisson"}
THREE_PREDICTORS = {"student", "tweedie", "ordinal"}


@dataclass(frozen=True, slots=True)
class DensityCode:
    """Which log-density the core is to evaluate."""

    family: str  # one of DENSITIES
    link: str  # one of LINKS
    extra_zeros: bool = False  # P(0) = pi + (1 - pi) f(0); where f(0) = 0, a hurdle
    categories: int = 0  # of an ordinal response

    @property
    def n_predictors(self) -> int:
        """Linear predictors of a row, the mean's first."""
        own = 1 if self.family in ONE_PREDICTOR else 3 if self.family in THREE_PREDICTORS else 2
        return own + self.extra_zeros

    @property
    def codes(self) -> tuple[int, int, bool, int]:
        """What the core calls them."""
        return DENSITIES.index(self.family), LINKS.index(self.link), self.extra_zeros, self.categories


def log_density(
    density: DensityCode,
    y: Array,
    trials: Array | None,
    power: Array | None,
    predictors: Array,
    order: int = 0,
    active: tuple[int, ...] | None = None,
) -> Array:
    """Log-densities, all constants in, and their derivatives in the predictors: (n_derivatives, n).

    Rows of the result: the value, then d_i, then d_ij (i <= j), then d_ijk, each group in the order of its
    largest index, then the next.

    Args:
        density: family, link, zeros.
        y: responses (n,), successes where there are trials, the category from 0 where ordinal.
        trials: (n,), or None for one each.
        power: multiplies the log-density (n,), or None.
        predictors: (K, n).
        order: of the highest derivatives, 0 to 3.
        active: predictors to differentiate by; all of them by default.

    >>> code = DensityCode("binomial", "logit")
    >>> log_density(code, np.array([1.0]), None, None, np.array([[0.0]]), order=2).round(4).tolist()
    [[-0.6931], [0.5], [-0.25]]
    """
    chosen = range(density.n_predictors) if active is None else active
    rows = np.ascontiguousarray(predictors, dtype=np.float64)
    return _core.log_density(
        *density.codes, _column(y), _optional(trials), _optional(power), rows, list(chosen), order
    )


def _column(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.float64)


def _optional(values: Array | None) -> Array | None:
    return None if values is None else _column(values)
