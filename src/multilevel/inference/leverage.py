"""How much of its own fitted value does each observation decide?

The fitted values of a mixed model, random effects included, are linear in the response at given variances:
y-hat = H y (plus what the offset adds). The leverage of an observation is its entry on the diagonal,

    h_i = w_i c_i' A^-1 c_i,   c_i = (Lambda'z_i, x_i),

with A the matrix of the penalised least squares; their sum is the effective number of parameters. The
conditional residual has variance sigma^2 (1 - h_i) / w_i.

References:
    Demidenko, E. & Stukel, T. A. (2005). Influence analysis for linear mixed-effects models.
    Statistics in Medicine 24, 893-909.
    Hodges, J. S. & Sargent, D. J. (2001). Counting degrees of freedom in hierarchical and other richly
    parameterised models. Biometrika 88, 367-379.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel
from multilevel.fitted.lmm import LMMRecord

NOTHING_LEFT = 1e-10  # 1 - h below this: the row has a fitted value of its own, its residual is rounding


def leverages(design: Design, record: LMMRecord, model: WorkingModel) -> Array:
    """Leverage (n,) of one observation of each row."""
    unit = model.kernel.leverages(record.optimum.theta)
    return unit if design.weights is None else design.weights * unit


def residual_share(leverage: Array) -> Array:
    """1 - h (n,): the share of an error's variance that its residual keeps; NaN where nothing is left."""
    share = 1.0 - leverage
    return np.where(share < NOTHING_LEFT, np.nan, share)


def studentized(scaled: Array, leverage: Array) -> Array:
    """Residuals over their own standard errors (n,), from residuals in units of sigma."""
    return scaled / np.sqrt(residual_share(leverage))


def fitted_distance(scaled: Array, leverage: Array, p: int) -> Array:
    """Cook's distance (n,) over the fitted values, as lme4 has it: h r^2 / (p (1 - h)^2), r scaled."""
    return per_coefficient(leverage * (scaled / residual_share(leverage)) ** 2, p)


def per_coefficient(total: Array, p: int) -> Array:
    """A distance shared among p coefficients; NaN where there are none."""
    return total / p if p else np.full(len(total), np.nan)
