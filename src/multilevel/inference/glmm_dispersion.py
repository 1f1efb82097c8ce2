"""Do counts or shares vary more than their family says, given what the random effects explain?

Pearson's sum of squares about the fitted values, the random effects at their modes, has no chi-square
distribution: modes follow the responses, most of all where each row has an effect of its own. Data sets
simulated from the fit, each fitted again, show how large the sum is where the model holds; its logarithm is
nearly normal, so that some dozens of them are enough (a test of fit by parametric bootstrap, Davison &
Hinkley 1997, section 4.2).

Davison, A. C. & Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.estimation.glmm_refits import off_the_boundary
from multilevel.families.links import one_minus_mean
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.glmm_residuals import share_difference

NEAR_ENOUGH = 1e-2  # decrease of minus twice the log-likelihood that a refit may leave: far below its error
MOST_EVALUATIONS = 60
ROWS_IN_ALL = 4_000_000  # of all refits together
FEWEST, MOST = 20, 100  # refits


@dataclass(frozen=True, slots=True)
class RowDispersion:
    """Pearson's sum of squares against its size in data sets simulated from the fit."""

    ratio: float
    p_value: float  # of both sides


def simulations_needed(n_rows: int) -> int:
    """How many data sets are refitted: fewer of many rows, whose sums vary less."""
    return min(max(ROWS_IN_ALL // max(n_rows, 1), FEWEST), MOST)


def row_dispersion(
    design: GLMMDesign, record: GLMMRecord, model: WorkingGLMM, draws: Array
) -> RowDispersion | None:
    """Compare the fit's sum of squares with those of responses (n, S) simulated from it; None if few fit."""
    chosen = np.asfortranarray(draws[:, : simulations_needed(len(draws))])
    fits = refits(model, chosen, record.optimum.theta)
    observed = pearson_sum(design, record, design.main.y, record.eta)
    drawn = np.array(
        [
            np.nan if f is None else pearson_sum(design, record, y, f.eta)
            for y, f in zip(chosen.T, fits, strict=True)
        ]
    )
    used = np.isfinite(drawn) & (drawn > 0.0)
    if used.sum() < FEWEST // 2 or not (np.isfinite(observed) and observed > 0.0):
        return None
    moved = np.array(
        [f.estimates for f, is_used in zip(fits, used, strict=True) if f is not None and is_used]
    )
    return among_simulated(observed, drawn[used], moved - estimates_at(model, record.optimum.theta))


def among_simulated(observed: float, drawn: Array, moved: Array) -> RowDispersion:
    """Where a sum stands among R simulated ones, by Student's t of their logarithms.

    `moved` (R, k) says how far each refit's estimates are from the fit's. What the sum follows them by is
    taken out by regression: the fit itself has not moved.
    """
    R, k = len(drawn), moved.shape[1]
    X = np.column_stack([np.ones(R), moved if k <= R // 4 else np.zeros((R, 0))])
    coefficients, _, rank, _ = np.linalg.lstsq(X, np.log(drawn), rcond=1e-8)
    df = R - int(rank)
    residuals = np.log(drawn) - X @ coefficients
    away = float(np.log(observed) - coefficients[0])
    leverage = float(np.linalg.pinv(X.T @ X, rcond=1e-12, hermitian=True)[0, 0])
    error = np.sqrt(float(residuals @ residuals) / df * (1.0 + leverage))
    p_value = 1.0 if error == 0.0 else float(2.0 * stdtr(df, -abs(away) / error))
    return RowDispersion(float(np.exp(away)), p_value)


@dataclass(frozen=True, slots=True)
class Refit:
    """The best fit to a simulated response."""

    eta: Array  # (n,) linear predictor of the mean, modes included
    estimates: Array  # (k,) standard deviations of random effects, coefficients


def refits(model: WorkingGLMM, Y: Array, psi: Array) -> list[Refit | None]:
    """The best fit to each column of Y (n, S); None where there is none."""
    rows, kernel = model.rows, model.kernel
    working = np.asfortranarray(rows.units.response(Y))
    found = kernel.refit_many(
        working, off_the_boundary(model, psi), tolerance=NEAR_ENOUGH, max_evaluations=MOST_EVALUATIONS
    )
    fits: list[Refit | None] = []
    try:
        for y, point, criterion in zip(working.T, found.psi, found.criterion, strict=True):
            if not np.isfinite(criterion):
                fits.append(None)
                continue
            kernel.set_response(np.ascontiguousarray(y))
            eta = rows.units.linear_predictor(kernel.linear_predictors(point)[0])
            fits.append(Refit(eta, estimates_at(model, point)))
    finally:
        kernel.set_response(rows.y)
    return fits


def estimates_at(model: WorkingGLMM, psi: Array) -> Array:
    """Standard deviations of all random effects, whose signs do not matter, and the coefficients."""
    sd = [np.sqrt((T**2).sum(axis=1)) for T in model.factors_of(psi)]
    return np.concatenate([*sd, psi[model.n_theta :]])


def pearson_sum(design: GLMMDesign, record: GLMMRecord, y: Array, eta: Array) -> float:
    """Sum of squares of counts, or successes, about their means over their variances."""
    link = record.family.link
    mu = link.inverse(eta)
    weights = np.ones_like(y) if design.main.weights is None else design.main.weights
    if record.family.density == "poisson":
        return float(weights @ ((y - mu) ** 2 / mu))
    size = np.ones_like(y) if design.trials is None else design.trials
    return float((weights * size) @ share_difference(y / size, mu, one_minus_mean(link, eta)) ** 2)
