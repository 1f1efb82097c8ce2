"""How sure are the scale and the correlations? The sandwich of all three sets of estimating equations.

With u = (u_1, u_2, u_3) what a cluster adds to the equations of coefficients, scale and correlations, and H
the sum of minus their derivatives, which is block lower triangular, the covariance of all estimates is
H^-1 sum u u' H^-T. The equations of scale and correlations are

    u_2 = sum w (z^2 - phi),    u_3 = sum over pairs of w_s w_t E (z_s z_t / phi - rho).

R's geepack has two derivatives otherwise than they are: that of z^2 by beta once more over sqrt(V), and in
that of z_s z_t the parts - (d mu / d beta) / sqrt(V) of the two rows exchanged. Numbers as geepack's, which
is what everyone compares with, take them so; `exact` ones do not.

References:
    Yan, J. & Fine, J. (2004). Estimating equations for association structures. Statistics in Medicine 23,
    859-874.
    Halekoh, U., Højsgaard, S. & Yan, J. (2006). The R package geepack for generalized estimating equations.
    Journal of Statistical Software 15(2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.gee.problem import EstimatingProblem, Rows, rows_at, working_rows_at
from multilevel.estimation.gee.solve import EstimatingSolution, sums_at
from multilevel.kernels.gee import ByCluster


@dataclass(frozen=True, slots=True)
class JointEquations:
    """Equations of p coefficients (of the moved columns), the scale if estimated, and q correlations."""

    u: Array  # (K, P)
    H: Array  # (P, P)
    by_cluster: Array  # (K, P, P), or (0, P, P)
    n_coefficients: int  # p
    n_scales: int  # 1 or 0

    def influence(self) -> Array:
        """H^-1 u of each cluster: (K, P)."""
        return np.asarray(np.linalg.solve(self.H, self.u.T).T)

    def covariance(self) -> Array:
        """Sandwich covariance of all parameters: (P, P)."""
        influence = self.influence()
        return np.asarray(influence.T @ influence)


def joint_equations(
    problem: EstimatingProblem, solution: EstimatingSolution, *, exact: bool = False, by_cluster: bool = False
) -> JointEquations:
    """All equations at the solution; derivatives as geepack has them unless they are to be exact."""
    alpha, phi = solution.alpha, solution.phi
    kept = ByCluster.scores_and_informations if by_cluster else ByCluster.scores
    sums = sums_at(problem, working_rows_at(problem, solution.beta), alpha, kept)
    scale = scale_equations(problem, solution, exact)
    pairs = pair_equations(problem, solution, exact)
    p, q = problem.n_coefficients, len(alpha)
    s = 1 if problem.scale is None else 0
    u = np.concatenate([sums.scores, scale.u[:, :s], pairs.u], axis=1)
    P = p + s + q

    def assembled(
        A: Array, of_scale: Array, of_pairs: Array, count: Array, gram: Array, total: Array
    ) -> Array:
        H = np.zeros((*A.shape[:-2], P, P))
        H[..., :p, :p] = A
        if s:
            H[..., p, :p], H[..., p, p] = of_scale, count
            H[..., p + 1 :, p] = total / phi**2
        H[..., p + s :, :p], H[..., p + s :, p + s :] = of_pairs, gram
        return H

    grams = problem.structure.grams(alpha) if by_cluster else problem.structure.gram(alpha)
    if not by_cluster:
        parts = (
            scale.slopes.sum(axis=0),
            pairs.slopes.sum(axis=0),
            scale.count.sum(),
            grams,
            pairs.total.sum(axis=0),
        )
        return JointEquations(u, assembled(sums.information, *parts), np.empty((0, P, P)), p, s)
    each = assembled(sums.informations, scale.slopes, pairs.slopes, scale.count, grams, pairs.total)
    return JointEquations(u, each.sum(axis=0), each, p, s)


@dataclass(frozen=True, slots=True)
class ScaleEquations:
    """Contributions of clusters to the equation of the scale."""

    u: Array  # (K, 1)
    slopes: Array  # (K, p) minus derivatives by beta
    count: Array  # (K,) minus derivatives by phi: sums of weights


@dataclass(frozen=True, slots=True)
class PairEquations:
    """Contributions of clusters to the equations of the correlations."""

    u: Array  # (K, q)
    slopes: Array  # (K, q, p) minus derivatives by beta
    total: Array  # (K, q) sums of w_s w_t E z_s z_t


def residual_slopes(rows: Rows, z: Array) -> tuple[Array, Array]:
    """The two parts of - dz / d eta: of the residual itself, and of the root of its variance."""
    by_mean = rows.slope / np.sqrt(rows.variance)
    by_variance = 0.5 * z * rows.variance_slope / rows.variance * rows.slope
    return np.asarray(by_mean), np.asarray(by_variance)


def scale_equations(problem: EstimatingProblem, solution: EstimatingSolution, exact: bool) -> ScaleEquations:
    """u_2 and its derivatives."""
    rows = rows_at(problem, solution.beta)
    w, z = problem.row_weights, rows.pearson(problem.y)
    slope = 2.0 * w * z * sum(residual_slopes(rows, z))
    if not exact:
        slope = slope / np.sqrt(rows.variance)
    sums = problem.layout.sums
    return ScaleEquations(
        sums(w * (z * z - solution.phi))[:, None], sums(slope[:, None] * problem.X), sums(w)
    )


def pair_equations(problem: EstimatingProblem, solution: EstimatingSolution, exact: bool) -> PairEquations:
    """u_3 and its derivatives: sums over pairs of E (z_t dz_s + z_s dz_t)."""
    structure, alpha, phi = problem.structure, solution.alpha, solution.phi
    K, p, q = problem.layout.n_clusters, problem.n_coefficients, len(alpha)
    if q == 0:
        return PairEquations(np.empty((K, 0)), np.empty((K, 0, p)), np.empty((K, 0)))
    rows = rows_at(problem, solution.beta)
    w, z = problem.row_weights, rows.pearson(problem.y)
    wz = w * z
    by_mean, by_variance = residual_slopes(rows, z)
    total = structure.products(wz, wz, alpha)
    slopes = np.empty((K, q, p))
    for j, x in enumerate(problem.X.T):
        if exact:
            slopes[:, :, j] = structure.products(w * (by_mean + by_variance) * x, wz, alpha)
        else:
            slopes[:, :, j] = structure.products(wz * by_mean * x, w, alpha)
            slopes[:, :, j] += structure.products(w * by_variance * x, wz, alpha)
    return PairEquations(total / phi - structure.expected(alpha), 2.0 / phi * slopes, total)
