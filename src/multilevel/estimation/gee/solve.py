"""Solve the estimating equations: scoring steps in beta, and moments for scale and correlation in between.

    sum over clusters of  D'V^-1 (y - mu) = 0,   D = d mu / d beta,  V = phi A^(1/2) R(alpha) A^(1/2) / w

A step is (sum D'V^-1 D)^-1 sum D'V^-1 (y - mu), with phi and alpha from the residuals before it. Steps that
leave the range of the link are halved. It ends when a step is nothing beside the model-based standard errors.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from multilevel._typing import Array
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.gee.problem import EstimatingProblem, working_rows_at
from multilevel.estimation.gee.separation import close_to_an_end, refuse_separation
from multilevel.kernels.gee import ByCluster, ClusterSums, IndependentInverse, WorkingRows, estimating_sums

MOST_ITERATIONS = 200
SETTLED = 1e-8  # of a standard error, and of scale and correlations
NEARLY = 0.3  # of a standard error: where the start under independence may end
MOST_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class EstimatingSolution:
    """Where the equations are zero."""

    beta: Array  # (p,) of the moved columns
    phi: float
    alpha: Array  # (q,)
    iterations: int
    converged: bool
    margin: float  # positive if the working correlation is positive definite


def solve(problem: EstimatingProblem, start: EstimatingSolution | None = None) -> EstimatingSolution:
    """The solution; `start` is that of a problem much like this one."""
    alpha = np.zeros(problem.structure.n_parameters) if start is None else start.alpha
    beta = independent_start(problem) if start is None else start.beta
    rows = working_rows_at(problem, beta)
    phi = scale_of(problem, rows)
    converged, iterations, moved, looked = False, 0, np.inf, False
    while iterations < MOST_ITERATIONS:
        iterations += 1
        looked = looked or looked_for_separation(problem, rows)
        previous, phi = phi, scale_of(problem, rows)
        before, alpha = alpha, correlation_of(problem, rows, phi, alpha)
        change = max(float(np.abs(alpha - before).max(initial=0.0)), abs(phi / previous - 1.0))
        if max(moved, change) < SETTLED:
            converged = True
            break
        sums = sums_at(problem, rows, alpha)
        step = solved(sums.information, sums.score)
        moved = length(step, sums.information, phi)
        beta, rows = moved_by(problem, beta, step)
    margin = problem.structure.margin(alpha)
    if not converged:
        refuse_separation(problem)
        warnings.warn(
            f"the estimating equations were not solved in {MOST_ITERATIONS} iterations; the last step was "
            f"{moved:.2g} standard errors. Try corr='independence' or fewer parameters.",
            MultilevelWarning,
            stacklevel=4,
        )
    return EstimatingSolution(beta, phi, alpha, iterations, converged, margin)


def sums_at(
    problem: EstimatingProblem, rows: WorkingRows, alpha: Array, by_cluster: ByCluster = ByCluster.nothing
) -> ClusterSums:
    """Information and score, up to the scale."""
    residual = rows.pearson if problem.weights is None else np.sqrt(problem.weights) * rows.pearson
    inverse = problem.structure.inverse(alpha)
    return estimating_sums(inverse, problem.X, rows.slope, residual, by_cluster)


def length(step: Array, information: Array, phi: float) -> float:
    """Of a step in model-based standard errors."""
    square = float(step @ information @ step) / phi
    return square**0.5 if square > 0.0 else 0.0


def solved(information: Array, score: Array) -> Array:
    """The solution of a symmetric system, by Cholesky where it is positive definite."""
    diagonal = np.abs(information.diagonal())
    unit = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    scaled = information / np.outer(unit, unit)
    try:
        return np.asarray(cho_solve(cho_factor(scaled), score / unit) / unit)
    except np.linalg.LinAlgError:
        try:  # a working correlation that is none makes the information indefinite, but the equations stand
            return np.asarray(np.linalg.solve(scaled, score / unit) / unit)
        except np.linalg.LinAlgError:
            raise ModelError(
                "the information about the coefficients became singular, as where fitted means reach the "
                "end of their range; look for predictors that determine the response, and leave them out."
            ) from None


def moved_by(problem: EstimatingProblem, beta: Array, step: Array) -> tuple[Array, WorkingRows]:
    """Beta after a step, halved until all means are in their range."""
    for _ in range(MOST_HALVINGS):
        new = working_rows_at(problem, beta + step)
        if new.possible:
            return beta + step, new
        step = 0.5 * step
    refuse_separation(problem)
    raise ModelError(
        f"no step keeps the fitted means of the {problem.family.name} family with link "
        f"'{problem.family.link.name}' in their range; use another link."
    )


def scale_of(problem: EstimatingProblem, rows: WorkingRows) -> float:
    """Phi, the weighted mean of squared Pearson residuals, or as given."""
    if problem.scale is not None:
        return problem.scale
    return mean_square(rows.pearson, problem.weights, problem.shortfall)


def correlation_of(problem: EstimatingProblem, rows: WorkingRows, phi: float, alpha: Array) -> Array:
    """Alpha (q,) from the residuals; R's gee takes the estimated scale even where another one is given."""
    if problem.moments == "geepack":
        return problem.structure.estimate(rows.pearson, phi, alpha)
    p = problem.n_coefficients
    return problem.structure.estimate_as_gee(rows.pearson, mean_square(rows.pearson, None, float(p)), p)


