"""How much does a generalized linear model explain? There is no one R2, and several answers.

With l and l0 the log-likelihoods of the model and of an intercept alone (and the offset), and D and D0 their
deviances, over n observations (trials count one by one):

    McFadden      1 - l / l0                            of responses that are counted
    Cox and Snell 1 - exp(2 (l0 - l) / n)               that of least squares where responses are normal
    Nagelkerke    the same over 1 - exp(2 l0 / n)       its largest value (of counts 1 - exp(-D0 / n))
    Tjur          mean probability of successes less that of failures      of single trials
    deviance      1 - D / D0                            R2 of least squares where responses are normal

References:
    McFadden, D. (1974). Conditional logit analysis of qualitative choice behavior. In Frontiers in
    Econometrics, Academic Press, 105-142. Nagelkerke, N. J. D. (1991). A note on a general definition of the
    coefficient of determination. Biometrika 78, 691-692. Tjur, T. (2009). Coefficients of determination in
    logistic regression models. The American Statistician 63, 366-372. Cameron, A. C. & Windmeijer, F. A. G.
    (1997). An R-squared measure of goodness of fit for some common nonlinear regression models. Journal of
    Econometrics 77, 329-342.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import gammaln

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.glm import solve_glm
from multilevel.fitted.glm import GLMRecord

CONTINUOUS = ("gaussian", "student", "gamma", "inverse_gaussian", "beta", "tweedie")
COUNTED = ("poisson", "nbinom2")  # the best fit leaves a deviance of zero, not a likelihood of one


def explained(model: GLMMDesign, record: GLMRecord) -> dict[str, float]:
    """Each measure that the family has, by name."""
    main, density = model.main, record.family.density
    trials = np.ones(main.n_rows) if main.trials is None else main.trials
    counts = np.ones(main.n_rows) if main.freq_weights is None else main.freq_weights
    n = float(counts @ trials)
    null, constant = null_loglik(model, record), arrangements(main, counts)
    loss = null - record.loglik
    found: dict[str, float] = {}
    if density not in CONTINUOUS:
        found["mcfadden"] = 1.0 - (record.loglik - constant) / (null - constant)
    found["cox_snell"] = -float(np.expm1(2.0 * loss / n))
    if density == "binomial" or record.family.response == "ordered":
        found["nagelkerke"] = found["cox_snell"] / -float(np.expm1(2.0 * (null - constant) / n))
    elif density in COUNTED:
        found["nagelkerke"] = found["cox_snell"] / -float(np.expm1(-record.null_deviance / n))
    if density == "binomial":
        found["tjur"] = tjur(main.y, trials, counts, record.fitted)
    if np.isfinite(record.deviance):
        found["deviance"] = 1.0 - record.deviance / record.null_deviance
    return found


def null_loglik(model: GLMMDesign, record: GLMRecord) -> float:
    """Log-likelihood of an intercept alone, beside the offset; thresholds are one."""
    main = model.main
    ordered = record.family.response == "ordered"
    X = np.zeros((main.n_rows, 0 if ordered else 1), order="F") + 1.0
    names = () if ordered else ("Intercept",)
    null = replace(model, main=replace(main, X=X, coef_names=names))
    return solve_glm(null, record.family).loglik


def arrangements(main: Design, counts: Array) -> float:
    """Log of the number of orders in which the successes may have come: no part of single trials."""
    if main.trials is None:
        return 0.0
    n, y = main.trials, main.y
    return float(counts @ (gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0)))


def tjur(successes: Array, trials: Array, counts: Array, probability: Array) -> float:
    """Mean fitted probability of the successes less that of the failures."""
    hit, missed = counts * successes, counts * (trials - successes)
    return float(hit @ probability / hit.sum() - missed @ probability / missed.sum())
