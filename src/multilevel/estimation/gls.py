"""Generalised least squares: coefficients, and the covariance of residuals that correlate or vary unequally.

A variance that depends on the fitted values is taken at the values of the fit before, until they settle:
the pseudo-likelihood of Carroll and Ruppert (1988), Transformation and Weighting in Regression, chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.centring import Centring, centre
from multilevel.estimation.ols import (
    least_squares,
    refuse_perfect_fit,
    refuse_saturated,
    sum_of_squares,
)
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.residual.problem import GLSPoint, GLSProblem, ResidualModel
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.estimation.residual.search import Search, search

MOST_ROUNDS = 200  # of a variance that depends on fitted values
SETTLED = 1e-9  # change of fitted values, in standard deviations of a residual


@dataclass(frozen=True, slots=True)
class GLSSolution:
    """The optimum and the model solved there, in the order of estimation and in moved columns."""

    problem: GLSProblem
    point: GLSPoint
    optimum: Optimum
    centring: Centring
    response_shift: float


def fit_gls(design: Design, rows: ResidualRows, *, reml: bool) -> GLSSolution:
    """Search the residual parameters; coefficients and sigma are at their best for each."""
    refuse_saturated(design.n_obs, design.X.shape[1])
    y = design.y if design.offset is None else design.y - design.offset
    ordinary = least_squares(design.X, y, design.weights)
    refuse_perfect_fit(ordinary.rss, sum_of_squares(design.y, design.weights), design.response_name)
    centring = centre(design.X, design.weights)
    shift = 0.0 if centring.one is None else float(np.average(y, weights=design.weights))
    columns = rows.in_order(np.column_stack([centring.columns(design.X), y - shift]))
    weights = None if design.weights is None else rows.in_order(design.weights)
    residuals = rows.in_order(ordinary.residuals)
    fitted = rows.in_order(design.y) - residuals
    found, problem = settled(design, rows, columns, weights, fitted, residuals, reml)
    return GLSSolution(problem, found.point, found.optimum, centring, shift)


def settled(
    design: Design,
    rows: ResidualRows,
    columns: Array,
    weights: Array | None,
    fitted: Array,
    residuals: Array,
    reml: bool,
) -> tuple[Search, GLSProblem]:
    """Search once, or again and again until the fitted values that the variance depends on are its own."""
    model = rows.model(fitted, weights)
    problem = GLSProblem(columns, model, reml)
    found = search(problem, starts(model, residuals))
    if not rows.depends_on_fitted:
        return found, problem
    y = rows.in_order(design.y)
    for _ in range(MOST_ROUNDS):
        errors = columns[:, -1] - columns[:, :-1] @ found.point.beta
        change = float(np.abs(y - errors - fitted).max())
        if change <= SETTLED * float(np.std(errors)):
            return found, problem
        fitted = y - errors
        problem = GLSProblem(columns, rows.model(fitted, weights), reml)
        natural_start = found.point.phi
        found = search(problem, [natural_start])
    raise ModelError(
        f"the fitted values that the variance depends on did not settle in {MOST_ROUNDS} rounds; name a "
        'covariate instead, as in ml.VarPower("x").'
    )


def starts(model: ResidualModel, residuals: Array) -> list[Array]:
    """The best guess of scale and correlation; each with other guesses of the other."""
    whitened = residuals if model.log_weights is None else residuals * np.exp(0.5 * model.log_weights)
    scales = model.scale.starts(whitened)
    first, *others = scales
    found = [np.concatenate([first, eta]) for eta in correlation_starts(model, whitened, first)]
    return found + [
        np.concatenate([delta, correlation_starts(model, whitened, delta)[0]]) for delta in others
    ]


def correlation_starts(model: ResidualModel, residuals: Array, delta: Array) -> list[Array]:
    """Guesses of the correlation, from residuals of equal variance."""
    try:
        z = residuals * np.exp(-model.scale.log_scale(delta))
    except np.linalg.LinAlgError:
        z = residuals
    return list(model.correlation.starts(z / np.sqrt(np.mean(z * z))))
