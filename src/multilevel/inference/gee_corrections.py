"""How are contributions of clusters corrected for being residuals?

With A = sum_i G_i, G_i = D_i'R_i^-1 D_i, and u_i = D_i'R_i^-1 e_i what cluster i adds to the score, the
sandwich is A^-1 sum_i u_i u_i' A^-1. Residuals are smaller than errors: in whitened space cluster i has the
leverage H_i = R^(-1/2) D_i A^-1 D_i' R^(-1/2). Since D'f(D A^-1 D') = f(D'D A^-1) D' for any function f,
corrections of the m_i residuals are corrections of the p numbers u_i,

    Kauermann-Carroll   (I - G_i A^-1)^(-1/2) u_i     unbiased if the working covariance is right
    Mancl-DeRouen       (I - G_i A^-1)^-1 u_i         the change when the cluster is left out
    Fay-Graubard        diag(1 - min(b, (G_i A^-1)_jj))^(-1/2) u_i,  b = 0.75

and no matrix of a cluster's size is formed. The first two do not depend on which coefficients describe the
model; they are taken in the basis where A = I. The third does, and is taken over the user's.

References:
    Kauermann, G. & Carroll, R. J. (2001). A note on the efficiency of sandwich covariance matrix estimation.
    Journal of the American Statistical Association 96, 1387-1396.
    Mancl, L. A. & DeRouen, T. A. (2001). A covariance estimator for GEE with improved small-sample
    properties. Biometrics 57, 126-134.
    Fay, M. P. & Graubard, B. I. (2001). Small-sample adjustments for Wald-type tests using sandwich
    estimators. Biometrics 57, 1198-1206.
    Morel, J. G., Bokossa, M. C. & Neerchal, N. K. (2003). Small sample correction for the variance of GEE
    estimators. Biometrical Journal 45, 395-409.
    Gosho, M., Sato, Y. & Takeuchi, H. (2014). Robust covariance estimator for small-sample adjustment in the
    generalized estimating equations: a simulation study. Science Journal of Applied Mathematics and
    Statistics 2, 20-25.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.errors import ModelError
from multilevel.estimation.gee.problem import EstimatingProblem, working_rows_at
from multilevel.estimation.gee.solve import sums_at
from multilevel.fitted.gee import GEERecord
from multilevel.inference.cluster_adjustment import over
from multilevel.kernels.gee import ByCluster, Indices, inverse_times

BOUND = 0.75  # leverages that Fay and Graubard's correction takes as larger are taken as this
NOTHING_LEFT = 1e-8  # share of a direction that is left when the cluster that determines it has been fitted
ALONG = 1e-6  # cosine of an angle that is not a right one, beside rounding
MBN_SHARE = 0.5  # largest part of the model-based variance that is added
LARGEST_POOLED = 500  # visits whose residuals are pooled


@dataclass(frozen=True, slots=True)
class CorrectedClusters:
    """K clusters in the basis where A = I: cluster i contributes maps[i] @ scores[i]."""

    scores: Array  # (K, p)
    informations: Array  # (K, p, p) G_i in the basis
    maps: Array  # (K, p, p)

    @property
    def contributions(self) -> Array:
        """(K, p) what each adds to beta-hat, in the basis."""
        return np.asarray(np.einsum("kij,kj->ki", self.maps, self.scores))


def cluster_informations(problem: EstimatingProblem, record: GEERecord, beta: Array) -> Array:
    """G_i of all clusters (K, p, p), in the basis; beta (p,) are the coefficients of the moved columns."""
    rows = working_rows_at(problem, beta)
    sums = sums_at(problem, rows, record.alpha, ByCluster.scores_and_informations)
    return np.asarray(record.root.T @ sums.informations @ record.root)


def corrected(record: GEERecord, informations: Array, kind: str) -> CorrectedClusters:
    """Contributions corrected one of three ways, or with "sandwich" as they are."""
    refuse_indefinite(record, kind)
    K, p = record.scores.shape
    match kind:
        case "sandwich":
            maps = np.broadcast_to(np.eye(p), (K, p, p))
        case "kauermann-carroll":
            maps = powers(informations, -0.5)
        case "mancl-derouen":
            maps = powers(informations, -1.0)
        case _:
            maps = bounded(record.to_coefficients, informations)
    return CorrectedClusters(record.scores, informations, maps)


def powers(informations: Array, exponent: float) -> Array:
    """(I - G_i)^exponent, zero in directions that one cluster determines alone: (K, p, p)."""
    values, vectors = np.linalg.eigh(informations)
    left = 1.0 - values
    seen = left > NOTHING_LEFT
    factor = np.where(seen, over(np.where(seen, left, 0.0) ** -exponent), 0.0)
    return np.asarray((vectors * factor[:, None, :]) @ vectors.transpose(0, 2, 1))


def bounded(P: Array, informations: Array) -> Array:
    """Fay and Graubard's diagonal over the coefficients, carried to the basis: (K, p, p).

    With beta = P c, G_i A^-1 over the coefficients is P^-T G_i P'.
    """
    back = np.linalg.inv(P)
    leverage = np.einsum("ji,kjl,il->ki", back, informations, P)
    factor = 1.0 / np.sqrt(1.0 - np.minimum(BOUND, leverage))
    return np.asarray(P.T @ (factor[:, :, None] * back.T))


def resting_on_one_cluster(record: GEERecord, informations: Array) -> Mask:
    """Which coefficients (p,) one cluster determines alone, in part."""
    values, vectors = np.linalg.eigh(informations)
    lone = vectors.transpose(0, 2, 1)[1.0 - values <= NOTHING_LEFT]
    P = record.to_coefficients
    along = np.abs(P @ lone.T).max(axis=1, initial=0.0)
    return np.asarray(along > ALONG * np.sqrt((P**2).sum(axis=1)))


def refuse_indefinite(record: GEERecord, kind: str) -> None:
    """Corrections are shares of an information that is one."""
    if not record.definite:
        raise ModelError(
            f"vcov='{kind}' needs a working correlation that is one, and the estimated one is not positive "
            "definite; use vcov='sandwich', or another corr=."
        )


# Corrections of the whole sandwich --------------------------------------------------------------------------


def morel_bokossa_neerchal(record: GEERecord) -> Array:
    """The sandwich (p, p), enlarged by a part of the model-based variance: in the basis.

    k sum u u' + delta psi phi I, with k = (n - 1) / (n - p) K / (K - 1), delta = min(1/2, p / (K - p)) and
    psi the mean ratio of sandwich to model-based variance, at least one.
    """
    refuse_indefinite(record, "morel-bokossa-neerchal")
    K, p = record.scores.shape
    refuse_no_clusters_left(K, p)
    n = record.n_obs
    core = (n - 1.0) / (n - p) * K / (K - 1.0) * (record.scores.T @ record.scores)
    design_effect = max(1.0, float(np.trace(core)) / (p * record.phi))
    return np.asarray(core + min(MBN_SHARE, p / (K - p)) * design_effect * record.phi * np.eye(p))


def gosho(problem: EstimatingProblem, record: GEERecord, beta: Array) -> Array:
    """The sandwich (p, p) with correlations of residuals pooled over clusters, by K - p: in the basis.

    Pairs of visits that are missing in some clusters are divided by their own number less its share of p.
    """
    K, p = record.scores.shape
    refuse_no_clusters_left(K, p)
    layout = problem.layout
    T = len(layout.visits)
    if T > LARGEST_POOLED:
        raise ModelError(
            f"vcov='gosho' pools residuals by pairs of visits, and there are {T} visits; use "
            "vcov='fay-graubard'."
        )
    rows = working_rows_at(problem, beta)
    root = np.sqrt(problem.row_weights)
    D = np.asfortranarray(rows.slope[:, None] * problem.X)
    Q = inverse_times(problem.structure.inverse(record.alpha), D) @ record.root
    pooled = pooled_products(layout.visit, layout.start, root * rows.pearson, T, p)
    meat = np.zeros((p, p))
    for first, last in zip(layout.start[:-1], layout.start[1:], strict=True):
        q, visit = Q[first:last], layout.visit[first:last]
        meat += q.T @ pooled[np.ix_(visit, visit)] @ q
    return np.asarray(record.bread @ meat @ record.bread)


def pooled_products(visit: Indices, start: Indices, z: Array, T: int, p: int) -> Array:
    """Mean products of residuals of visits (T, T), by their numbers of clusters times (K - p) / K."""
    K = len(start) - 1
    Z, seen = np.zeros((K, T)), np.zeros((K, T))
    cluster = np.repeat(np.arange(K), np.diff(start))
    Z[cluster, visit], seen[cluster, visit] = z, 1.0
    return np.asarray((Z.T @ Z) * over(seen.T @ seen) * K / (K - p))


def refuse_no_clusters_left(K: int, p: int) -> None:
    """Divisors K - p must be positive."""
    if p >= K:
        raise ModelError(
            f"{K} clusters are too few for {p} coefficients; use fewer terms, or vcov='fay-graubard'."
        )
