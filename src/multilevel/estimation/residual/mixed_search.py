"""Where is the optimum of a mixed model in the residual parameters, with theta at its best for each?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.gls import SETTLED, correlation_starts
from multilevel.estimation.optimum import Certificate, Optimum
from multilevel.estimation.quasi_newton import Minimum, Value
from multilevel.estimation.quasi_newton import minimise as descend_from
from multilevel.estimation.residual.independent import IndependentRows
from multilevel.estimation.residual.mixed import (
    MixedPoint,
    MixedProblem,
    mixed_problem,
    predicted,
    slopes,
    solve,
)
from multilevel.estimation.residual.problem import ResidualModel
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.estimation.residual.scale_factors import ScaleProduct
from multilevel.estimation.residual.search import descents, refuse_unbounded

TOLERANCE = 1e-9  # decrease of the criterion that one more step may promise
CERTIFIED = 1e-6  # the same, for the certificate: estimates move by less than 1e-3 of their error
NULL_TOLERANCE = 1e-4  # slope along a constant that is zero that may remain
ROUNDING = 1e-8  # increase of the criterion that is within its own rounding
MOST_ROUNDS = 100  # of a variance that depends on fitted values


@dataclass(frozen=True, slots=True)
class MixedSolution:
    """The optimum and the model solved there, in the order of estimation and in moved columns."""

    problem: MixedProblem
    point: MixedPoint
    optimum: Optimum


def fit_mixed(design: Design, rows: ResidualRows, *, reml: bool) -> MixedSolution:
    """Search for the residual parameters; theta, coefficients and sigma are at their best for each."""
    ordered = in_order(design, rows)
    plain = solve_plain(ordered, rows, reml)
    y = rows.in_order(design.y)
    fitted = fitted_values(plain.problem, plain.point)
    weights = ordered.weights
    problem = mixed_problem(ordered, rows.model(fitted, weights), reml=reml)
    found = search(problem, starts(problem.model, y - fitted))
    if not rows.depends_on_fitted:
        return found
    for _ in range(MOST_ROUNDS):
        following = fitted_values(found.problem, found.point)
        if np.abs(following - fitted).max() <= SETTLED * float(np.std(y - following)):
            return found
        fitted = following
        problem = mixed_problem(ordered, rows.model(fitted, weights), reml=reml)
        found = search(problem, [found.point.phi], begin=found.point.theta)
    raise ModelError(
        f"the fitted values that the variance depends on did not settle in {MOST_ROUNDS} rounds; name a "
        'covariate instead, as in ml.VarPower("x").'
    )


def in_order(design: Design, rows: ResidualRows) -> Design:
    """The design with its rows in the order of estimation."""
    layout = rows.layout
    if layout is None or layout.order is None:
        return design
    order = layout.order
    return replace(
        design,
        y=design.y[order],
        X=np.asfortranarray(design.X[order]),
        groupings=tuple(replace(g, codes=g.codes[order]) for g in design.groupings),
        terms=tuple(replace(term, Z=np.asfortranarray(term.Z[order])) for term in design.terms),
        weights=None if design.weights is None else design.weights[order],
        offset=None if design.offset is None else design.offset[order],
    )


def solve_plain(ordered: Design, rows: ResidualRows, reml: bool) -> MixedSolution:
    """The model with independent residuals of equal variance, but for precision weights."""
    weights = None if ordered.weights is None else np.log(ordered.weights)
    model = ResidualModel(ScaleProduct((), rows.n_rows), IndependentRows(), weights)
    problem = mixed_problem(ordered, model, reml=reml)
    point = solve(problem, np.empty(0))
    assert point is not None
    assert point.optimum is not None
    return MixedSolution(problem, point, point.optimum)


def fitted_values(problem: MixedProblem, at: MixedPoint) -> Array:
    """X beta + Z b + offset (n,), in the order of estimation and in the user's units."""
    whole = predicted(problem, at, problem.rows)[1] / problem.response.scale + problem.response.shift
    return whole if problem.design.offset is None else whole + problem.design.offset


def starts(model: ResidualModel, residuals: Array) -> list[Array]:
    """Guesses from the residuals of independent rows, for every start of the scale."""
    whitened = residuals if model.log_weights is None else residuals * np.exp(0.5 * model.log_weights)
    found = []
    for k, delta in enumerate(model.scale.starts(whitened)):
        guesses = correlation_starts(model, whitened, delta)
        found += [np.concatenate([delta, eta]) for eta in (guesses if k == 0 else guesses[:1])]
    return found


def search(problem: MixedProblem, starts: list[Array], begin: Array | None = None) -> MixedSolution:
    """Follow the best starts; the best end, with its certificate."""
    points = [at for phi in starts if (at := solve(problem, phi, begin=begin)) is not None]
    points.sort(key=lambda at: at.criterion)
    ends = [end for at in points[: descents(len(problem.rows))] if (end := descend(problem, at)) is not None]
    if not ends:
        raise ModelError(
            "no covariance of the residuals could be found to begin from; simplify residual=, or check the "
            "covariates of its variance for extreme values."
        )
    best = min(ends, key=lambda end: end.value)
    evaluations = len(points) + sum(end.evaluations for end in ends)
    return finished(problem, best, evaluations)


def descend(problem: MixedProblem, at: MixedPoint) -> Minimum | None:
    """BFGS in phi; each search for theta begins where the one before ended."""
    theta = at.theta

    def value(phi: Array) -> Value | None:
        nonlocal theta
        there = solve(problem, phi, begin=theta)
        if there is None or not np.isfinite(there.criterion):
            return None
        theta = there.theta
        return there.criterion, slopes(problem, there).gradient

    return descend_from(value, at.phi, curvature=0.5 * problem.df, tolerance=TOLERANCE)


def finished(problem: MixedProblem, found: Minimum, evaluations: int) -> MixedSolution:
    """The end of a search: theta searched for anew, constants as good as zero put there."""
    model = problem.model
    point = solve(problem, found.x)
    assert point is not None
    scale = model.scale.boundary(found.x[: model.n_scale])
    snapped = np.concatenate([scale, found.x[model.n_scale :]])
    if not np.array_equal(snapped, found.x):
        there = solve(problem, snapped)
        if there is not None and there.criterion <= point.criterion + ROUNDING:
            point = there
    assert point.optimum is not None
    here = slopes(problem, point)
    promise = 0.5 * float(here.gradient @ found.inverse @ here.gradient)
    null = model.scale.null_slope(point.phi[: model.n_scale], here.by_log_sd)
    inner = point.optimum
    holds = promise < CERTIFIED and null > -NULL_TOLERANCE
    if not holds:
        refuse_unbounded(point.whitening.least_pivot, point.log_sd)
    certificate = Certificate(
        max(promise, inner.certificate.stationarity),
        min(inner.certificate.null_eigenvalue, null if np.isfinite(null) else 0.0),
        holds and inner.certificate.holds,
    )
    optimum = replace(
        inner,
        evaluations=evaluations,
        iterations=found.iterations,
        converged=certificate.holds,
        message=message(certificate, evaluations),
        certificate=certificate,
    )
    return MixedSolution(problem, point, optimum)


def message(certificate: Certificate, evaluations: int) -> str:
    """How the search ended, in a sentence."""
    if certificate.holds:
        return f"converged after {evaluations} evaluations; first-order conditions hold"
    return (
        f"found no better point after {evaluations} evaluations, yet the first-order conditions do not hold "
        f"(a further step would promise {certificate.stationarity:.1e})"
    )
