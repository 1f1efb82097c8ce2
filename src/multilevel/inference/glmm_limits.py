"""Between which limits does what a generalized mixed model predicts lie?

Limits are formed on the scale of the link, where errors are about normal, and carried through it. Where
random effects are averaged over, they are those of the link of the average, with the uncertainty of the
covariances counted by the delta method. An excess of zeros enters through the logarithm of the expected
response. A prediction interval holds a new observation: quantiles of responses simulated with all of
this uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit

from multilevel._options import checked_seed
from multilevel._typing import Array, Frame
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.term_theta import covariance_at, split_theta
from multilevel.inference.glmm_errors import predictor_variance
from multilevel.inference.glmm_prediction import (
    GLMMRequest,
    SideEstimates,
    SidePrediction,
    groupings_of_side,
    predict_glmm,
    predicted_dispersion,
    predicted_side,
    side_estimates,
)
from multilevel.inference.normal_average import normal_average
from multilevel.inference.population_averaged import THETA_STEP, averages
from multilevel.inference.prediction_rows import Rows, over_all_rows, rows_of_data, rows_of_design
from multilevel.inference.wald import critical_value
from multilevel.simulation.families import draw
from multilevel.simulation.glmm import density_of, shape_predictor

DRAWS = 2000


@dataclass(frozen=True, slots=True)
class LimitedPrediction:
    """Predicted values with limits; NaN where a predictor is missing."""

    fitted: Array  # (n,)
    conf_low: Array  # (n,)
    conf_high: Array  # (n,)


@dataclass(frozen=True, slots=True)
class SideErrors:
    """A side's linear predictor, what is averaged over, and the variance of its error."""

    prediction: SidePrediction
    variance: Array  # (n,) of the linear predictor, or of the link of its average
    centre: Array  # (n,) the linear predictor, or the link of its average


def predict_with_limits(
    design: GLMMDesign,
    record: GLMMRecord,
    model: WorkingGLMM,
    new: Frame | None,
    request: GLMMRequest,
    interval: Literal["confidence", "prediction"],
    level: float,
) -> LimitedPrediction:
    """Predictions with their limits."""
    refuse_limits(record, request)
    fitted = predict_glmm(design, record, new, request)
    if interval == "prediction":
        return LimitedPrediction(fitted, *simulated_limits(design, record, model, new, request, level))
    z = float(critical_value(level, None))
    if request.kind == "zprob":
        zeros = side_errors(design, record, model, new, request, 1)
        return through(expit, zeros, z, fitted)
    mean = side_errors(design, record, model, new, request, 0)
    if request.kind == "link":
        half = z * np.sqrt(mean.variance)
        return LimitedPrediction(fitted, fitted - half, fitted + half)
    if design.zi is not None and request.kind == "response":
        zeros = side_errors(design, record, model, new, request, 1)
        return on_log_scale(record, mean, zeros, z, fitted)
    return through(record.family.link.inverse, mean, z, fitted)


def refuse_limits(record: GLMMRecord, request: GLMMRequest) -> None:
    """What there are no limits of."""
    if request.kind == "dispersion":
        raise ModelError(
            "interval= has limits of means; those of a dispersion follow from tidy() and vcov()."
        )
    if request.new_levels == "sample":
        raise ModelError('an interval has no meaning around a sampled effect; use new_levels="integrate".')
    if record.family.response == "ordered" and request.kind == "response":
        raise ModelError('limits of category probabilities are not made; use kind="link", or bootstrap().')


def through(
    inverse: Callable[[Array], Array], side: SideErrors, z: float, fitted: Array
) -> LimitedPrediction:
    """Limits of a monotone function of the linear predictor (or of the link of its average)."""
    half = z * np.sqrt(side.variance)
    ends = np.array([inverse(side.centre - half), inverse(side.centre + half)])
    return LimitedPrediction(fitted, ends.min(axis=0), ends.max(axis=0))


def on_log_scale(
    record: GLMMRecord, mean: SideErrors, zeros: SideErrors, z: float, fitted: Array
) -> LimitedPrediction:
    """Limits of (1 - q) mu about its logarithm."""
    link = record.family.link
    relative = link.slope(mean.centre) / link.inverse(mean.centre)
    variance = relative**2 * mean.variance + expit(zeros.centre) ** 2 * zeros.variance
    spread = np.exp(z * np.sqrt(variance))
    return LimitedPrediction(fitted, fitted / spread, fitted * spread)


# ---- errors of one side ----


def side_errors(
    design: GLMMDesign,
    record: GLMMRecord,
    model: WorkingGLMM,
    new: Frame | None,
    request: GLMMRequest,
    side: int,
) -> SideErrors:
    """The linear predictor of one side and the variance of its error, in all rows given."""
    which, estimates = design.sides[side], side_estimates(record, side)
    groupings = groupings_of_side(design, which, request.re)
    rows = rows_of_design(which) if new is None else rows_of_data(which, new, groupings, None)
    included = tuple(term.grouping in groupings for term in which.terms)
    prediction = predicted_side(design, record, new, request, side)
    variance = predictor_variance(design, record, model, estimates, rows, included, side)
    complete = rows.complete
    eta, sd = prediction.eta[complete], prediction.sd[complete]
    if sd.any():
        centre, variance = averaged_error(record, estimates, rows, eta, sd, variance, side)
    else:
        centre = eta
    return SideErrors(prediction, over_all_rows(variance, complete), over_all_rows(centre, complete))


