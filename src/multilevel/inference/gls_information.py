"""What do the data say about the parameters of a residual structure, and how does beta-hat hang on them?

The parameters are log sigma^2 and phi. The gradient of the criterion is exact, so that its derivatives are
central differences of it. With d the profiled criterion of m degrees of freedom and r(phi) the weighted
residual sum of squares at the best beta, minus twice the full log-likelihood, with t = log sigma^2, has

    d2/dt2 = m,    d2/dt dphi = -r' / sigma^2,    d2/dphi2 = d'' + (r' / sigma^2)(r' / sigma^2)' / m.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.errors import ModelError
from multilevel.estimation.gls import GLSSolution
from multilevel.estimation.residual.problem import (
    GLSPoint,
    GLSProblem,
    ResidualModel,
    slopes,
    solve,
)
from multilevel.fitted.gls import GLSRecord
from multilevel.inference.coefficients import CoefficientInference, KnownDf
from multilevel.inference.information import FixedBasis, Information, inverse
from multilevel.inference.satterthwaite import satterthwaite

STEP = 1e-4  # of a central difference in phi, whose parameters are of the order of one


def gls_information(solution: GLSSolution) -> Information:
    """Hessian (1 + k, 1 + k) in log sigma^2 and phi, and slopes (1 + k, p, p) of the covariance of beta-hat.

    The slopes are in the basis in which that covariance is the identity. Constants of a variance that are
    zero are held there: their rows are zero.
    """
    problem, at = solution.problem, solution.point
    k, p = len(at.phi), len(at.beta)
    profiled, of_rss, of_covariance = np.zeros((k, k)), np.zeros(k), np.zeros((k, p, p))
    for j in free_parameters(solution):
        above, below, width = neighbours(problem, at.phi, j)
        profiled[j] = (slopes(problem, above).gradient - slopes(problem, below).gradient) / width
        of_rss[j] = (above.rss - below.rss) / width
        of_covariance[j] = (relative_covariance(at, above) - relative_covariance(at, below)) / width
    held = np.setdiff1d(np.arange(k), free_parameters(solution))
    profiled[:, held] = 0.0
    against_scale = -of_rss * problem.df / at.rss
    rest = 0.5 * (profiled + profiled.T) + np.outer(against_scale, against_scale) / problem.df
    matrix = np.block(
        [[np.array([[float(problem.df)]]), against_scale[None]], [against_scale[:, None], rest]]
    )
    return Information(matrix, np.concatenate([np.eye(p)[None], of_covariance]))


def free_parameters(solution: GLSSolution) -> list[int]:
    """Parameters that the criterion moves with."""
    held = held_at_zero(solution.problem.model, solution.point.phi)
    return [j for j in range(len(held)) if not held[j]]


def held_at_zero(model: ResidualModel, phi: Array) -> Mask:
    """Constants of a variance whose root is at zero, where they have no derivative: (k,)."""
    constant = [name.startswith("constant") for name in model.scale.names]
    held = np.zeros(len(phi), dtype=np.bool_)
    held[: model.n_scale] = np.array(constant, dtype=np.bool_) & (phi[: model.n_scale] == 0.0)
    return held


def neighbours(problem: GLSProblem, phi: Array, j: int) -> tuple[GLSPoint, GLSPoint, float]:
    """The model on both sides of phi, and how far these are apart; on one side where there is no other."""
    step = np.zeros(len(phi))
    step[j] = STEP * max(1.0, abs(float(phi[j])))
    above, below, here = solve(problem, phi + step), solve(problem, phi - step), solve(problem, phi)
    ends = [
        (shift, point) for shift, point in ((-1.0, below), (0.0, here), (1.0, above)) if point is not None
    ]
    (low, first), (high, last) = ends[0], ends[-1]
    if low == high:
        raise ModelError(
            "the residual parameters lie where their likelihood has no derivatives, so that they have no "
            "standard errors; simplify residual=."
        )
    return last, first, (high - low) * float(step[j])


def relative_covariance(at: GLSPoint, other: GLSPoint) -> Array:
    """(X'V^-1 X)^-1 of another point (p, p), in the basis where that of this one is the identity."""
    half = at.root @ np.linalg.inv(other.root)
    return np.asarray(half @ half.T)


def gls_inference(record: GLSRecord, information: Information | None, df: str) -> CoefficientInference:
    """The coefficients by the model, with degrees of freedom by a method.

    `information` is for Satterthwaite's alone.
    """
    to_identity = record.sigma * record.root
    if df == "satterthwaite":
        assert information is not None
        return satterthwaite(record.beta, FixedBasis(record.centring, to_identity), information)
    root = record.centring.contrasts(np.eye(record.n_coefficients)) @ to_identity
    return KnownDf("model", record.beta, root, np.inf if df == "z" else record.df_residual)


def parameter_errors(
    model: ResidualModel, phi: Array, information: Information, *, mean_scaled: bool = False
) -> tuple[float, Array]:
    """Standard errors of log sigma, and of the natural parameters (k,) by the delta method.

    phi are the last parameters of the information, log sigma^2 the first; with `mean_scaled` that is of the
    sigma times the geometric mean of the factors of the variance. NaN of those that are held.
    """
    covariance = 2.0 * inverse(information.matrix)
    k = len(phi)
    jacobian = np.zeros((k, k))
    for j in range(k):
        step = np.zeros(k)
        step[j] = STEP * max(1.0, abs(float(phi[j])))
        jacobian[:, j] = (model.natural(phi + step) - model.natural(phi - step)) / (2.0 * step[j])
    own = covariance[len(covariance) - k :, len(covariance) - k :]
    variance = ((jacobian @ own) * jacobian).sum(axis=1)
    errors = np.where(held_at_zero(model, phi), np.nan, np.sqrt(np.maximum(variance, 0.0)))
    to_sigma = np.zeros(len(covariance))
    to_sigma[0] = 1.0
    if mean_scaled:
        even = np.full(model.scale.n_rows, 1.0 / model.scale.n_rows)
        first = len(covariance) - k
        to_sigma[first : first + model.n_scale] = -2.0 * model.scale.slopes(phi[: model.n_scale], even)
    return 0.5 * float(np.sqrt(to_sigma @ covariance @ to_sigma)), errors
