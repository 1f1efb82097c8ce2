"""How much smaller are a cluster's residuals than its errors, and what makes up for it?

With W the weights, M = (X'WX)^-1 and H = X M X'W, a cluster-robust variance is

    V = sum_j s_j s_j',   s_j = M X_j'W_j A_j e_j,

where the matrix A_j of cluster j is the identity (CR0; CR1, CR1p and CR1S put one factor before the sum), or

    CR2   A_j = D_j' B_j^(-1/2) D_j,  B_j = D_j (I - H)_j Phi (I - H)_j' D_j',  D_j'D_j = Phi_j,
    CR3   A_j = (I - H_jj)^-1.

CR2 makes V unbiased if the errors have the covariance Phi of a working model; CR3 takes the change of the
estimate when the cluster is left out. Inverses are generalised ones where a cluster determines a direction
of the coefficients alone, as its own fixed effect does. Coefficients are taken in a basis where M = I.

A_j is the identity (or Phi_j a multiple of it) outside the span of a few columns, so that a large cluster is
turned to few rows before it is adjusted: no matrix of its size is formed.

References:
    Bell, R. M. & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear regression with
    multi-stage samples. Survey Methodology 28, 169-181.
    Pustejovsky, J. E. & Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation and
    hypothesis testing in fixed effects models. Journal of Business & Economic Statistics 36, 672-683.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.design import Grouping
from multilevel.inference.adjusted_clusters import AdjustedClusters, AdjustedRows
from multilevel.inference.cluster_stacks import Index, stacks
from multilevel.inference.sandwich import ScoredRows, refuse_one_cluster
from multilevel.inference.variance import Variance

ADJUSTED_KINDS = ("CR2", "CR3")
NOTHING_LEFT = 1e-10  # share of an error that is in the residuals, below which it is rounding


@dataclass(frozen=True, slots=True)
class WorkingRows:
    """B clusters of r rows each, with p coefficients, as a working model has them."""

    clusters: Index  # (B,)
    X: Array  # (B, r, p), where X'WX over all clusters is I
    WX: Array  # (B, r, p)
    residuals: Array  # (B, r)
    covariance: Array | None  # (B, r, r) Phi, the inverse of W; None where Phi is I, whatever W is

    @property
    def PhiWX(self) -> Array:
        """Phi W X: (B, r, p)."""
        return self.WX if self.covariance is None else self.X


def adjusted_variance(rows: ScoredRows, clusters: Grouping, kind: str) -> Variance:
    """Cluster-robust variance CR2 or CR3 of a least-squares fit."""
    refuse_one_cluster(clusters)
    adjusted = independent_clusters(rows, clusters, kind)
    core = adjusted.scores.T @ adjusted.scores
    return Variance(kind, core, clusters.n_levels - 1.0, clusters.name, clusters.n_levels, adjusted)


# Independent errors as the working model -----------------------------------------------------------------


def independent_clusters(rows: ScoredRows, clusters: Grouping, kind: str) -> AdjustedClusters:
    """Clusters of a least-squares fit; the working model has independent errors of equal variance.

    So it has with weights, too (where CR2 then differs from a CR2 that takes their inverses for variances).
    """
    spread = None if rows.precision is None else weighted_spread(rows, rows.precision)
    pieces = independent_rows(rows, clusters)
    return adjusted_clusters(kind, pieces, spread, clusters.n_levels, rows.n_coefficients)


def weighted_spread(rows: ScoredRows, precision: Array) -> Array:
    """X'W Phi W X with Phi = I: (p, p)."""
    weighted = (rows.basis.T * precision).T
    return np.asarray(weighted.T @ (weighted if rows.counts is None else (weighted.T * rows.counts).T))


def independent_rows(rows: ScoredRows, clusters: Grouping) -> Iterator[WorkingRows]:
    """The rows cluster by cluster, in few; one that stands k times is one row, root k as long."""
    root_counts = 1.0 if rows.counts is None else np.sqrt(rows.counts)
    X = np.ascontiguousarray((rows.basis.T * root_counts).T)
    residuals = rows.residuals * root_counts
    width = 2 * rows.n_coefficients
    for stack in stacks(clusters.codes, clusters.n_levels, width):
        here, error = X[stack.rows], residuals[stack.rows][:, :, None]
        if rows.precision is None:
            here, error = turned_into(here, here, error)
            weighted = here
        else:
            weighted = here * rows.precision[stack.rows][:, :, None]
            here, weighted, error = turned_into(np.dstack([here, weighted]), here, weighted, error)
        yield WorkingRows(stack.clusters, here, weighted, error[:, :, 0], None)


def turned_into(span: Array, *columns: Array) -> list[Array]:
    """Columns (B, r, .) in an orthonormal basis of `span` (B, r, k): (B, k, .), if k is less than r."""
    if span.shape[2] >= span.shape[1]:
        return list(columns)
    Qt = np.linalg.qr(span)[0].transpose(0, 2, 1)
    return [np.asarray(Qt @ each) for each in columns]


# Adjustment ----------------------------------------------------------------------------------------------


