"""The record of a fitted generalized linear model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.fixed_newton import linear_predictors
from multilevel.estimation.glm import (
    WORKING,
    GLMSolution,
    counted_weights,
    means_within_range,
    null_mean,
    proportions,
    working_regression,
)
from multilevel.families.counts import NegativeBinomial
from multilevel.families.family import Family
from multilevel.families.moments import RowParameters, response_mean
from multilevel.fitted.assemble_glmm import dispersion, mean_predictor, part_estimates, shape, thresholds
from multilevel.fitted.glmm import PartEstimates
from multilevel.fitted.ols import OLSRecord, assemble_ols


@dataclass(frozen=True, slots=True)
class GLMRecord:
    """What the fit of a generalized linear model found; n rows, p coefficients of the mean."""

    family: Family
    parts: tuple[PartEstimates, ...]  # of the mean first; covariances from the observed information
    joint_vcov: Array  # (G, G) of the coefficients of all parts, from the observed information
    vcov: Array  # (p, p) of the mean's coefficients: phi (X'WX)^-1 where the fit is a weighted regression
    scale: float  # Pearson's phi, on df_residual; 1 where the family fixes it
    dispersion: Array | None  # (n,) phi by maximum likelihood, or the size of a negative binomial
    shape: float | None
    thresholds: Array
    eta: Array  # (n,) linear predictor of the mean, offset included
    fitted: Array  # (n,) mean of the response; of shares where there are trials
    loglik: float  # all constants in, the dispersion by maximum likelihood
    deviance: float  # NaN in families without one
    null_deviance: float
    pearson: float  # sum of squared Pearson residuals
    n_obs: float
    regression: tuple[Design, OLSRecord] | None  # the weighted regression that the fit is
    prior: bool  # whether a weak prior restrained the coefficients; vcov is then the posterior's

    @property
    def coef_names(self) -> tuple[str, ...]:
        """Names of the mean's coefficients (p,)."""
        return self.parts[0].names

    @property
    def beta(self) -> Array:
        """Coefficients of the mean (p,)."""
        return self.parts[0].estimate

    @property
    def sigma(self) -> float:
        """Root of the scale."""
        return float(np.sqrt(self.scale))

    @property
    def n_parameters(self) -> int:
        """Coefficients of all parts: a dispersion counts as one."""
        return sum(len(part.names) for part in self.parts)

    @property
    def df_residual(self) -> float:
        """Observations less coefficients of the mean."""
        return self.n_obs - len(self.beta)

    @property
    def free_scale(self) -> bool:
        """Whether Pearson's phi scales the variance."""
        return self.scale_counts(self.family)

    @staticmethod
    def scale_counts(family: Family) -> bool:
        """Whether a family's variance is phi V(mu) with phi estimated."""
        return family.density in ("gaussian", "gamma", "inverse_gaussian")


def assemble_glm(
    design: GLMMDesign, family: Family, solution: GLMSolution, *, prior: bool = False
) -> GLMRecord:
    """Estimates, deviances and the weighted regression behind them, in the user's units."""
    rows, main = solution.rows, design.main
    eta = mean_predictor(rows, solution.coefficients, linear_predictors(rows, solution.gamma)[0])
    phi = dispersion(design, rows, family, solution.coefficients)
    parts = part_estimates(rows, solution.coefficients, solution.covariance)
    ordered = family.response == "ordered"
    mu = eta if ordered else means_within_range(family, eta)
    known = with_known_size(family, phi)
    regression = (
        weighted_regression(main, known, eta, mu, parts[0].estimate) if has_regression(family) else None
    )
    scale = 1.0
    if regression is not None and GLMRecord.scale_counts(family):
        scale = regression[1].sigma ** 2
    return GLMRecord(
        family=family,
        parts=parts,
        joint_vcov=solution.covariance,
        vcov=parts[0].vcov if prior or regression is None else scale * regression[1].xtwx_inverse,
        scale=scale,
        dispersion=phi,
        shape=shape(rows, family, solution.coefficients),
        thresholds=thresholds(rows, family, solution.coefficients),
        eta=eta,
        fitted=mu if ordered else response_mean(family.density, RowParameters(mu, phi)),
        loglik=solution.loglik,
        deviance=np.nan if regression is None else deviance(main, known, mu),
        null_deviance=np.nan if regression is None else deviance(main, known, null_mean(main, known)),
        pearson=np.nan if regression is None else regression[1].rss,
        n_obs=main.n_obs,
        regression=regression,
        prior=prior,
    )


def has_regression(family: Family) -> bool:
    """Whether the fit is a weighted regression of its working response."""
    return family.density in WORKING


def with_known_size(family: Family, phi: Array | None) -> Family:
    """A negative binomial with the size that was estimated, for its variance; other families as they are."""
    if isinstance(family, NegativeBinomial) and phi is not None and family.density == "nbinom2":
        return NegativeBinomial(family.link.name, size=float(phi[0]))
    return family


def weighted_regression(
    main: Design, family: Family, eta: Array, mu: Array, beta: Array
) -> tuple[Design, OLSRecord]:
    """Design and record of the regression at the optimum."""
    working = working_regression(main, family, eta, family.variance(mu))
    return working.design, replace(assemble_ols(working.design, working.solution), beta=beta)


def solution_deviance(design: GLMMDesign, family: Family, solution: GLMSolution) -> float:
    """The deviance of a solution without its record."""
    working = linear_predictors(solution.rows, solution.gamma)[0]
    eta = mean_predictor(solution.rows, solution.coefficients, working)
    return deviance(design.main, family, means_within_range(family, eta))


def deviance(main: Design, family: Family, mu: Array) -> float:
    """Sum of the unit deviances, each as often as its row counts."""
    units, weights = family.unit_deviance(proportions(main), mu), counted_weights(main)
    return float(units.sum() if weights is None else units @ weights)
