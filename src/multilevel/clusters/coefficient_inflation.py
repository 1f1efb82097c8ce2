"""By how much do clusters inflate the variance of each coefficient of a regression?

Rows are whitened, so that a fit that knows of no clusters takes their errors for independent and equal. With
a correlation rho of any two errors of one cluster, the variance of a coefficient is the naive one times

    1 + rho kappa,     kappa = sum_j (sum_i a_ij)^2 / sum_ij a_ij^2 - 1,

where a, the row of (X'X)^-1 X' that makes the coefficient, is what the other columns leave of its own. In
clusters of m rows kappa is (m - 1) rho_x, Moulton's correlation of the column over pairs of members: m - 1
for what is constant within clusters, -1 for what is balanced within each of them. The intraclass correlation
is that of what all columns leave of the response, by fitting constants.

Moulton, B. R. (1986). Random group effects and the precision of regression estimates. Journal of Econometrics
32, 385-397.
Henderson, C. R. (1953). Estimation of variance and covariance components. Biometrics 9, 226-252 (method 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular

from multilevel._typing import Array, Codes
from multilevel.clusters.moulton import weighted_size
from multilevel.clusters.within import group_sums, varying_within, within_groups

RANK = 1e-10  # of a column within clusters: what other columns leave of it, below which it repeats them


@dataclass(frozen=True, slots=True)
class WhitenedRows:
    """A regression as a fit without clusters sees it: rows of equal variance."""

    X: Array  # (n, p) columns, each row times the root of its weight
    residuals: Array  # (n,) times the root of the weight
    counts: Array | None  # (n,) how often each row stands
    known_scale: bool = False  # whether the fit takes the variance of a row for 1


def whitened_rows(X: Array, residuals: Array, weights: Array | None, counts: Array | None) -> WhitenedRows:
    """Rows times the roots of their weights (n,), which say how precise each is."""
    if weights is None:
        return WhitenedRows(X, residuals, counts)
    root = np.sqrt(weights)
    return WhitenedRows(X * root[:, None], residuals * root, counts)


@dataclass(frozen=True, slots=True)
class CoefficientInflation:
    """Design effects of p coefficients; NaN where no intraclass correlation can be estimated."""

    icc: float  # of what all columns leave of the response
    icc_x: Array  # (p,) of what the other columns leave of each
    deff: Array  # (p,) variance over that of independent rows
    naive_share: float  # of the variance of a row, what the naive fit takes for it on average

    @property
    def se_ratio(self) -> Array:
        """The standard error that is due over the one that a naive fit prints (p,)."""
        return np.sqrt(np.where(self.deff >= 0.0, self.deff, np.nan) / self.naive_share)


@dataclass(frozen=True, slots=True)
class ResidualLikeness:
    """How alike errors of one cluster are, by fitting constants."""

    icc: float  # may be negative; NaN where too few clusters or rows are left
    clusters_left: float  # tr Z'MZ / (n - p): between clusters, what residuals keep of a unit of variance


def coefficient_inflation(rows: WhitenedRows, codes: Codes) -> CoefficientInflation:
    """Design effects of the coefficients of a regression in clusters `codes` (n,).

    >>> X = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 2.0], [1.0, 2.0]])
    >>> rows = WhitenedRows(X, np.array([1.0, 0.8, -2.0, -1.8, 1.2, 0.8]), None)
    >>> coefficient_inflation(rows, np.array([0, 0, 1, 1, 2, 2], dtype=np.int32)).icc_x
    array([1., 1.])
    """
    n_groups = int(codes.max()) + 1
    counts = np.ones(len(codes)) if rows.counts is None else rows.counts
    root = np.sqrt(counts)[:, None]
    Q, R = qr(root * rows.X, mode="economic")
    makers = solve_triangular(R, Q.T).T  # (n, p) root count times a
    kappa = (group_sums(root * makers, codes, n_groups) ** 2).sum(axis=0) / (makers**2).sum(axis=0) - 1.0
    size = weighted_size(np.bincount(codes, weights=counts).astype(np.float64))
    likeness = residual_likeness(rows, Q, codes, counts)
    share = 1.0 - likeness.icc * (1.0 - likeness.clusters_left)
    residual = float(counts @ rows.residuals**2) / (float(counts.sum()) - rows.X.shape[1])
    return CoefficientInflation(
        icc=likeness.icc,
        icc_x=kappa / (size - 1.0) if size > 1.0 else np.full(len(kappa), np.nan),
        deff=1.0 + likeness.icc * kappa,
        naive_share=share / residual if rows.known_scale else share,
    )


def residual_likeness(rows: WhitenedRows, Q: Array, codes: Codes, counts: Array) -> ResidualLikeness:
    """The likeness of what the columns leave of the response.

    `Q` (n, p) is an orthonormal basis of the columns, each row times the root of its count.
    """
    n, n_groups = float(counts.sum()), int(codes.max()) + 1
    within = within_groups(np.column_stack([rows.X, rows.residuals]), codes, counts)
    varies = varying_within(rows.X, within[:, :-1])
    left, rank = left_within(within[:, :-1][:, varies], within[:, -1], counts)
    df_within = n - n_groups - rank
    df_between = n - Q.shape[1] - df_within
    total = float(counts @ rows.residuals**2)
    trace = n - float((group_sums(np.sqrt(counts)[:, None] * Q, codes, n_groups) ** 2).sum())
    clusters_left = trace / (n - Q.shape[1])
    if df_within < 1.0 or df_between < 1.0 or not total > 0.0:
        return ResidualLikeness(float("nan"), clusters_left)
    between, inside = (total - left) / df_between, left / df_within
    return ResidualLikeness(
        (between - inside) / (between + (trace / df_between - 1.0) * inside), clusters_left
    )


def left_within(columns: Array, response: Array, counts: Array) -> tuple[float, int]:
    """Residual sum of squares of what varies within clusters, and the rank of the columns (n, k)."""
    root = np.sqrt(counts)
    scaled = root[:, None] * columns / np.sqrt((columns**2).sum(axis=0))
    Q, R, _ = qr(scaled, mode="economic", pivoting=True)
    rank = int(np.count_nonzero(np.abs(R.diagonal()) > RANK))
    y = root * response
    return float(y @ y - ((Q[:, :rank].T @ y) ** 2).sum()), rank
