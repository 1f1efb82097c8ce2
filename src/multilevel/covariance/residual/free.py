"""Any correlation matrix: one parameter for each pair of visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import CORRELATION, Limits


@dataclass(frozen=True, slots=True)
class FreeCorrelation:
    """R = L L', each row of the lower-triangular L of length one.

    Row i of L is (eta_i1, ..., eta_i(i-1), 1) over its length: every positive definite correlation matrix has
    exactly one eta.

    >>> FreeCorrelation(("alpha[1, 2]",), 2).matrix(np.array([0.75]))
    array([[1. , 0.6],
           [0.6, 1. ]])
    """

    names: tuple[str, ...]  # (T (T - 1) / 2,) pair by pair: (1, 2), (1, 3), ..., (2, 3), ...
    size: int  # T

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Correlations."""
        return (CORRELATION,) * len(self.names)

    def natural(self, eta: Array) -> Array:
        """The correlations, pair by pair."""
        return np.asarray(self.matrix(eta)[np.triu_indices(self.size, 1)])

    def matrix(self, eta: Array) -> Array:
        """R (T, T)."""
        L = self._unit(eta)[0]
        return np.asarray(L @ L.T)

    def slopes(self, eta: Array, G: Array) -> Array:
        """d <G, L L'> = 2 <G L, dL>, and a row of L moves at right angles to itself."""
        L, length = self._unit(eta)
        GL = 2.0 * G @ L
        across = (GL - L * (GL * L).sum(axis=1, keepdims=True)) / length
        return np.asarray(across[np.tril_indices(self.size, -1)])

    def near(self, R: Array) -> Array:
        """From the Cholesky factor."""
        L = np.linalg.cholesky(R)
        return np.asarray((L / L.diagonal()[:, None])[np.tril_indices(self.size, -1)])

    def elsewhere(self) -> list[Array]:
        """None."""
        return []

    def _unit(self, eta: Array) -> tuple[Array, Array]:
        """L (T, T), and what its rows were divided by (T, 1)."""
        L = np.eye(self.size)
        L[np.tril_indices(self.size, -1)] = eta
        length = np.sqrt((L * L).sum(axis=1, keepdims=True))
        return L / length, length
