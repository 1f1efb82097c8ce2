"""The record of a fitted generalized linear mixed model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.glmm_rows import Component
from multilevel.estimation.optimum import Optimum
from multilevel.families.family import Family
from multilevel.fitted.lmm import Modes, TermCovariance

ROOT_OF_PHI = ("gaussian", "student", "gamma", "inverse_gaussian", "tweedie")  # sigma^2 = phi


@dataclass(frozen=True, slots=True)
class PartEstimates:
    """Coefficients of one linear predictor."""

    component: Component
    names: tuple[str, ...]  # (p,)
    estimate: Array  # (p,)
    vcov: Array  # (p, p)

    @property
    def std_error(self) -> Array:
        """Standard errors (p,); NaN where the likelihood is flat."""
        variance = np.diag(self.vcov)
        return np.sqrt(np.where(variance >= 0.0, variance, np.nan))


@dataclass(frozen=True, slots=True)
class GLMMRecord:
    """What the fit of a generalized mixed model found; n rows, K linear predictors.

    Terms, modes and groupings of the excess of zeros are counted apart from those of the mean. Factors of
    terms are relative to 1: Sigma = factor factor'.
    """

    family: Family
    nodes: int  # quadrature points in each dimension; 1 for the Laplace approximation
    parts: tuple[PartEstimates, ...]  # of the mean first, in the order of the coefficients
    joint_names: tuple[str, ...]  # coefficients of all parts, then theta
    joint_vcov: Array  # their joint covariance
    theta: Array  # covariance parameters of all terms, in lme4's order
    theta_names: tuple[str, ...]
    terms: tuple[TermCovariance, ...]  # of the mean
    modes: tuple[Modes, ...]
    zi_terms: tuple[TermCovariance, ...]  # of the excess of zeros
    zi_modes: tuple[Modes, ...]
    thresholds: Array  # (C - 1,) between C ordered categories, else empty
    dispersion: Array | None  # (n,) phi of each row at precision weight 1; None where there is none
    shape: float | None  # Tweedie's power, or Student's degrees of freedom
    eta: Array  # (n,) linear predictor of the mean, random effects included
    eta_fixed: Array  # (n,) the same without them
    eta_zi: Array | None  # (n,) logit of the excess of zeros, random effects included
    eta_zi_fixed: Array | None
    mu: Array  # (n,) mean of the family at eta (the latent predictor of ordered categories)
    fitted: Array  # (n,) expected response, excess of zeros included
    loglik: float
    prior: bool  # whether the estimates maximise a posterior
    n_obs: float
    n_parameters: int
    optimum: Optimum

    def part(self, component: Component) -> PartEstimates | None:
        """The estimates of that name, if the model has them."""
        return next((part for part in self.parts if part.component == component), None)

    @property
    def coef_names(self) -> tuple[str, ...]:
        """Names of the mean's coefficients (p,)."""
        return self.parts[0].names

    @property
    def beta(self) -> Array:
        """Coefficients of the mean (p,)."""
        return self.parts[0].estimate

    @property
    def vcov(self) -> Array:
        """Covariance (p, p) of the mean's coefficients."""
        return self.parts[0].vcov

    @property
    def sigma(self) -> float:
        """Root of the dispersion, where the family has one and it is one number; else 1."""
        constant = self.dispersion is not None and np.ptp(self.dispersion) <= 1e-12 * self.dispersion[0]
        if self.family.density not in ROOT_OF_PHI or not constant or self.dispersion is None:
            return 1.0
        return float(np.sqrt(self.dispersion[0]))

    @property
    def fitted_fixed(self) -> Array:
        """The linear predictor without random effects (n,)."""
        return self.eta_fixed

    @property
    def unit(self) -> float:
        """What theta and the terms' factors are relative to."""
        return 1.0

    @property
    def criterion(self) -> float:
        """Minus twice the log-likelihood."""
        return -2.0 * self.loglik

    @property
    def singular(self) -> bool:
        """Whether some random-effects covariance is on the boundary."""
        return any(term.singular for term in (*self.terms, *self.zi_terms))