def adjusted_clusters(
    kind: str, pieces: Iterable[WorkingRows], spread: Array | None, n_clusters: int, p: int
) -> AdjustedClusters:
    """Adjust every cluster; `spread` (p, p) is X'W Phi W X, None where it is I because W = Phi^-1."""
    scores = np.empty((n_clusters, p))
    adjusted, lone = [], [np.empty((0, p))]
    for rows in pieces:
        Y, directions = adjusted_rows(kind, rows, spread)
        scores[rows.clusters] = (Y.transpose(0, 2, 1) @ rows.residuals[:, :, None])[:, :, 0]
        PhiY = Y if rows.covariance is None else rows.covariance @ Y
        carriers = rows.X if spread is None else np.dstack([rows.X, rows.PhiWX])
        adjusted.append(AdjustedRows(rows.clusters, Y, PhiY, carriers))
        lone.append(directions)
    return AdjustedClusters(scores, tuple(adjusted), link_between(spread, p), np.concatenate(lone))


def link_between(spread: Array | None, p: int) -> Array | None:
    """How X_j and Phi W X_j of two clusters meet in (I - H) Phi (I - H)'."""
    if spread is None:
        return None
    return np.block([[-spread, np.eye(p)], [np.eye(p), np.zeros((p, p))]])


def adjusted_rows(kind: str, rows: WorkingRows, spread: Array | None) -> tuple[Array, Array]:
    """A_j'W_j X_j (B, r, p), and the directions (k, p) that these clusters determine alone."""
    match kind:
        case "CR2":
            return bias_reduced(rows) if spread is None else bias_reduced_with_weights(rows, spread)
        case "CR3":
            return left_out(rows)
    return rows.WX, np.empty((0, rows.X.shape[2]))


def bias_reduced(rows: WorkingRows) -> tuple[Array, Array]:
    """CR2 with W = Phi^-1: residuals are given the covariance that the working model has for errors.

    In place of D_j the Cholesky factor L' of Phi_j serves, and B_j^(-1/2) comes from the singular values of
    L'L F, where F F' is the covariance of the residuals whitened by L: B_j itself would square the ratio of
    large to small variances, and digits with it. F = I - U (1 - root(1 - s^2)) U' with U s V' = L^-1 X_j.
    """
    L = None if rows.covariance is None else np.linalg.cholesky(rows.covariance)
    U, s, Vt = np.linalg.svd(rows.X if L is None else np.linalg.solve(L, rows.X), full_matrices=False)
    share = 1.0 - s**2
    seen: Mask = share > NOTHING_LEFT
    left = np.where(seen, share, 0.0) ** 0.5
    if L is None:
        return (U * (s * over(left))[:, None, :]) @ Vt, np.asarray(Vt[~seen])
    LtL = L.transpose(0, 2, 1) @ L
    K = LtL - ((LtL @ U) * (1.0 - left)[:, None, :]) @ U.transpose(0, 2, 1)
    Q, singular = np.linalg.svd(K)[:2]
    rank = singular.shape[1] - (~seen).sum(axis=1)[:, None]  # singular values come in descending order
    half = (L @ Q) * over(np.where(np.arange(singular.shape[1]) < rank, singular, 0.0) ** 0.5)[:, None, :]
    return half @ (half.transpose(0, 2, 1) @ rows.WX), np.asarray(Vt[~seen])


def bias_reduced_with_weights(rows: WorkingRows, spread: Array) -> tuple[Array, Array]:
    """CR2 with Phi = I and any W: B_j is I - H_jj - H_jj' + X_j (X'W W X) X_j'."""
    H = rows.X @ rows.WX.transpose(0, 2, 1)
    B = np.eye(H.shape[1]) - H - H.transpose(0, 2, 1) + rows.X @ spread @ rows.X.transpose(0, 2, 1)
    share, vectors = np.linalg.eigh(B)
    seen: Mask = share > NOTHING_LEFT
    left = np.where(seen, share, 0.0) ** 0.5
    turned = vectors.transpose(0, 2, 1)
    return (vectors * over(left)[:, None, :]) @ (turned @ rows.WX), np.asarray((turned @ rows.X)[~seen])


def left_out(rows: WorkingRows) -> tuple[Array, Array]:
    """CR3: X_j'W_j (I - H_jj)^-1 = (I - X_j'W_j X_j)^-1 X_j'W_j needs no matrix of the cluster's size."""
    rows_of_both = np.concatenate([rows.X, rows.WX], axis=1).transpose(0, 2, 1)  # (B, p, 2 r)
    Q = np.linalg.qr(rows_of_both)[0]  # their span, small where coefficients are many
    s2, V = np.linalg.eigh((rows.X @ Q).transpose(0, 2, 1) @ (rows.WX @ Q))
    V, share = Q @ V, 1.0 - s2
    seen: Mask = share > NOTHING_LEFT
    inverse = (V * over(np.where(seen, share, 0.0))[:, None, :]) @ V.transpose(0, 2, 1)
    return rows.WX @ inverse, np.asarray(V.transpose(0, 2, 1)[~seen])


def over(values: Array) -> Array:
    """1 / values, and zero for those that are zero."""
    nonzero = values != 0.0
    return np.asarray(nonzero / np.where(nonzero, values, 1.0))
