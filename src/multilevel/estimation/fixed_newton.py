"""Where is the maximum of the likelihood without random effects?

Newton's method on the exact derivatives of the log-density in all of a row's linear predictors. It serves as
the start of mixed models, and says whether the data determine the coefficients at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.glmm_rows import WorkingRows
from multilevel.kernels.marginal import FixedOutcome, PriorPenalty, RowPredictor, fit_fixed

MOST_STEPS = 60
TOLERANCE = 1e-9  # half the promised gain of a last step; a start need not be better


@dataclass(frozen=True, slots=True)
class FixedFit:
    """The best fit without random effects."""

    start: Array  # (G,) where the search began
    gamma: Array  # (G,) working coefficients
    loglik: float
    eta: Array  # (K, n) linear predictors
    gradient: Array  # (G,) what is left of it
    information: Array  # (G, G) minus the Hessian
    converged: bool


def newton(rows: WorkingRows, start: Array, prior: PriorPenalty | None = None) -> FixedFit:
    """Climb from a start where the likelihood is finite; with a prior, to the posterior's mode."""
    found = climb(rows, start, MOST_STEPS, prior)
    return FixedFit(
        start,
        found.gamma,
        found.loglik,
        linear_predictors(rows, found.gamma),
        found.gradient,
        found.information,
        found.converged or len(start) == 0,  # nothing to look for
    )


def climb(
    rows: WorkingRows, start: Array, most_steps: int, prior: PriorPenalty | None = None
) -> FixedOutcome:
    """Take Newton's steps in the core; none with `most_steps=0`, which gives the derivatives at the start."""
    return fit_fixed(
        rows.density,
        rows.y,
        rows.trials,
        rows.power,
        rows.predictors,
        start,
        prior=prior,
        tolerance=TOLERANCE,
        most_steps=most_steps,
    )


def derivatives(rows: WorkingRows, gamma: Array) -> tuple[Array, Array]:
    """Gradient (G,) of the log-likelihood, and minus its Hessian (G, G)."""
    found = climb(rows, gamma, 0)
    return found.gradient, found.information


def log_likelihood(rows: WorkingRows, gamma: Array) -> float:
    """Sum of the log-densities, in working units."""
    return climb(rows, gamma, 0).loglik


def linear_predictors(rows: WorkingRows, gamma: Array) -> Array:
    """All predictors of all rows: (K, n)."""
    return np.array([one_predictor(each, gamma) for each in rows.predictors])


def one_predictor(predictor: RowPredictor, gamma: Array) -> Array:
    """offset + (X - shift) scale gamma: (n,)."""
    columns = predictor.columns
    slopes = columns.scale * gamma[predictor.coefficients]
    eta = columns.values @ slopes - columns.shift @ slopes
    return np.asarray(eta if predictor.offset is None else eta + predictor.offset)


def scaled_block(predictor: RowPredictor, block: slice) -> Array:
    """Some rows of a predictor's columns, in working coordinates."""
    columns = predictor.columns
    return np.asarray((columns.values[block] - columns.shift) * columns.scale)
