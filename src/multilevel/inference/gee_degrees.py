"""How many degrees of freedom do tests with a sandwich variance have?

The variance of c'beta-hat is a sum of squares of what clusters contribute, and t with as many degrees of
freedom as make the first two moments of a chi-square fit is closer than the normal. Under a covariance Psi_i
of u_i, contributions g_i = c'M_i (u_i - G_i sum_j u_j), in the basis where A = I, have covariances

    P_ij = c'M_i [ 1(i = j) Psi_i - Psi_i G_j - G_i Psi_j + G_i Psi G_j ] M_j'c,   Psi = sum_i Psi_i,

and the degrees of freedom are (tr P)^2 / tr P^2. Fay and Graubard take Psi_i as a share of the sandwich's own
sum, larger for clusters on which c'beta-hat hangs more; Satterthwaite's as Bell and McCaffrey have them take
the working model's, phi G_i. Pan and Wall take the variance of the squares over clusters instead. For q
functions at once the covariance is likened to a Wishart matrix, and the statistic to Hotelling's.

References:
    Fay, M. P. & Graubard, B. I. (2001). Biometrics 57, 1198-1206.
    Pan, W. & Wall, M. M. (2002). Small-sample adjustments in using the sandwich variance estimator in
    generalized estimating equations. Statistics in Medicine 21, 1429-1441.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.centring import Centring
from multilevel.inference.adjusted_clusters import AdjustedClusters, AdjustedRows
from multilevel.inference.coefficients import FTest, difference, f_result
from multilevel.inference.gee_corrections import NOTHING_LEFT, CorrectedClusters
from multilevel.inference.robust_tests import independent_functions, inverse_root

MOST_PAIRS = 4e7  # pairs of clusters times squares of functions that a joint test looks at


def satterthwaite_clusters(clusters: CorrectedClusters) -> AdjustedClusters:
    """The clusters as p rows each, X_i'X_i = G_i, whose errors the working model makes independent."""
    values, vectors = np.linalg.eigh(clusters.informations)
    X = np.sqrt(np.maximum(values, 0.0))[:, :, None] * vectors.transpose(0, 2, 1)
    Y = X @ clusters.maps.transpose(0, 2, 1)
    everyone = np.arange(len(X))
    lone = vectors.transpose(0, 2, 1)[1.0 - values <= NOTHING_LEFT]
    return AdjustedClusters(clusters.contributions, (AdjustedRows(everyone, Y, Y, X),), None, lone)


