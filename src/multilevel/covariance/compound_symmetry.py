"""Compound symmetry: every pair of columns has the same correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.correlated import (
    cholesky_slope,
    curve,
    curve_inverse,
    curve_slope,
    scaled_factor,
    scaled_slopes,
)
from multilevel.covariance.diagonal import (
    collapsed_deviations,
    deviation_names,
    deviation_start,
    null_slope_of_deviations,
)


def exchangeable_correlation(size: int, rho: float) -> Array:
    """One on the diagonal, rho elsewhere: (q, q)."""
    return np.where(np.eye(size, dtype=bool), 1.0, rho)


@dataclass(frozen=True, slots=True)
class CompoundSymmetry:
    """Standard deviations, and one correlation in (-1 / (q - 1), 1), where the matrix is positive definite.

    >>> from multilevel.covariance.structure import covariance
    >>> covariance(CompoundSymmetry(2, hom=True), np.array([2.0, 0.75])).round(12)
    array([[4. , 2.4],
           [2.4, 4. ]])
    """

    size: int  # at least 2
    hom: bool = False  # one standard deviation for all columns

    @property
    def n_parameters(self) -> int:
        """The standard deviations and eta."""
        return (1 if self.hom else self.size) + 1

    @property
    def least_correlation(self) -> float:
        """Below it the columns' sum would have a negative variance."""
        return -1.0 / (self.size - 1)

    def correlation(self, eta: float) -> float:
        """The curve mapped onto (-1 / (q - 1), 1)."""
        low = self.least_correlation
        return low + (1.0 - low) * 0.5 * (1.0 + curve(eta))

    def correlation_slope(self, eta: float) -> float:
        """Derivative of the correlation in eta."""
        return (1.0 - self.least_correlation) * 0.5 * curve_slope(eta)

    def parameter_names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of the standard deviations, then "correlation"."""
        return (*deviation_names(columns, self.hom), "correlation")

    def start(self, deviations: Array, correlation: float) -> Array:
        """The given standard deviations and correlation."""
        low = self.least_correlation
        eta = curve_inverse(2.0 * (correlation - low) / (1.0 - low) - 1.0)
        return np.append(deviation_start(deviations, self.hom), eta)

    def factor(self, theta: Array) -> Array:
        """diag(sd) times the Cholesky factor of the correlation matrix."""
        return scaled_factor(theta, self._correlation_factor(theta), self.hom)

    def factor_slopes(self, theta: Array) -> Array:
        """In the standard deviations, then in eta."""
        lower = self._correlation_factor(theta)
        change = (1.0 - np.eye(self.size)) * self.correlation_slope(theta[-1])
        return scaled_slopes(theta, lower, cholesky_slope(lower, change), self.hom)

    def collapsed(self, theta: Array, least: float) -> Array:
        """Small standard deviations become zero; the correlation stays."""
        return np.append(collapsed_deviations(theta[:-1], least), theta[-1])

    def null_slope(self, theta: Array, G: Array) -> float:
        """Over the standard deviations that are zero."""
        return null_slope_of_deviations(theta[:-1], self.factor_slopes(theta), G)

    def _correlation_factor(self, theta: Array) -> Array:
        R = exchangeable_correlation(self.size, self.correlation(theta[-1]))
        return np.asarray(np.linalg.cholesky(R))
