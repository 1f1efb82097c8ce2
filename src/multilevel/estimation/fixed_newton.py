"""Where is the maximum of the likelihood without random effects?

Newton's method on the exact derivatives of the log-density in all of a row's linear predictors. It serves as
the start of mixed models, and says whether the data determine the coefficients at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.glmm_rows import WorkingRows
from multilevel.kernels.density import log_density
from multilevel.kernels.marginal import RowPredictor

MOST_STEPS = 60
TOLERANCE = 1e-9  # half the promised gain of a last step; a start need not be better
LEAST_CURVATURE = 1e-8  # of the largest: below, and above zero, a direction is stepped along as if it had it
MOST_HALVINGS = 40
ROWS_AT_ONCE = 4096
MOST_MOVE = 10.0  # of a working coefficient in one step: what is further away is reached in several

Rows = Callable[[Array, int], Array]  # predictors (K, n) and an order to derivatives of the log-density


@dataclass(frozen=True, slots=True)
class FixedFit:
    """The best fit without random effects."""

    gamma: Array  # (G,) working coefficients
    loglik: float
    eta: Array  # (K, n) linear predictors
    information: Array  # (G, G) minus the Hessian
    converged: bool


def newton(rows: WorkingRows, start: Array) -> FixedFit:
    """Climb from a start where the likelihood is finite."""
    gamma, here = start, log_likelihood(rows, start)
    if not np.isfinite(here):
        return FixedFit(gamma, here, linear_predictors(rows, gamma), np.eye(len(gamma)), converged=False)
    for _ in range(MOST_STEPS):
        gradient, information = derivatives(rows, gamma)
        if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
            return FixedFit(gamma, here, linear_predictors(rows, gamma), np.eye(len(gamma)), converged=False)
        step = uphill_step(gradient, information)
        promise = 0.5 * float(gradient @ step)
        if promise < TOLERANCE:
            return FixedFit(gamma, here, linear_predictors(rows, gamma), information, converged=True)
        taken = halved_until_better(rows, gamma, step, here)
        if taken is None:
            break
        gamma, here = taken
    return FixedFit(gamma, here, linear_predictors(rows, gamma), derivatives(rows, gamma)[1], converged=False)


def halved_until_better(
    rows: WorkingRows, gamma: Array, step: Array, here: float
) -> tuple[Array, float] | None:
    """The first point along halves of a step that is better than here."""
    for halving in range(MOST_HALVINGS):
        to = gamma + step * 0.5**halving
        there = log_likelihood(rows, to)
        if there > here:  # False for NaN
            return to, there
    return None


def uphill_step(gradient: Array, information: Array) -> Array:
    """Newton's step, with curvatures of the wrong sign turned round so that it leads uphill."""
    values, vectors = np.linalg.eigh(information)
    size = np.maximum(np.abs(values), LEAST_CURVATURE * max(float(np.abs(values).max()), 1e-300))
    step = vectors @ ((vectors.T @ gradient) / size)
    return np.asarray(step * min(1.0, MOST_MOVE / max(float(np.abs(step).max()), 1e-300)))


def linear_predictors(rows: WorkingRows, gamma: Array) -> Array:
    """All predictors of all rows: (K, n)."""
    return np.array([one_predictor(each, gamma, len(rows.y)) for each in rows.predictors])


def one_predictor(predictor: RowPredictor, gamma: Array, n: int) -> Array:
    """offset + (X - shift) scale gamma: (n,)."""
    columns = predictor.columns
    slopes = columns.scale * gamma[predictor.coefficients]
    eta = columns.values @ slopes - columns.shift @ slopes
    eta = np.broadcast_to(eta, (n,))
    return np.asarray(eta if predictor.offset is None else eta + predictor.offset)


def log_likelihood(rows: WorkingRows, gamma: Array) -> float:
    """Sum of the log-densities, in working units."""
    with np.errstate(all="ignore"):
        values = row_derivatives(rows, linear_predictors(rows, gamma), 0)[0]
    return float(values.sum())


def row_derivatives(rows: WorkingRows, eta: Array, order: int) -> Array:
    """Log-density of each row and its derivatives in the predictors: (derivatives, n)."""
    return log_density(rows.density, rows.y, rows.trials, rows.power, eta, order)


def derivatives(rows: WorkingRows, gamma: Array) -> tuple[Array, Array]:
    """Gradient (G,) of the log-likelihood, and minus its Hessian (G, G)."""
    n, G, K = len(rows.y), len(gamma), len(rows.predictors)
    at = row_derivatives(rows, linear_predictors(rows, gamma), 2)
    gradient, information = np.zeros(G), np.zeros((G, G))
    for begin in range(0, n, ROWS_AT_ONCE):
        block = slice(begin, begin + ROWS_AT_ONCE)
        X = [scaled_block(each, block) for each in rows.predictors]
        for i in range(K):
            np.add.at(gradient, rows.predictors[i].coefficients, X[i].T @ at[1 + i, block])
            for j in range(K):
                weight = at[second(K, i, j), block]
                cross = X[i].T @ (weight[:, None] * X[j])
                information[np.ix_(rows.predictors[i].coefficients, rows.predictors[j].coefficients)] -= cross
    return gradient, information


def scaled_block(predictor: RowPredictor, block: slice) -> Array:
    """Some rows of a predictor's columns, in working coordinates."""
    columns = predictor.columns
    return np.asarray((columns.values[block] - columns.shift) * columns.scale)


def second(K: int, i: int, j: int) -> int:
    """Place of the second derivative in predictors i and j among those up to order 2."""
    low, high = min(i, j), max(i, j)
    return 1 + K + high * (high + 1) // 2 + low


def first_that_holds(rows: WorkingRows, starts: Sequence[Array]) -> Array:
    """The first start at which every row has a finite log-density; the last if none has."""
    for start in starts:
        if np.isfinite(log_likelihood(rows, start)):
            return start
    return starts[-1]
