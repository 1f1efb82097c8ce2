"""Which coefficients of a generalized linear model are most likely, and which weighted regression are they?

At the optimum a generalized linear model is a least-squares fit, of

    mu' x'beta + (y - mu)   on   mu' x   with weights   w / V(mu),

mu' the slope of the mean in x'beta: the working response of Fisher scoring (McCullagh and Nelder 1989,
section 2.5), on the scale of the response, where residuals are y - mu. Its variances, robust ones among them,
are those of the model; what adjusts residuals by cluster (CR2) depends on that scale, as in clubSandwich.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.fixed_newton import log_likelihood
from multilevel.estimation.glmm_prior import WeakPrior, prior_penalty
from multilevel.estimation.glmm_rows import WorkingRows, working_rows
from multilevel.estimation.glmm_start import fit_without_random_effects
from multilevel.estimation.ols import LeastSquares, least_squares
from multilevel.estimation.separation import refuse_separation
from multilevel.families.family import Family

WORKING = (  # densities whose coefficients have such weights
    "binomial",
    "poisson",
    "gaussian",
    "gamma",
    "inverse_gaussian",
    "nbinom2",
)
MOST_NULL_STEPS = 50
NEAREST = float(np.finfo(np.float64).eps)  # that a probability comes to 0 and 1
NULL_TOLERANCE = 1e-10  # of the intercept, relative


@dataclass(frozen=True, slots=True)
class WorkingRegression:
    """The weighted regression that a fit is equal to: its design, and its solution."""

    design: Design  # columns mu' x, precision weights w / V(mu), no offset
    solution: LeastSquares


@dataclass(frozen=True, slots=True)
class GLMSolution:
    """The optimum: coefficients of all parts in the user's units."""

    rows: WorkingRows
    gamma: Array  # (G,) working coefficients
    coefficients: Array  # (G,) of the mean first
    covariance: Array  # (G, G) inverse of the observed information
    loglik: float  # in the user's units


def solve_glm(design: GLMMDesign, family: Family, prior: WeakPrior | None = None) -> GLMSolution:
    """Climb to the maximum of the likelihood, refused where it has none; with a prior, of the posterior."""
    rows = working_rows(design, family, rotate=prior is None)
    fixed = fit_without_random_effects(rows, family, prior_penalty(prior, rows))
    if prior is None:
        refuse_separation(design, family, rows, fixed)
    if not np.isfinite(fixed.loglik) or not fixed.converged:
        raise ModelError(
            f"no maximum of the likelihood was found for '{design.main.response_name}': the {family.name} "
            f"family with the {family.link.name} link does not go with these data. {advice(family)}"
        )
    inverse = np.linalg.pinv(fixed.information, hermitian=True)
    gamma = fixed.gamma + inverse @ fixed.gradient  # the last step, which squares what error is left
    return GLMSolution(
        rows=rows,
        gamma=gamma,
        coefficients=rows.coefficients(gamma),
        covariance=rows.back @ inverse @ rows.back.T,
        loglik=log_likelihood(rows, gamma) + rows.units.log_density(rows.power, len(rows.y)),
    )


def advice(family: Family) -> str:
    """What to try where there is no maximum."""
    if family.density.endswith(("nbinom1", "nbinom2", "beta_binomial")):
        simple = "binomial" if family.response == "trials" else "poisson"
        return (
            f"Where responses vary no more than the {simple} family says, a dispersion has no end: use "
            f'family="{simple}".'
        )
    return "Try another link, or look for a predictor or an offset on a wrong scale."


def working_regression(design: Design, family: Family, eta: Array, variance: Array) -> WorkingRegression:
    """The regression at linear predictors eta (n,), offset included; `variance` (n,) is V(mu)."""
    mu, slope = means_within_range(family, eta), family.link.slope(eta)
    y, weights = proportions(design), prior_weights(design)
    free = eta if design.offset is None else eta - design.offset
    precision = 1.0 / variance if weights is None else weights / variance
    working = replace(
        design,
        y=slope * free + (y - mu),
        X=np.asfortranarray(design.X * slope[:, None]),
        weights=precision,
        offset=None,
        trials=None,
    )
    counted = precision if design.freq_weights is None else precision * design.freq_weights
    return WorkingRegression(working, least_squares(working.X, working.y, counted))


def means_within_range(family: Family, eta: Array) -> Array:
    """Means (n,) at linear predictors; probabilities that would round to 0 or 1 stay apart from them."""
    mu = family.link.inverse(eta)
    return np.clip(mu, NEAREST, 1.0 - NEAREST) if family.response == "trials" else mu


def proportions(design: Design) -> Array:
    """The response as its mean is measured: shares where there are trials."""
    return design.y if design.trials is None else design.y / design.trials


def prior_weights(design: Design) -> Array | None:
    """Trials times precision weights (n,): what a row's unit deviance counts."""
    if design.trials is None or design.weights is None:
        return design.weights if design.trials is None else design.trials
    return design.trials * design.weights


def counted_weights(design: Design) -> Array | None:
    """The same times how often a row stands."""
    weights = prior_weights(design)
    if weights is None or design.freq_weights is None:
        return design.freq_weights if weights is None else weights
    return weights * design.freq_weights


def null_mean(design: Design, family: Family) -> Array:
    """Means (n,) of the model with an intercept alone, beside the offset if there is one."""
    y, weights = proportions(design), counted_weights(design)
    mean = float(np.average(y, weights=weights))
    if design.offset is None:
        return np.full(len(y), mean)
    link, w = family.link, np.ones(len(y)) if weights is None else weights
    intercept = float(link.link(np.array([mean]))[0] - np.average(design.offset, weights=w))
    for _ in range(MOST_NULL_STEPS):
        eta = intercept + design.offset
        mu, slope = link.inverse(eta), link.slope(eta)
        precision = w / family.variance(mu)
        step = float((precision * slope * (y - mu)).sum() / (precision * slope**2).sum())
        intercept += step
        if abs(step) < NULL_TOLERANCE * (1.0 + abs(intercept)):
            break
    return link.inverse(intercept + design.offset)
