"""Any covariance matrix: a variance for each column and a correlation for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array

Indices = npt.NDArray[np.intp]
ROUNDING = 1e-24  # relative variance that rounding leaves in a direction set to zero


@dataclass(frozen=True, slots=True)
class Unstructured:
    """T is any lower triangle, its entries column by column.

    >>> Unstructured(2).factor(np.array([3.0, 1.0, 2.0]))
    array([[3., 0.],
           [1., 2.]])
    """

    size: int

    @property
    def n_parameters(self) -> int:
        """q (q + 1) / 2."""
        return self.size * (self.size + 1) // 2

    @property
    def n_sizes(self) -> int:
        """None: signs matter below the diagonal."""
        return 0

    def positions(self) -> tuple[Indices, Indices]:
        """Rows and columns of the lower triangle, column by column."""
        columns, rows = np.triu_indices(self.size)
        return rows, columns

    def parameter_names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The column for a diagonal entry, "row.column" below it."""
        pairs = zip(*self.positions(), strict=True)
        return tuple(columns[r] if r == c else f"{columns[r]}.{columns[c]}" for r, c in pairs)

    def start(self, deviations: Array, correlation: float) -> Array:
        """The given standard deviations, all pairs equally correlated."""
        R = np.where(np.eye(self.size, dtype=bool), 1.0, max(correlation, 0.0))
        return np.asarray((deviations[:, None] * np.linalg.cholesky(R))[self.positions()])

    def factor(self, theta: Array) -> Array:
        """The lower triangle itself."""
        T = np.zeros((self.size, self.size))
        T[self.positions()] = theta
        return T

    def factor_slopes(self, theta: Array) -> Array:
        """One unit entry a parameter."""
        slopes = np.zeros((len(theta), self.size, self.size))
        slopes[np.arange(len(theta)), *self.positions()] = 1.0
        return slopes

    def collapsed(self, theta: Array, least: float) -> Array:
        """Drops the eigenvectors of Sigma with an eigenvalue below `least`."""
        values, vectors = self._spectrum(theta)
        root = vectors * np.sqrt(np.where(values < least, 0.0, values))
        return np.asarray(np.transpose(np.linalg.qr(root.T, mode="r"))[self.positions()])

    def null_slope(self, theta: Array, G: Array) -> float:
        """Least eigenvalue of G on the null space of Sigma."""
        values, vectors = self._spectrum(theta)
        null = vectors[:, values <= ROUNDING * max(values[-1], 1.0)]
        return float(np.linalg.eigvalsh(null.T @ G @ null)[0]) if null.size else np.inf

    def _spectrum(self, theta: Array) -> tuple[Array, Array]:
        """Eigenvalues of Sigma (q,), ascending and none negative, and its eigenvectors (q, q)."""
        vectors, deviations, _ = np.linalg.svd(self.factor(theta))
        return deviations[::-1] ** 2, vectors[:, ::-1]