def mean_square(z: Array, weights: Array | None, shortfall: float) -> float:
    """Sum w z^2 / (sum w - shortfall)."""
    total, count = (z @ z, float(len(z))) if weights is None else (weights @ (z * z), float(weights.sum()))
    phi = float(total) / (count - shortfall)
    if phi <= 1e-28:
        raise ModelError("the model fits the response perfectly and leaves no variation to estimate from.")
    return phi


# The start -----------------------------------------------------------------------------------------------


def independent_start(problem: EstimatingProblem) -> Array:
    """Coefficients (p,) not far from those under independence: iterated weighted least squares."""
    beta, rows = first_step(problem)
    inverse = IndependentInverse(problem.layout.start)
    looked = False
    for _ in range(MOST_ITERATIONS):
        looked = looked or looked_for_separation(problem, rows)
        residual = rows.pearson if problem.weights is None else np.sqrt(problem.weights) * rows.pearson
        sums = estimating_sums(inverse, problem.X, rows.slope, residual)
        step = solved(sums.information, sums.score)
        phi = mean_square(rows.pearson, problem.weights, 0.0)
        moved = length(step, sums.information, phi)
        beta, rows = moved_by(problem, beta, step)
        if moved < NEARLY:
            break
    else:
        refuse_separation(problem)
    return beta


def first_step(problem: EstimatingProblem) -> tuple[Array, WorkingRows]:
    """Least squares of the linearised response at means close to the response."""
    family, link = problem.family, problem.family.link
    mu = family.start(problem.y)
    eta = link.link(mu)
    slope = link.slope(eta)
    root = np.sqrt(problem.row_weights / family.variance(mu))
    linear = eta + (problem.y - mu) / slope
    if problem.offset is not None:
        linear = linear - problem.offset
    inverse = IndependentInverse(problem.layout.start)
    sums = estimating_sums(inverse, problem.X, np.asarray(root * slope), np.asarray(root * slope * linear))
    beta = solved(sums.information, sums.score)
    rows = working_rows_at(problem, beta)
    if rows.possible:
        return beta, rows
    return constant_start(problem)


def constant_start(problem: EstimatingProblem) -> tuple[Array, WorkingRows]:
    """All means alike, where the line through the response leaves the range of the link."""
    link = problem.family.link
    mean = np.average(problem.family.start(problem.y), weights=problem.weights)
    wanted = np.full(len(problem.y), float(link.link(np.array([mean]))[0]))
    beta = np.asarray(np.linalg.lstsq(problem.X, wanted, rcond=None)[0])
    rows = working_rows_at(problem, beta)
    if not rows.possible:
        raise ModelError(
            f"no coefficients are found from which the means of the {problem.family.name} family with link "
            f"'{link.name}' stay in their range; use another link."
        )
    return beta, rows


def looked_for_separation(problem: EstimatingProblem, rows: WorkingRows) -> bool:
    """Whether means came so close to an end of their range that it was asked; refused if they have to."""
    if not close_to_an_end(problem, rows.pearson):
        return False
    refuse_separation(problem)
    return True
