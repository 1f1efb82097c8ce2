"""First-order autoregression: the correlation of two columns falls by powers of their distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.correlated import (
    collapsed_ends,
    null_slope_of_ends,
    scaled_root,
    scaled_slopes,
)
from multilevel.covariance.diagonal import deviation_names, deviation_start
from multilevel.covariance.structure import covariance

TURN = np.pi  # from one end of the correlation's range to the other


@dataclass(frozen=True, slots=True)
class Autoregressive:
    """Standard deviations, and the correlation rho = cos(eta) of neighbours: corr(i, j) = rho^|i - j|.

    Columns are equally spaced, in their order. Each is rho times the one before plus an innovation of
    standard deviation sin(eta), which gives a lower-triangular root of the correlation matrix.

    >>> from multilevel.covariance.structure import covariance
    >>> covariance(Autoregressive(3), np.array([1.0, np.arccos(0.6)])).round(12)
    array([[1.  , 0.6 , 0.36],
           [0.6 , 1.  , 0.6 ],
           [0.36, 0.6 , 1.  ]])
    """

    size: int  # at least 2
    hom: bool = True  # one standard deviation for all columns

    @property
    def n_parameters(self) -> int:
        """The standard deviations and eta."""
        return self.n_sizes + 1

    @property
    def n_sizes(self) -> int:
        """All standard deviations."""
        return 1 if self.hom else self.size

    def parameter_names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of the standard deviations, then "correlation"."""
        return (*deviation_names(columns, self.hom), "correlation")

    def start(self, deviations: Array, correlation: float) -> Array:
        """The given standard deviations, neighbours with the given correlation."""
        return np.append(deviation_start(deviations, self.hom), np.arccos(correlation))

    def factor(self, theta: Array) -> Array:
        """diag(sd) times the Cholesky factor of the correlation matrix."""
        return scaled_root(theta, self._root(theta[-1]), self.hom)

    def factor_slopes(self, theta: Array) -> Array:
        """In the standard deviations, then in eta."""
        return scaled_slopes(theta, self._root(theta[-1]), self._root_slope(theta[-1]), self.hom)

    def collapsed(self, theta: Array, least: float) -> Array:
        """Small standard deviations become zero, and a correlation close to an end of its range is there."""
        return collapsed_ends(theta, least, TURN)

    def null_slope(self, theta: Array, G: Array) -> float:
        """Over the standard deviations that are zero, and the correlation at an end of its range."""
        return null_slope_of_ends(partial(covariance, self), theta, G, TURN)

    def _root(self, eta: float) -> Array:
        return np.asarray(np.tril(np.cos(eta) ** self._lag()) * self._innovations(np.sin(eta), 1.0))

    def _root_slope(self, eta: float) -> Array:
        rho, innovation, lag = np.cos(eta), np.sin(eta), self._lag()
        power, power_slope = rho**lag, -innovation * lag * rho ** np.maximum(lag - 1, 0)
        by_power = power_slope * self._innovations(innovation, 1.0)
        return np.asarray(np.tril(by_power + power * self._innovations(rho, 0.0)))

    def _innovations(self, later: float, first: float) -> Array:
        """What multiplies the columns of the root: (q,)."""
        return np.where(np.arange(self.size) == 0, first, later)

    def _lag(self) -> Array:
        """Distance of row from column, 0 above the diagonal: (q, q)."""
        position = np.arange(float(self.size))
        return np.maximum(position[:, None] - position, 0.0)
