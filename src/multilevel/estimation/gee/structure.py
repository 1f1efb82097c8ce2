"""What does estimation ask of a working correlation? Its inverse, and moments over pairs of rows.

With z the Pearson residuals, w the weights and rho = rho(alpha) the correlations of pairs, alpha solves the
second set of estimating equations,

    sum over pairs (s, t) of  w_s w_t E_st (z_s z_t / phi - rho_st) = 0,    E = d rho / d alpha.

A structure knows the rows and weights it is for; all else are sums of products over pairs in each cluster.

References:
    Liang, K.-Y. & Zeger, S. L. (1986). Longitudinal data analysis using generalized linear models.
    Biometrika 73, 13-22.
    Yan, J. & Fine, J. (2004). Estimating equations for association structures. Statistics in Medicine 23,
    859-874.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.kernels.gee import Indices, InverseCorrelation


class Structure(ABC):
    """A working correlation with its clusters and weights."""

    names: tuple[str, ...]  # (q,) of the parameters
    weights: Array  # (n,) of the rows

    @property
    def n_parameters(self) -> int:
        """Number of parameters q."""
        return len(self.names)

    @abstractmethod
    def reweighted(self, weights: Array) -> Structure:
        """The same for other weights (n,)."""

    @abstractmethod
    def inverse(self, alpha: Array) -> InverseCorrelation:
        """R^-1 of all clusters, as the core takes it."""

    @abstractmethod
    def products(self, u: Array, v: Array, alpha: Array) -> Array:
        """Sums over pairs of E (u_s v_t + v_s u_t) / 2 in each cluster: (K, q)."""

    @abstractmethod
    def expected(self, alpha: Array) -> Array:
        """Sums over pairs of w_s w_t E rho in each cluster: (K, q)."""

    @abstractmethod
    def grams(self, alpha: Array) -> Array:
        """Sums over pairs of w_s w_t E E' in each cluster: (K, q, q)."""

    @abstractmethod
    def gram(self, alpha: Array) -> Array:
        """The same over all clusters: (q, q)."""

    @abstractmethod
    def margin(self, alpha: Array) -> float:
        """Positive if every cluster's R is a correlation matrix: positive definite."""

    @abstractmethod
    def estimate(self, z: Array, phi: float, alpha: Array) -> Array:
        """Alpha (q,) from Pearson residuals (n,); `alpha` is where a search begins."""

    @abstractmethod
    def estimate_as_gee(self, z: Array, phi: float, p: int) -> Array:
        """Alpha (q,) by the moments of R's package gee, which knows no weights, at p coefficients."""


class LinearStructure(Structure):
    """Correlations that are linear in alpha: the moments are solved at once."""

    def expected(self, alpha: Array) -> Array:
        """The Gram matrices times alpha."""
        return np.asarray(self.grams(alpha) @ alpha)

    def estimate(self, z: Array, phi: float, alpha: Array) -> Array:
        """Weighted least squares of the products z_s z_t / phi."""
        wz = self.weights * z
        return self._solve(self.products(wz, wz, alpha).sum(axis=0) / phi, self.gram(alpha))

    def estimate_as_gee(self, z: Array, phi: float, p: int) -> Array:
        """The same, with p taken off the number of pairs."""
        none = np.zeros(self.n_parameters)
        gram = self.gram(none) - p * np.eye(self.n_parameters)
        return self._solve(self.products(z, z, none).sum(axis=0) / phi, gram)

    def _solve(self, total: Array, gram: Array) -> Array:
        if self.n_parameters == 0:
            return np.empty(0)
        refuse_no_pairs(self.names, gram)
        return np.asarray(np.linalg.solve(gram, total))


def mean_square_by_cluster(z: Array, start: Indices) -> float:
    """Mean over clusters of their mean squares, by which R's gee divides the moments of lags."""
    return float(np.mean(np.add.reduceat(z * z, start[:-1]) / np.diff(start)))


def refuse_no_pairs(names: tuple[str, ...], gram: Array) -> None:
    """A correlation is estimated from pairs of rows."""
    short = [name for name, pairs in zip(names, gram.diagonal(), strict=True) if pairs <= 0.0]
    if short:
        named = ", ".join(short[:3]) + (f" and {len(short) - 3} more" if len(short) > 3 else "")
        raise ModelError(
            f"no cluster has the pairs of rows that {named} would be estimated from (or fewer than there are "
            "coefficients, with moments='gee'); use a structure with fewer parameters, such as "
            "'exchangeable', or 'independence'."
        )
