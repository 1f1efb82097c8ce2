"""What does estimation ask of a residual correlation R? To turn rows so that they are uncorrelated.

With T R T' = I, cluster by cluster, a model with residual covariance R is one with independent residuals in
the rows T y, T X. For the gradient of a likelihood nothing more is needed than

    d ( log|R| + sum over columns of E'R^-1 E ) / d eta      for held rows E (n, k).

Rows are in the order of a `ClusterLayout`: cluster after cluster, in each by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from multilevel._typing import Array
from multilevel.covariance.residual.chart import Chart


class Whitening(Protocol):
    """A correlation at given parameters."""

    @property
    def log_det(self) -> float:
        """log|R| over all clusters."""

    @property
    def least_pivot(self) -> float:
        """What part of its variance the other rows of its cluster leave open to some row, at least."""

    def whiten(self, rows: Array) -> Array:
        """T rows, (n, k) from (n, k)."""

    def whiten_back(self, rows: Array) -> Array:
        """T' rows: applied to whitened rows it gives R^-1 rows; (n, k) from (n, k)."""

    def slopes(self, rows: Array, whitened: Array, solved: Array) -> Array:
        """Derivatives (q,) of log|R| + sum E'R^-1 E in eta, from E, T E and R^-1 E (n, k)."""


class RowCorrelation(Protocol):
    """A family of correlations of all rows, with q parameters eta."""

    @property
    def chart(self) -> Chart:
        """The parameters: their names, limits and natural values."""

    def at(self, eta: Array) -> Whitening:
        """The correlation at eta (q,); `numpy.linalg.LinAlgError` where it is none."""

    def starts(self, z: Array) -> Sequence[Array]:
        """Where to begin, best guess first, given residuals (n,) of unit variance."""
