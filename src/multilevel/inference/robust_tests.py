"""How sure is a cluster-robust variance itself? Degrees of freedom for t and F tests.

A robust variance of c'beta-hat is a quadratic form in the errors, sum_j (g_j'e)^2. If the working model
were true, the matrix P with P_jk = g_j'Phi g_k would give its mean, tr P, and its variance, 2 tr P^2, and
Satterthwaite's degrees of freedom (tr P)^2 / tr P^2 are those of the chi-square with this ratio (Bell and
McCaffrey 2002). For q linear functions at once the robust covariance is likened to a Wishart matrix with eta
degrees of freedom, chosen such that the variances of its entries have the right sum; Wald's statistic is
then nearly Hotelling's T^2, the "approximate Hotelling test" (AHT):

    F = (eta - q + 1) / (eta q) * Wald,  on q and eta - q + 1 degrees of freedom.

References:
    Bell, R. M. & McCaffrey, D. F. (2002). Survey Methodology 28, 169-181.
    Tipton, E. & Pustejovsky, J. E. (2015). Small-sample adjustments for tests of moderators and model fit
    using robust variance estimation in meta-regression. Journal of Educational and Behavioral Statistics 40,
    604-634.
    Pustejovsky, J. E. & Tipton, E. (2018). Journal of Business & Economic Statistics 36, 672-683.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.centring import Centring
from multilevel.inference.adjusted_clusters import (
    AdjustedClusters,
    by_way_of_coefficients,
    linked,
    own_covariances,
    own_variances,
)
from multilevel.inference.coefficients import FTest, difference, f_result

ENTRIES = 4_000_000  # numbers an intermediate array may hold
ALONG = 1e-6  # cosine of an angle that is not a right one, beside rounding
NO_VARIANCE = 1e-12  # mean of a robust variance relative to the model's, below which it is rounding
MOST_WORK = 4e10  # multiplications of a test, some ten seconds
MOST_NUMBERS = 2e8  # that it may hold in memory
DEPENDENT = 1e-10  # length of a hypothesis, relative to the longest, that the others leave of it


@dataclass(frozen=True, slots=True)
class ClusterRobust:
    """Coefficients with a cluster-robust variance, and degrees of freedom that depend on the question."""

    method: str  # "CR2, Satterthwaite"
    beta: Array  # (p,)
    centring: Centring
    root: Array  # (p, p) from the basis of the clusters to coefficients of the centred columns
    core: Array  # (p, p) variance in the basis
    clusters: AdjustedClusters

    def covariance(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat."""
        rows = self.in_basis(L)
        return without_rounding(self.clusters, rows, rows @ self.core @ rows.T)

    def df(self, L: Array) -> Array:
        """Satterthwaite's degrees of freedom (k,), one for each row of L (k, p)."""
        return satterthwaite_df(self.clusters, self.in_basis(L))

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """The approximate Hotelling test; NaN, with a warning, where there are too few clusters for it."""
        refuse_too_many(self.clusters, len(L))
        test = hotelling_test(self.clusters, self.core, self.in_basis(L), difference(self.beta, L, at))
        if np.isnan(test.p_value) and test.df_num > 0.0:
            warnings.warn(
                f"{self.clusters.n_clusters} clusters are too few to test {test.df_num:g} coefficients at "
                f"once by {self.method}; test fewer of them.",
                MultilevelWarning,
                stacklevel=2,
            )
        return test

    def in_basis(self, L: Array) -> Array:
        """Linear functions of the coefficients (k, p) in the basis of the clusters."""
        return np.asarray(self.centring.contrasts(L) @ self.root)


# t tests -------------------------------------------------------------------------------------------------


def satterthwaite_df(clusters: AdjustedClusters, C: Array) -> Array:
    """Degrees of freedom (k,) of the variance of each of k linear functions C (k, p), in the basis.

    NaN for a function whose variance has none, such as one that is zero.
    """
    return in_parts(clusters, C, moments_ratio)


def moments_ratio(clusters: AdjustedClusters, C: Array) -> Array:
    """(tr P)^2 / tr P^2 for each row of C (k, p): J^2 entries of P, from sums over J."""
    own = own_variances(clusters, C)  # (J, k)
    through = np.ascontiguousarray(by_way_of_coefficients(clusters, C).transpose(1, 0, 2))  # (k, J, c)
    turned = linked(clusters, through.transpose(0, 2, 1) @ through)  # (k, c, c)
    trace = own.sum(axis=0) - np.trace(turned, axis1=1, axis2=2)
    shared = (own.T * (linked(clusters, through) * through).sum(axis=2)).sum(axis=1)
    square = (own**2).sum(axis=0) - 2.0 * shared + (turned * turned.transpose(0, 2, 1)).sum(axis=(1, 2))
    known = trace > NO_VARIANCE * (C**2).sum(axis=1)
    return np.where(known, trace**2 / np.where(known, square, 1.0), np.nan)


def without_rounding(clusters: AdjustedClusters, C: Array, V: Array) -> Array:
    """The covariance V (k, k) of functions C (k, p), NaN for those that single clusters determine entirely.

    Nothing varies between clusters there: what is computed is rounding.
    """
    unknown = expected_variances(clusters, C) <= NO_VARIANCE * (C**2).sum(axis=1)
    zero = (C == 0.0).all(axis=1)
    return np.where((unknown & ~zero)[:, None] | (unknown & ~zero), np.nan, V)


