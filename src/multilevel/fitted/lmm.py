"""The record of a fitted linear mixed model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.optimum import Optimum


@dataclass(frozen=True, slots=True)
class TermCovariance:
    """Estimated covariance of one random-effects term, on the scale of the data."""

    label: str  # "1 + Days | Subject"
    group: str  # name of the grouping factor
    grouping: int  # index into the design's groupings
    names: tuple[str, ...]  # (q,)
    structure: str
    hom: bool
    factor: Array  # (q, q) lower triangular T with Sigma = sigma^2 T T'
    unit: float  # sigma, or 1 where T is on the scale of the data itself
    singular: bool  # covariance has a zero eigenvalue

    @property
    def root(self) -> Array:
        """Sigma = root root' (q, q); sums z' Sigma z keep their digits as squares of z' root."""
        return self.unit * self.factor

    @property
    def covariance(self) -> Array:
        """Sigma (q, q)."""
        return np.asarray(self.unit**2 * (self.factor @ self.factor.T))

    @property
    def sd(self) -> Array:
        """Standard deviations (q,)."""
        return self.unit * row_lengths(self.factor)

    @property
    def correlation(self) -> Array:
        """Correlations (q, q); NaN in rows of a zero variance."""
        return correlations(self.factor)


def row_lengths(factor: Array) -> Array:
    """Lengths of the rows of a root of a covariance (q, q), its standard deviations: (q,)."""
    return np.asarray(np.sqrt((factor * factor).sum(axis=1)))


def correlations(factor: Array) -> Array:
    """Correlations (q, q) of Sigma = factor factor'; NaN against a variance of zero."""
    sd = row_lengths(factor)
    unit = factor / np.where(sd > 0.0, sd, np.nan)[:, None]
    correlation = np.minimum(np.maximum(unit @ unit.T, -1.0), 1.0)
    correlation[np.diag_indices(len(sd))] = np.where(sd > 0.0, 1.0, np.nan)
    return correlation


@dataclass(frozen=True, slots=True)
class Modes:
    """Conditional modes (BLUPs) of all terms on one grouping factor, columns in term order."""

    grouping: int
    terms: tuple[int, ...]  # terms that act on this factor
    values: Array  # (J, Q)
    variance: Array  # (J, Q, Q) conditional variance given beta-hat's theta, as lme4's condVar


class MixedEstimates(Protocol):
    """What the record of any mixed model holds of its fixed and random effects."""

    @property
    def coef_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def beta(self) -> Array: ...  # noqa: D102
    @property
    def vcov(self) -> Array: ...  # noqa: D102
    @property
    def terms(self) -> tuple[TermCovariance, ...]: ...  # noqa: D102
    @property
    def modes(self) -> tuple[Modes, ...]: ...  # noqa: D102
    @property
    def unit(self) -> float: ...  # noqa: D102


class MixedFit(MixedEstimates, Protocol):
    """The same, with how the fit was found and its residual standard deviation."""

    @property
    def sigma(self) -> float: ...  # noqa: D102
    @property
    def optimum(self) -> Optimum: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class LMMRecord:
    """What the fit of a linear mixed model found."""

    coef_names: tuple[str, ...]
    beta: Array  # (p,)
    vcov: Array  # (p, p) model-based covariance of beta-hat
    sigma: float  # residual standard deviation
    theta: Array  # covariance parameters, relative to sigma; lme4's order
    theta_names: tuple[str, ...]
    terms: tuple[TermCovariance, ...]
    modes: tuple[Modes, ...]  # one for each grouping factor
    fitted: Array  # (n,) X beta + Z b + offset
    fitted_fixed: Array  # (n,) X beta + offset
    reml: bool
    criterion: float  # -2 log-likelihood (ML) or REML criterion at the optimum
    pwrss: float  # penalised weighted residual sum of squares
    n_obs: float
    n_parameters: int  # coefficients + covariance parameters + sigma
    optimum: Optimum

    @property
    def loglik(self) -> float:
        """Log-likelihood (restricted if `reml`)."""
        return -0.5 * self.criterion

    @property
    def unit(self) -> float:
        """What theta and the terms' factors are relative to: sigma, or 1 in a model without a residual."""
        return self.sigma if self.sigma > 0.0 else 1.0

    @property
    def singular(self) -> bool:
        """Whether some random-effects covariance is on the boundary."""
        return any(term.singular for term in self.terms)
