"""How much do the estimates of a fit change when some of the data are left out?

Without a set of rows I, with beta-hat of the whole data, V-hat its covariance and p coefficients:

    dfbeta = beta-hat - beta-hat_(I),   dfbetas = dfbeta / se_(I),
    Cook's distance = dfbeta' V-hat^-1 dfbeta / p,   covratio = det V-hat_(I) / det V-hat.

All is computed on the working columns of X, where no digits are lost.

References:
    Cook, R. D. (1977). Detection of influential observations in linear regression. Technometrics 19, 15-18.
    Belsley, D. A., Kuh, E. & Welsch, R. E. (1980). Regression Diagnostics. Wiley.
    Snijders, T. A. B. & Berkhof, J. (2008). Diagnostic checks for multilevel models. In Handbook of
    Multilevel Analysis, Springer, 141-175.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.leverage import per_coefficient
from multilevel.kernels.gaussian import DeletionFits, RowSets


@dataclass(frozen=True, slots=True)
class WholeFit:
    """The estimates that those of a deletion are compared with, on working columns of X."""

    information: Array  # (p, p) lower Cholesky factor of X'V^-1X, V relative to sigma^2
    jacobian: Array  # (p, p) from coefficients of the working columns to the user's
    sigma: float
    pwrss: float
    lost_df: int  # what the residual degrees of freedom are fewer than the observations


@dataclass(frozen=True, slots=True)
class Influence:
    """What each of G deletions does to a fit; NaN where the model cannot be estimated without the rows."""

    dfbeta: Array  # (G, p) estimate less the one without the rows
    std_error: Array  # (G, p) without the rows
    cooks_distance: Array  # (G,) over the coefficients
    covratio: Array  # (G,)
    sigma: Array  # (G,) without the rows; (0,) in a family that has none

    @property
    def dfbetas(self) -> Array:
        """Changes (G, p) in standard errors of the fit without the rows."""
        return self.dfbeta / self.std_error


def whole_fit(design: Design, record: LMMRecord, model: WorkingModel) -> WholeFit:
    """A fit as its deletions need it."""
    solution = model.kernel.solution(record.optimum.theta)
    lost_df = design.X.shape[1] if record.reml else 0
    return WholeFit(solution.fixed_factor, model.fixed.jacobian(), record.sigma, record.pwrss, lost_df)


def influence_of(whole: WholeFit, shift: Array, information: Array, sigma: Array) -> Influence:
    """Measures from the shift (G, p) of the working coefficients and what is left: (G, p, p), (G,)."""
    p = shift.shape[1]
    half = np.linalg.solve(information, np.broadcast_to(whole.jacobian.T, information.shape))
    distance = ((shift @ whole.information) ** 2).sum(axis=1)
    log_ratio = 2.0 * p * np.log(sigma / whole.sigma) + 2.0 * (
        log_det(whole.information) - log_det(information)
    )
    return Influence(
        dfbeta=shift @ whole.jacobian.T,
        std_error=sigma[:, None] * np.sqrt((half * half).sum(axis=1)),
        cooks_distance=per_coefficient(distance / whole.sigma**2, p),
        covratio=np.exp(log_ratio),
        sigma=sigma,
    )


def log_det(triangle: Array) -> Array:
    """Logarithm of the determinant of triangles (..., p, p) with positive diagonals."""
    return np.asarray(np.log(np.diagonal(triangle, axis1=-2, axis2=-1)).sum(axis=-1))


def influence_of_refits(
    record: LMMRecord, model: WorkingModel, whole: WholeFit, sets: RowSets, fits: DeletionFits
) -> Influence:
    """Measures from the fits that the core found without each set of rows."""
    beta = model.kernel.solution(record.optimum.theta).beta
    scale = model.response.scale
    sigma = np.sqrt(fits.pwrss / (sets.n_obs - whole.lost_df)) / scale
    return influence_of(whole, (beta - fits.beta) / scale, fits.fixed_factor, sigma)


def standard_deviations(model: WorkingModel, theta: Array, sigma: Array) -> Array:
    """Standard deviations (G, v) of all random effects, term by term, at G values of theta and sigma."""
    relative = np.empty((len(theta), sum(len(working.back) for working in model.terms)))
    for g, one in enumerate(theta):
        factors = model.kernel.term_factors(one)
        roots = [working.back @ T for working, T in zip(model.terms, factors, strict=True)]
        relative[g] = np.concatenate([np.sqrt((root * root).sum(axis=1)) for root in roots])
    return sigma[:, None] * relative