@dataclass(frozen=True, slots=True)
class FayGraubard:
    """Coefficients with a sandwich variance and Fay and Graubard's degrees of freedom."""

    method: str
    beta: Array  # (p,)
    centring: Centring
    root: Array  # (p, p)
    core: Array  # (p, p) variance in the basis
    clusters: CorrectedClusters

    def covariance(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat."""
        rows = self.in_basis(L)
        return np.asarray(rows @ self.core @ rows.T)

    def df(self, L: Array) -> Array:
        """Degrees of freedom (k,), one for each row of L (k, p)."""
        return np.array([self._df(row) for row in self.in_basis(L)])

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """Hotelling's test, with the degrees of freedom of the Wishart matrix that is nearest."""
        C, estimate = independent_functions(self.in_basis(L), difference(self.beta, L, at))
        return wishart_test(self.method, C, estimate, self.core, self._eta)

    def in_basis(self, L: Array) -> Array:
        """Linear functions of the coefficients (k, p) in the basis."""
        return np.asarray(self.centring.contrasts(L) @ self.root)

    def _df(self, c: Array) -> float:
        """(tr P)^2 / tr P^2 with P = diag(a |alpha|^2) + low rank, from sums over clusters."""
        through, residual, share = self._pieces(c[None, :])
        alpha, beta = through[:, 0], residual[:, 0]
        own = share * (alpha**2).sum(axis=1)
        left = np.concatenate([beta, share[:, None] * alpha], axis=1)
        right = np.concatenate([beta - share[:, None] * alpha, -beta], axis=1)
        trace = float(own.sum() + (left * right).sum())
        cross = right.T @ left
        square = float(
            (own**2).sum() + 2.0 * (own * (left * right).sum(axis=1)).sum() + (cross * cross.T).sum()
        )
        return trace**2 / square if square > 0.0 else np.nan

    def _eta(self, C: Array) -> float:
        """Of q functions C (q, p), scaled so that their estimated covariance is I."""
        K, q = len(self.clusters.scores), len(C)
        if float(K) ** 2 * q**2 > MOST_PAIRS:
            raise ModelError(
                f"a joint test of {q} coefficients with {K} clusters and Fay and Graubard's degrees of "
                "freedom would look at too many pairs of clusters; use df='z', which so many clusters allow."
            )
        pieces = self._pieces(C)
        expected = sum(self._covariances(i, *pieces)[i] for i in range(K))
        root = inverse_root(np.asarray(expected))
        if root is None:
            return np.nan
        total = 0.0
        for i in range(K):
            P = root @ self._covariances(i, *pieces) @ root.T
            total += float((np.trace(P, axis1=1, axis2=2) ** 2).sum() + (P * P.transpose(0, 2, 1)).sum())
        return q * (q + 1) / total

    @staticmethod
    def _covariances(i: int, through: Array, residual: Array, share: Array) -> Array:
        """Of what cluster i contributes with what each contributes: (K, q, q)."""
        a, b = through[i], residual[i]  # (q, p)
        P = np.asarray(np.einsum("sp,jtp->jst", b, residual - share[:, None, None] * through))
        P -= share[i] * np.einsum("sp,jtp->jst", a, residual)
        P[i] += share[i] * (a @ a.T)
        return P

    def _pieces(self, C: Array) -> tuple[Array, Array, Array]:
        """C M_i S^(1/2) and C M_i G_i S^(1/2), both (K, q, p), and the shares (K,) of Psi."""
        values, vectors = np.linalg.eigh(self.core)
        half = vectors * np.sqrt(np.maximum(values, 0.0))
        through = C @ self.clusters.maps
        return (
            through @ half,
            through @ self.clusters.informations @ half,
            hangs_on(C, self.clusters.informations),
        )


def hangs_on(C: Array, informations: Array) -> Array:
    """Shares (K,) in proportion to how much the variance of C beta-hat grows without each cluster."""
    values, vectors = np.linalg.eigh(informations)
    growth = values / np.maximum(1.0 - values, NOTHING_LEFT)
    without = (((C @ vectors) ** 2) * growth[:, None, :]).sum(axis=(1, 2))
    return np.asarray(without / without.sum())


@dataclass(frozen=True, slots=True)
class PanWall:
    """Coefficients with a sandwich variance, degrees of freedom from the variance of its terms."""

    method: str
    beta: Array  # (p,)
    centring: Centring
    root: Array  # (p, p)
    contributions: Array  # (K, p) in the basis

    def covariance(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat."""
        terms = self._terms(L)
        return np.asarray(terms.T @ terms)

    def df(self, L: Array) -> Array:
        """2 V^2 / Var(V) for each row of L (k, p)."""
        squares = self._terms(L) ** 2
        K = len(squares)
        return np.asarray(2.0 * squares.sum(axis=0) ** 2 / (K * squares.var(axis=0, ddof=1)))

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """Hotelling's test, with the degrees of freedom of the Wishart matrix that is nearest."""
        C = self.centring.contrasts(L) @ self.root
        C, estimate = independent_functions(C, difference(self.beta, L, at))
        return wishart_test(self.method, C, estimate, self.contributions.T @ self.contributions, self._eta)

    def _terms(self, L: Array) -> Array:
        return np.asarray(self.contributions @ (self.centring.contrasts(L) @ self.root).T)

    def _eta(self, C: Array) -> float:
        terms = self.contributions @ C.T
        K, q = len(terms), len(C)
        products = (terms[:, :, None] * terms[:, None, :]).reshape(K, -1)
        total = float(products.var(axis=0, ddof=1).sum())
        return float(q * (q + 1)) / (K * total)


def wishart_test(
    method: str, C: Array, estimate: Array, core: Array, eta_of: Callable[[Array], float]
) -> FTest:
    """F = (eta - q + 1) / (eta q) Wald on q and eta - q + 1 df, for functions C (q, p) in the basis."""
    q = len(C)
    root = inverse_root(C @ core @ C.T)
    if q == 0 or root is None:
        return FTest(np.nan, float(q), np.nan, np.nan)
    eta = eta_of(root @ C)
    df_den = eta - q + 1.0
    if not df_den > 0.0:
        warnings.warn(
            f"there are too few clusters to test {q} coefficients at once by {method}; test fewer of them.",
            MultilevelWarning,
            stacklevel=3,
        )
        return FTest(np.nan, float(q), np.nan, np.nan)
    wald = float(((root @ estimate) ** 2).sum())
    return f_result(df_den / (eta * q) * wald, float(q), df_den)
