"""What do the data say about the variances of a mixed model with a residual structure?

The parameters are log sigma^2, theta and phi. The gradient of the criterion in theta and phi is exact, and
its derivatives are central differences; log sigma^2 joins them as in `gls_information`.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.estimation.residual.mixed import MixedPoint, MixedProblem, slopes, solve
from multilevel.estimation.residual.mixed_search import MixedSolution
from multilevel.fitted.structured import StructuredRecord
from multilevel.inference.coefficients import CoefficientInference, KnownDf
from multilevel.inference.denominator import CountedDf
from multilevel.inference.gls_information import STEP, held_at_zero
from multilevel.inference.information import FixedBasis, Information
from multilevel.inference.satterthwaite import satterthwaite


def structured_information(solution: MixedSolution) -> Information:
    """Hessian (1 + m, 1 + m) in log sigma^2, theta and phi, and slopes of the covariance of beta-hat."""
    problem, at = solution.problem, solution.point
    psi = np.concatenate([at.theta, at.phi])
    m, p = len(psi), problem.n_fixed
    profiled, of_pwrss, of_covariance = np.zeros((m, m)), np.zeros(m), np.zeros((m, p, p))
    free = free_directions(solution)
    for j in free:
        above, below, width = neighbours(problem, at, psi, j)
        profiled[j] = (gradient(problem, above) - gradient(problem, below)) / width
        of_pwrss[j] = (above.solution.pwrss - below.solution.pwrss) / width
        of_covariance[j] = (relative_covariance(at, above) - relative_covariance(at, below)) / width
    profiled[:, np.setdiff1d(np.arange(m), free)] = 0.0
    against_scale = -of_pwrss * problem.df / at.solution.pwrss
    rest = 0.5 * (profiled + profiled.T) + np.outer(against_scale, against_scale) / problem.df
    first = np.array([[float(problem.df)]])
    matrix = np.block([[first, against_scale[None]], [against_scale[:, None], rest]])
    return Information(matrix, np.concatenate([np.eye(p)[None], of_covariance]))


def free_directions(solution: MixedSolution) -> list[int]:
    """Parameters that are not held at a boundary."""
    k = len(solution.point.theta)
    held = held_at_zero(solution.problem.model, solution.point.phi)
    return [*range(k), *(k + j for j in range(len(held)) if not held[j])]


def gradient(problem: MixedProblem, at: MixedPoint) -> Array:
    """Of the criterion, in theta and phi."""
    of_theta = at.working.kernel.derivatives(at.theta, reml=problem.reml)[1]
    return np.concatenate([of_theta, slopes(problem, at).gradient])


def neighbours(
    problem: MixedProblem, at: MixedPoint, psi: Array, j: int
) -> tuple[MixedPoint, MixedPoint, float]:
    """The model on both sides of psi, or of where it can be, and how far these are apart."""
    k, step = len(at.theta), STEP * max(1.0, abs(float(psi[j])))
    ends = []
    for shift in (-step, 0.0, step):
        moved = psi.copy()
        moved[j] += shift
        point = solve(problem, moved[k:], begin=moved[:k], hold=True)
        if point is not None:
            ends.append((shift, point))
    (low, first), (high, last) = ends[0], ends[-1]
    if low == high:
        raise ModelError(
            "the residual parameters lie where their likelihood has no derivatives, so that they have no "
            "standard errors; simplify residual=."
        )
    return last, first, high - low


def relative_covariance(at: MixedPoint, other: MixedPoint) -> Array:
    """(X'V^-1 X)^-1 of another point (p, p), in the basis where that of this one is the identity."""
    half = np.linalg.solve(other.solution.fixed_factor, at.solution.fixed_factor)
    return np.asarray(half.T @ half)


def basis_of(record: StructuredRecord, solution: MixedSolution) -> FixedBasis:
    """A basis of the coefficients in which their covariance is the identity."""
    fixed = solution.problem.fixed
    inverse = np.asarray(np.linalg.inv(solution.point.solution.fixed_factor), dtype=np.float64).T
    sigma = record.sigma * np.exp(solution.point.log_unit)
    return FixedBasis(fixed.centring, np.asarray(sigma * fixed.back(inverse)))


def structured_inference(
    record: StructuredRecord,
    solution: MixedSolution,
    information: Information | None,
    method: str,
    counted: Array | None,
) -> CoefficientInference:
    """The coefficients by Satterthwaite's method, with `counted` degrees of freedom (p,), or normal."""
    basis = basis_of(record, solution)
    if method == "satterthwaite":
        assert information is not None
        return satterthwaite(record.beta, basis, information)
    if counted is not None:
        return CountedDf(method, record.beta, basis, np.sqrt(np.diag(record.vcov)), counted)
    root = basis.rows(np.eye(len(record.beta)))
    return KnownDf("normal", record.beta, root, np.inf)
