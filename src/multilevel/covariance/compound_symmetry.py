"""Compound symmetry: every pair of columns has the same correlation."""

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

TURN = np.pi / 2.0  # from one end of the correlation's range to the other


@dataclass(frozen=True, slots=True)
class CompoundSymmetry:
    """Standard deviations, and one correlation in [-1 / (q - 1), 1].

    The correlation matrix has the symmetric root a I + b J, J all ones, with eigenvalues
    a = sqrt(q / (q - 1)) sin(eta) and a + q b = sqrt(q) cos(eta), so that 1 - rho = a^2.

    >>> CompoundSymmetry(2).correlation(np.pi / 4.0), CompoundSymmetry(3).correlation(np.pi / 2.0)
    (0.0, -0.5)
    """

    size: int  # at least 2
    hom: bool = False  # one standard deviation for all columns

    @property
    def n_parameters(self) -> int:
        """The standard deviations and eta."""
        return self.n_sizes + 1

    @property
    def n_sizes(self) -> int:
        """All standard deviations."""
        return 1 if self.hom else self.size

    def correlation(self, eta: float) -> float:
        """The correlation rho at an angle."""
        return round(float(1.0 - self.size / (self.size - 1.0) * np.sin(eta) ** 2), 15)

    def parameter_names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of the standard deviations, then "correlation"."""
        return (*deviation_names(columns, self.hom), "correlation")

    def start(self, deviations: Array, correlation: float) -> Array:
        """The given standard deviations and correlation."""
        sine = np.sqrt((1.0 - correlation) * (self.size - 1.0) / self.size)
        return np.append(deviation_start(deviations, self.hom), np.arcsin(sine))

    def factor(self, theta: Array) -> Array:
        """diag(sd) (a I + b J), not triangular."""
        eta = theta[-1]
        return scaled_root(theta, self._root(np.sin(eta), np.cos(eta)), self.hom)

    def factor_slopes(self, theta: Array) -> Array:
        """In the standard deviations, then in eta."""
        sine, cosine = np.sin(theta[-1]), np.cos(theta[-1])
        return scaled_slopes(theta, self._root(sine, cosine), self._root(cosine, -sine), self.hom)

    def collapsed(self, theta: Array, least: float) -> Array:
        """Small standard deviations become zero, and a correlation close to an end of its range is there."""
        return collapsed_ends(theta, least, TURN)

    def null_slope(self, theta: Array, G: Array) -> float:
        """Over the standard deviations that are zero, and the correlation at an end of its range."""
        return null_slope_of_ends(partial(covariance, self), theta, G, TURN)

    def _root(self, sine: float, cosine: float) -> Array:
        q = self.size
        a, whole = np.sqrt(q / (q - 1.0)) * sine, np.sqrt(q) * cosine
        return np.asarray(a * np.eye(q) + (whole - a) / q)
