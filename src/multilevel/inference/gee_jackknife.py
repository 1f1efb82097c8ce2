"""What are the estimates without each cluster? Three answers, from algebra to complete refits.

Each gives a variance (K - P) / K sum_i (theta_(-i) - theta)(theta_(-i) - theta)',

with P parameters in all, a given scale counted too:

    "linear"     theta_(-i) - theta = (H - H_i)^-1 u_i, H over all equations: R's geepack calls it "jack"
    "one-step"   one iteration without the cluster, first beta, then scale, then correlations: "j1s"
    "jackknife"  iterated until the equations without the cluster are zero: "fij"

For the coefficients the first two are the same.

References:
    Ziegler, A., Kastner, C., Brunner, D. & Blettner, M. (2000). Familial associations of lipid profiles: a
    generalized estimating equations approach. Statistics in Medicine 19, 3345-3357.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.estimation.gee.problem import EstimatingProblem, working_rows_at
from multilevel.estimation.gee.solve import EstimatingSolution, mean_square, solve, solved, sums_at
from multilevel.inference.gee_joint import joint_equations
from multilevel.kernels.gee import ByCluster

NOTHING_LEFT = 1e-8  # share of a direction that is left when the cluster that determines it is gone
JackknifeKind = Literal["linear", "one-step", "jackknife"]


def jackknife_covariance(
    problem: EstimatingProblem, solution: EstimatingSolution, kind: JackknifeKind
) -> Array:
    """Covariance (P, P) of moved columns' coefficients, the scale if estimated, and correlations."""
    K = problem.layout.n_clusters
    changes = {"linear": linear_changes, "one-step": one_step_changes, "jackknife": refitted_changes}[kind](
        problem, solution
    )
    P = problem.n_coefficients + 1 + len(solution.alpha)
    if K <= P:
        raise ModelError(
            f"a jackknife needs more clusters than parameters, and there are {K} and {P}; use "
            "vcov='fay-graubard', or a correlation with fewer parameters."
        )
    return np.asarray((K - P) / K * (changes.T @ changes))


def one_step_coefficients(problem: EstimatingProblem, solution: EstimatingSolution) -> Array:
    """Changes (K, p) of the coefficients alone, by one step without each cluster."""
    rows = working_rows_at(problem, solution.beta)
    sums = sums_at(problem, rows, solution.alpha, ByCluster.scores_and_informations)
    refuse_lone_clusters(sums.information, sums.informations)
    without = sums.information - sums.informations
    return -np.asarray(np.linalg.solve(without, sums.scores[:, :, None])[:, :, 0])


def refuse_lone_clusters(information: Array, informations: Array) -> None:
    """Coefficients that one cluster determines do not exist without it."""
    shares = np.linalg.eigvals(np.linalg.solve(information, informations)).real.max(axis=1)
    if shares.max() > 1.0 - NOTHING_LEFT:
        raise ModelError(
            "one cluster alone determines a coefficient, which does not exist without it, so that there is "
            "no jackknife; leave out the predictor that belongs to this cluster alone."
        )


def linear_changes(problem: EstimatingProblem, solution: EstimatingSolution) -> Array:
    """(H - H_i)^-1 u_i: (K, P)."""
    joint = joint_equations(problem, solution, by_cluster=True)
    return -np.asarray(np.linalg.solve(joint.H - joint.by_cluster, joint.u[:, :, None])[:, :, 0])


def one_step_changes(problem: EstimatingProblem, solution: EstimatingSolution) -> Array:
    """One iteration without each cluster: (K, P)."""
    moves = one_step_coefficients(problem, solution)
    return np.array([one_step_without(problem, solution, k, move) for k, move in enumerate(moves)])


def one_step_without(problem: EstimatingProblem, solution: EstimatingSolution, k: int, move: Array) -> Array:
    """Changes (P,) of beta, then of the scale there, then of the correlations by one scoring step."""
    part = without_cluster(problem, k)
    rows = working_rows_at(part, solution.beta + move)
    phi = solution.phi if problem.scale is not None else mean_square(rows.pearson, part.weights, 0.0)
    structure, alpha = part.structure, solution.alpha
    step = np.empty(0)
    if len(alpha):
        wz = structure.weights * rows.pearson
        u = structure.products(wz, wz, alpha) / phi - structure.expected(alpha)
        step = solved(structure.gram(alpha), u.sum(axis=0))
    return np.concatenate([move, [] if problem.scale is not None else [phi - solution.phi], step])


def refitted_changes(problem: EstimatingProblem, solution: EstimatingSolution) -> Array:
    """Refits without each cluster: (K, P)."""
    if problem.moments == "gee":
        raise ModelError(
            "the complete jackknife is for moments='geepack'; use vcov='one-step', which is close to it."
        )
    one_step_coefficients(problem, solution)  # refuses what cannot be refitted
    out = []
    for k in range(problem.layout.n_clusters):
        fit = solve(without_cluster(problem, k), solution)
        scale = [] if problem.scale is not None else [fit.phi - solution.phi]
        out.append(np.concatenate([fit.beta - solution.beta, scale, fit.alpha - solution.alpha]))
    return np.array(out)


def without_cluster(problem: EstimatingProblem, k: int) -> EstimatingProblem:
    """The same equations, with the weights of one cluster's rows at zero."""
    weights = problem.row_weights.copy()
    weights[problem.layout.start[k] : problem.layout.start[k + 1]] = 0.0
    return replace(problem, weights=weights, structure=problem.structure.reweighted(weights))