def expected_variances(clusters: AdjustedClusters, C: Array) -> Array:
    """Mean of the robust variance of each of k functions C (k, p) under the working model: (k,)."""
    return in_parts(clusters, C, mean_variances)


def mean_variances(clusters: AdjustedClusters, C: Array) -> Array:
    """The same, of few functions."""
    through = by_way_of_coefficients(clusters, C)
    shared = (linked(clusters, through) * through).sum(axis=(0, 2))
    return np.asarray(own_variances(clusters, C).sum(axis=0) - shared)


def in_parts(clusters: AdjustedClusters, C: Array, of: Callable[[AdjustedClusters, Array], Array]) -> Array:
    """What `of` has for each of k functions C (k, p), a few at a time to save memory: (k,)."""
    step = max(1, ENTRIES // (clusters.n_clusters * clusters.n_carriers))
    parts = [of(clusters, C[k : k + step]) for k in range(0, len(C), step)]
    return np.concatenate([np.empty(0), *parts])


def resting_on_one_cluster(clusters: AdjustedClusters, C: Array) -> Mask:
    """Which of k functions of the coefficients C (k, p), in the basis, rest on one cluster alone, in part."""
    along = np.abs(C @ clusters.lone.T).max(axis=1, initial=0.0)
    return np.asarray(along > ALONG * np.sqrt((C**2).sum(axis=1)))


# F tests -------------------------------------------------------------------------------------------------


def hotelling_test(clusters: AdjustedClusters, core: Array, C: Array, estimate: Array) -> FTest:
    """Test that k linear functions C (k, p) of the coefficients, in the basis, are zero; NaN if it cannot be.

    `estimate` (k,) are their values. Functions that depend on the others count once.
    """
    C, estimate = independent_functions(C, estimate)
    q = len(C)
    whitener = inverse_root(expected_variance(clusters, C))
    if q == 0 or whitener is None:
        return FTest(np.nan, float(q), np.nan, np.nan)
    C, estimate = whitener @ C, whitener @ estimate
    root = inverse_root(C @ core @ C.T)
    eta = wishart_df(clusters, C)
    df_den = eta - q + 1.0
    if root is None or df_den <= 0.0:
        return FTest(np.nan, float(q), np.nan, np.nan)
    wald = float(((root @ estimate) ** 2).sum())
    return f_result(df_den / (eta * q) * wald, float(q), df_den)


def refuse_too_many(clusters: AdjustedClusters, q: int) -> None:
    """The test's work grows with the square of the number of functions, and with all clusters each time."""
    if too_many(clusters, q):
        raise ModelError(
            f"the approximate Hotelling test of {q} coefficients at once with {clusters.n_clusters} clusters "
            'would take minutes; test fewer of them, or use df="residual", which so many clusters allow.'
        )


def too_many(clusters: AdjustedClusters, q: int) -> bool:
    """Whether a test of q functions is beyond a few seconds, or what memory should hold."""
    J, c = clusters.n_clusters, clusters.n_carriers
    return J * q**2 * c**2 > MOST_WORK or J * q * max(q, c) > MOST_NUMBERS


def independent_functions(C: Array, estimate: Array) -> tuple[Array, Array]:
    """Orthonormal combinations (q, p) of the rows of C (k, p), and their values (q,)."""
    length = np.sqrt((C**2).sum(axis=1))
    some = length > 0.0
    U, singular, Vt = np.linalg.svd(C[some] / length[some, None], full_matrices=False)
    kept = singular > DEPENDENT * singular.max(initial=0.0)
    return Vt[kept], (U[:, kept].T @ (estimate[some] / length[some])) / singular[kept]


def expected_variance(clusters: AdjustedClusters, C: Array) -> Array:
    """Mean of the robust covariance of C beta-hat under the working model: (q, q)."""
    through = by_way_of_coefficients(clusters, C)
    shared = np.tensordot(linked(clusters, through), through, axes=((0, 2), (0, 2)))
    return np.asarray(own_covariances(clusters, C).sum(axis=0) - shared)


def inverse_root(S: Array) -> Array | None:
    """R with R S R' = I, for a covariance S (q, q); None if it is singular."""
    values, vectors = np.linalg.eigh(S)
    if len(values) and values[0] <= DEPENDENT * values[-1]:
        return None
    return np.asarray((vectors / np.sqrt(values)).T)


def wishart_df(clusters: AdjustedClusters, C: Array) -> float:
    """Eta for q functions C (q, p), scaled so that the robust covariance has mean I.

    The variances of its q^2 entries add up to sum_jk tr(P_jk P_jk) + (tr P_jk)^2, with P_jk now (q, q).
    """
    q = len(C)
    own = own_covariances(clusters, C)  # (J, q, q)
    through = by_way_of_coefficients(clusters, C)  # (J, q, c)
    shared = linked(clusters, through) @ through.transpose(0, 2, 1)
    trace_own, trace_shared = (np.trace(each, axis1=1, axis2=2) for each in (own, shared))
    total = float((own * (own - 2.0 * shared)).sum() + (trace_own * (trace_own - 2.0 * trace_shared)).sum())
    each = np.ascontiguousarray(through.transpose(1, 0, 2))
    for s in range(q):
        for t in range(s + 1):
            T = each[s].T @ each[t]
            turned = linked(clusters, linked(clusters, T).T).T
            total += float((T * (turned + turned.T)).sum()) * (1.0 if s == t else 2.0)
    return q * (q + 1) / total