def averaged_error(
    record: GLMMRecord,
    estimates: SideEstimates,
    rows: Rows,
    eta: Array,
    sd: Array,
    variance: Array,
    side: int,
) -> tuple[Array, Array]:
    """The link of the average over random effects, and the variance of its error."""
    mean, by_eta, by_sd = averages(record, eta, sd) if not side else logistic_averages(eta, sd)
    centre = record.family.link.link(mean) if not side else np.log(mean / (1.0 - mean))
    slope = record.family.link.slope(centre) if not side else mean * (1.0 - mean)
    a, b = by_eta / slope, by_sd / slope
    spread = spread_slopes(record, estimates, rows, sd, side)
    n_main = sum(len(part) for part in split_theta(record.terms, record.theta)[: len(record.terms)])
    first = len(record.joint_vcov) - len(record.theta) + (n_main if side else 0)
    V = record.joint_vcov[first : first + spread.shape[1], first : first + spread.shape[1]]
    own = np.einsum("kt,tu,ku->k", spread, V, spread)
    part = next(part for part in record.parts if part.component == ("zi" if side else "cond"))
    begin = sum(len(each.names) for each in record.parts[: record.parts.index(part)])
    C = record.joint_vcov[begin : begin + len(part.names), first : first + spread.shape[1]]
    across = np.einsum("kp,pt,kt->k", rows.X, C, spread)
    return centre, np.maximum(a**2 * variance + 2.0 * a * b * across + b**2 * own, 0.0)


def logistic_averages(eta: Array, sd: Array) -> tuple[Array, Array, Array]:
    """E expit(eta + s Z) and its derivatives in eta and s."""
    mean = normal_average(expit, eta, sd)
    step = 1e-4
    by_eta = (normal_average(expit, eta + step, sd) - normal_average(expit, eta - step, sd)) / (2.0 * step)
    low = np.maximum(sd - step, 0.0)
    by_sd = (normal_average(expit, eta, sd + step) - normal_average(expit, eta, low)) / (sd + step - low)
    return mean, by_eta, by_sd


def spread_slopes(record: GLMMRecord, estimates: SideEstimates, rows: Rows, sd: Array, side: int) -> Array:
    """Derivative (k, parameters) of the standard deviation that is averaged over, in a side's theta."""
    terms = (*record.terms, *record.zi_terms)
    theta = split_theta(terms, record.theta)
    mine = theta[len(record.terms) :] if side else theta[: len(record.terms)]
    columns = []
    for Z, fit, own in zip(rows.Z, estimates.terms, mine, strict=True):
        for k in range(len(own)):
            step = np.zeros(len(own))
            step[k] = THETA_STEP * max(1.0, abs(float(own[k])))
            change = (covariance_at(fit, own + step) - covariance_at(fit, own - step)) / (2.0 * step[k])
            columns.append(np.einsum("ni,ij,nj->n", Z, change, Z))
    return np.column_stack(columns) / np.where(sd > 0.0, 2.0 * sd, np.inf)[:, None]


# ---- new observations ----


def simulated_limits(
    design: GLMMDesign,
    record: GLMMRecord,
    model: WorkingGLMM,
    new: Frame | None,
    request: GLMMRequest,
    level: float,
) -> tuple[Array, Array]:
    """Quantiles of simulated responses, of a share where rows have trials; new rows without them have one."""
    rng = np.random.default_rng(checked_seed(0 if request.seed is None else request.seed))
    sides = [side_errors(design, record, model, new, request, k) for k in range(len(design.sides))]
    n = len(sides[0].prediction.eta)
    known = np.isfinite(np.array([side.prediction.eta for side in sides])).all(axis=0)
    trials = design.trials if new is None else design.main.encoder.encode_trials(new)
    if trials is not None:
        known &= np.isfinite(trials) & (trials > 0.0)
        trials = trials[known]
    phi = None if record.dispersion is None else predicted_dispersion(design, record, new)[known]
    drawn = np.empty((DRAWS, int(known.sum())))
    for row in drawn:
        predictors = drawn_rows(record, sides, known, phi, rng)
        row[:] = draw(density_of(design, record), predictors, trials, rng)
    share = drawn if trials is None else drawn / trials
    tails = np.quantile(share, [0.5 * (1.0 - level), 0.5 * (1.0 + level)], axis=0)
    limits = np.full((2, n), np.nan)
    limits[:, known] = tails
    return limits[0], limits[1]


def drawn_rows(
    record: GLMMRecord,
    sides: list[SideErrors],
    known: Array,
    phi: Array | None,
    rng: np.random.Generator,
) -> Array:
    """One draw of all predictors (K, n): errors of estimation, and random effects that are averaged over."""
    drawn = []
    for side in sides:
        eta, sd, variance = (
            values[known] for values in (side.prediction.eta, side.prediction.sd, side.variance)
        )
        noise = np.sqrt(variance) * rng.standard_normal(len(eta)) + sd * rng.standard_normal(len(eta))
        drawn.append(eta + noise)
    rows = [drawn[0]]
    if phi is not None:
        rows.append(np.log(phi))
    if record.shape is not None:
        rows.append(np.full(len(rows[0]), shape_predictor(record, record.shape)))
    rows += [np.full(len(rows[0]), threshold) for threshold in record.thresholds]
    return np.array([*rows, *drawn[1:]])
