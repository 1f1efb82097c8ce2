"""How uncertain are least-squares coefficients when errors are unequal, or alike within clusters?

A sandwich variance puts the scores `w_i e_i x_i` of the rows, or their sums over clusters, between two
copies of (X'WX)^-1. Rows are taken in the basis of the fit, where X'WX is the identity, so that the middle
(the `core`) is all there is to compute.

References:
    MacKinnon & White (1985), Journal of Econometrics 29: HC0 to HC3.
    Liang & Zeger (1986), Biometrika 73; Cameron & Miller (2015), Journal of Human Resources 50: clusters.
    Pustejovsky & Tipton (2018), Journal of Business & Economic Statistics 36: the names CR0 to CR1S.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.design import Design, Grouping
from multilevel.errors import ModelError
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.variance import Variance

HC_KINDS = ("HC0", "HC1", "HC2", "HC3")  # independent errors of unequal variance
CR_KINDS = ("CR0", "CR1", "CR1p", "CR1S")  # errors alike within clusters
LEVERAGE_ONE = 1e-10  # 1 - h below this: the row has a coefficient of its own, its residual is rounding


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """What a sandwich needs of the rows of a regression."""

    basis: Array  # (n, p) with basis' diag(counts * precision) basis = I
    residuals: Array  # (n,)
    precision: Array | None  # (n,) weights w with Var(e_i) = sigma^2 / w_i
    counts: Array | None  # (n,) how many times each row stands
    n_obs: float  # sum of the counts

    @property
    def n_coefficients(self) -> int:
        """Number of coefficients p."""
        return int(self.basis.shape[1])


def scored_rows(design: Design, record: OLSRecord) -> ScoredRows:
    """The rows of a fit, ready for a sandwich."""
    columns = record.centring.columns(design.X)
    basis = (record.root.T @ columns.T).T  # stays in Fortran order, which BLAS does many times faster
    return ScoredRows(basis, record.residuals, design.weights, design.freq_weights, design.n_obs)


# Unequal variances ---------------------------------------------------------------------------------------


def leverage(rows: ScoredRows) -> Array:
    """Diagonal of the hat matrix (n,), for one copy of each row."""
    squared: Array = np.einsum("ij,ij->i", rows.basis, rows.basis)
    return squared if rows.precision is None else rows.precision * squared


def hc_variance(rows: ScoredRows, kind: str) -> Variance:
    """Heteroskedasticity-consistent variance HC0, HC1, HC2 or HC3."""
    inflation = squared_residual_inflation(rows, kind)
    squared = inflation * weighted_residuals(rows) ** 2
    counted = squared if rows.counts is None else squared * rows.counts
    core = rows.basis.T @ (rows.basis * counted[:, None])
    return Variance(kind, core, rows.n_obs - rows.n_coefficients)


def weighted_residuals(rows: ScoredRows) -> Array:
    """Score of a row along its predictors, w_i e_i: (n,)."""
    return rows.residuals if rows.precision is None else rows.precision * rows.residuals


def squared_residual_inflation(rows: ScoredRows, kind: str) -> float | Array:
    """What makes up for residuals being smaller than errors: one factor, or one a row."""
    match kind:
        case "HC0":
            return 1.0
        case "HC1":
            return rows.n_obs / (rows.n_obs - rows.n_coefficients)
        case "HC2":
            return 1.0 / residual_share(rows)
        case "HC3":
            return residual_share(rows) ** -2.0
    raise ValueError(kind)


def residual_share(rows: ScoredRows) -> Array:
    """1 - h (n,): the share of a row's error that is left in its residual; refused where nothing is."""
    share = 1.0 - leverage(rows)
    alone = np.flatnonzero(share < LEVERAGE_ONE)
    if len(alone):
        raise ModelError(
            f"HC2 and HC3 divide by 1 - leverage, which is zero in {len(alone)} of the rows used "
            f"(first: {alone[0]}): "
            'a coefficient rests on that row alone. Use vcov="HC1", or drop the term or the row.'
        )
    return share


# Clusters ------------------------------------------------------------------------------------------------


def cr_variance(rows: ScoredRows, clusters: Grouping, kind: str) -> Variance:
    """Cluster-robust variance CR0, CR1, CR1p or CR1S, with t on one df fewer than there are clusters."""
    n_clusters = clusters.n_levels
    refuse_one_cluster(clusters)
    factor = few_clusters_factor(kind, n_clusters, rows.n_obs, rows.n_coefficients)
    scores = cluster_scores(rows, clusters.codes, n_clusters)
    core = factor * (scores.T @ scores)
    return Variance(kind, core, n_clusters - 1.0, clusters.name, n_clusters)


def cluster_scores(rows: ScoredRows, codes: Codes, n_clusters: int) -> Array:
    """Sums of the scores over each cluster, wherever its rows stand: (G, p)."""
    score = weighted_residuals(rows) if rows.counts is None else weighted_residuals(rows) * rows.counts
    sums = [np.bincount(codes, score * column, n_clusters) for column in rows.basis.T]
    return np.column_stack(sums)


def refuse_one_cluster(clusters: Grouping) -> None:
    """Two clusters at least."""
    if clusters.n_levels < 2:
        raise ModelError(
            f"'{clusters.name}' has one cluster, so nothing varies between clusters; "
            'choose another cluster=, or vcov="HC3" without clusters.'
        )


def few_clusters_factor(kind: str, n_clusters: int, n_obs: float, p: int) -> float:
    """What makes up, on average, for residuals being smaller than errors."""
    match kind:
        case "CR0":
            return 1.0
        case "CR1":
            return n_clusters / (n_clusters - 1.0)
        case "CR1p":
            refuse_no_more_clusters_than(p, n_clusters)
            return n_clusters / (n_clusters - float(p))
        case "CR1S":  # as Stata has it
            return n_clusters * (n_obs - 1.0) / ((n_clusters - 1.0) * (n_obs - p))
    raise ValueError(kind)


def refuse_no_more_clusters_than(p: int, n_clusters: int) -> None:
    """CR1p divides by their difference."""
    if n_clusters <= p:
        raise ModelError(f'CR1p needs more clusters ({n_clusters}) than coefficients ({p}); use vcov="CR1".')
