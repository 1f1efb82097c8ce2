"""What is a covariance structure? Unbounded parameters theta in, a root T out: Sigma = T T'.

Parameters are free of bounds: T and T with the sign of a column turned give one Sigma, and at a boundary (a
variance of zero, the end of a correlation's range) Sigma turns back. A search reaches it without constraints.
The parametrisation is that of the compiled core (core/structure.hpp).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from multilevel._typing import Array


class Structure(Protocol):
    """A family of covariance matrices of q columns, indexed by k unbounded parameters."""

    @property
    def size(self) -> int:
        """Number of columns q."""

    @property
    def n_parameters(self) -> int:
        """Number of parameters k."""

    @property
    def n_sizes(self) -> int:
        """How many parameters, at the beginning of theta, count by their absolute value only."""

    def parameter_names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Names of the parameters, from the names of the columns: k of them."""

    def start(self, deviations: Array, correlation: float) -> Array:
        """Theta (k,) with given standard deviations (q,) and, as far as the family can, one correlation."""

    def factor(self, theta: Array) -> Array:
        """T (q, q), triangular or not."""

    def factor_slopes(self, theta: Array) -> Array:
        """Derivative of T in each parameter: (k, q, q)."""

    def collapsed(self, theta: Array, least: float) -> Array:
        """Theta (k,) with the directions of Sigma whose variance is below `least` at exactly zero."""

    def null_slope(self, theta: Array, G: Array) -> float:
        """Least slope of <G, Sigma> as Sigma gains variance in a direction it lacks; infinite if none."""


def covariance(structure: Structure, theta: Array) -> Array:
    """Sigma = T T' (q, q).

    >>> import numpy as np
    >>> from multilevel.covariance.diagonal import Diagonal
    >>> covariance(Diagonal(2), np.array([2.0, -3.0]))
    array([[4., 0.],
           [0., 9.]])
    """
    T = structure.factor(theta)
    return np.asarray(T @ T.T)


def covariance_slopes(structure: Structure, theta: Array) -> Array:
    """Derivative of Sigma in each parameter, dT T' + T dT': (k, q, q)."""
    half = structure.factor_slopes(theta) @ structure.factor(theta).T
    return np.asarray(half + half.transpose(0, 2, 1))
