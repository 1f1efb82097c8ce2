"""First-order autoregression: the correlation of two columns falls by powers of their distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.correlated import curve, curve_inverse, curve_slope, scaled_factor, scaled_slopes
from multilevel.covariance.diagonal import (
    collapsed_deviations,
    deviation_names,
    deviation_start,
    null_slope_of_deviations,
)


@dataclass(frozen=True, slots=True)
class Autoregressive:
    """Standard deviations, and the correlation rho of neighbours: corr(i, j) = rho^|i - j|.

    Columns are equally spaced, in their order. The Cholesky factor is known: each column is rho times the one
    before plus an innovation of variance 1 - rho^2.

    >>> from multilevel.covariance.structure import covariance
    >>> covariance(Autoregressive(3), np.array([1.0, 0.75])).round(12)
    array([[1.  , 0.6 , 0.36],
           [0.6 , 1.  , 0.6 ],
           [0.36, 0.6 , 1.  ]])
    """

    size: int  # at least 2
    hom: bool = True  # one standard deviation for all columns

    @property
    def n_parameters(self) -> int:
        """The standard deviations and eta."""
        return (1 if self.hom else self.size) + 1

    def parameter_names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of the standard deviations, then "correlation"."""
        return (*deviation_names(columns, self.hom), "correlation")

    def start(self, deviations: Array, correlation: float) -> Array:
        """The given standard deviations, neighbours with the given correlation."""
        return np.append(deviation_start(deviations, self.hom), curve_inverse(correlation))

    def factor(self, theta: Array) -> Array:
        """diag(sd) times the Cholesky factor of the correlation matrix."""
        return scaled_factor(theta, self._correlation_factor(theta[-1]), self.hom)

    def factor_slopes(self, theta: Array) -> Array:
        """In the standard deviations, then in eta."""
        eta = float(theta[-1])
        slope = self._correlation_factor_slope(eta)
        return scaled_slopes(theta, self._correlation_factor(eta), slope, self.hom)

    def collapsed(self, theta: Array, least: float) -> Array:
        """Small standard deviations become zero; the correlation stays."""
        return np.append(collapsed_deviations(theta[:-1], least), theta[-1])

    def null_slope(self, theta: Array, G: Array) -> float:
        """Over the standard deviations that are zero."""
        return null_slope_of_deviations(theta[:-1], self.factor_slopes(theta), G)

    def _correlation_factor(self, eta: float) -> Array:
        return np.tril(_power(curve(eta), self._lag())) * self._innovations(1.0 / np.hypot(1.0, eta))

    def _correlation_factor_slope(self, eta: float) -> Array:
        lag, root = self._lag(), 1.0 / np.hypot(1.0, eta)  # sqrt(1 - rho^2), without cancellation near one
        d_power = lag * _power(curve(eta), np.maximum(lag - 1, 0)) * curve_slope(eta)
        d_innovations = np.where(np.arange(self.size) == 0, 0.0, -eta * root**3)
        power = _power(curve(eta), lag)
        return np.tril(d_power * self._innovations(root) + power * d_innovations)

    def _innovations(self, root: float) -> Array:
        """Standard deviation of what each column brings anew: (q,)."""
        return np.where(np.arange(self.size) == 0, 1.0, root)

    def _lag(self) -> Array:
        """Distance of row from column, 0 above the diagonal: (q, q)."""
        position = np.arange(float(self.size))
        return np.maximum(position[:, None] - position, 0.0)


def _power(rho: float, lag: Array) -> Array:
    return np.asarray(np.float64(rho) ** lag)  # a whole-numbered lag: a negative rho has a power
