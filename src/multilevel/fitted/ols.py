"""The record of a least-squares fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.centring import Centring
from multilevel.estimation.ols import LeastSquares


@dataclass(frozen=True, slots=True)
class OLSRecord:
    """What least squares found.

    Variances are kept in the basis `(centred X) root`, in which X'WX is the identity: a covariance of
    beta-hat is `to_coefficients @ core @ to_coefficients'`, and `core = sigma^2 I` is the model's own.
    Columns far from zero would lose their digits in the (p, p) matrix over the coefficients.
    """

    coef_names: tuple[str, ...]
    beta: Array  # (p,)
    sigma: float  # residual standard deviation of a row of weight 1, on df_residual
    fitted: Array  # (n,) X beta + offset
    residuals: Array  # (n,) y - fitted
    rss: float  # weighted residual sum of squares
    tss: float  # weighted sum of squares of y - offset, about its mean if `has_constant`
    n_obs: float  # rows, each counted as often as its frequency weight says
    loglik: float  # full Gaussian log-likelihood, at the ML variance rss / n_obs
    centring: Centring
    root: Array  # (p, p) with root root' the inverse of X'WX, X centred

    @property
    def n_coefficients(self) -> int:
        """Number of coefficients p."""
        return len(self.beta)

    @property
    def n_parameters(self) -> int:
        """Coefficients and the residual variance."""
        return self.n_coefficients + 1

    @property
    def df_residual(self) -> float:
        """Observations less coefficients."""
        return self.n_obs - self.n_coefficients

    @property
    def has_constant(self) -> bool:
        """Whether the constant lies in the span of X, so that R2 compares with the mean."""
        return self.centring.one is not None

    @property
    def to_coefficients(self) -> Array:
        """(p, p) P with beta-hat = P basis'W y, and P P' = (X'WX)^-1."""
        return self.in_basis(np.eye(self.n_coefficients))

    @property
    def xtwx_inverse(self) -> Array:
        """(p, p) (X'WX)^-1 in the user's units."""
        return self.to_coefficients @ self.to_coefficients.T

    @property
    def vcov(self) -> Array:
        """(p, p) model-based covariance of beta-hat."""
        return self.sigma**2 * self.xtwx_inverse

    def in_basis(self, L: Array) -> Array:
        """Rows of linear combinations of the coefficients (k, p), or of X itself, in the basis."""
        return np.asarray(self.centring.contrasts(L) @ self.root)


def assemble_ols(design: Design, solution: LeastSquares) -> OLSRecord:
    """Gather what the fit found, in the units of the data."""
    n_obs = design.n_obs
    return OLSRecord(
        coef_names=design.coef_names,
        beta=solution.beta,
        sigma=math.sqrt(solution.rss / (n_obs - len(solution.beta))),
        fitted=design.y - solution.residuals,
        residuals=solution.residuals,
        rss=solution.rss,
        tss=solution.tss,
        n_obs=n_obs,
        loglik=gaussian_loglik(solution.rss, n_obs, log_precision(design)),
        centring=solution.centring,
        root=solution.root,
    )


def log_precision(design: Design) -> float:
    """Sum of the logarithms of the precision weights over all observations."""
    if design.weights is None:
        return 0.0
    logs = np.log(design.weights)
    return float(logs.sum() if design.freq_weights is None else logs @ design.freq_weights)


def gaussian_loglik(rss: float, n_obs: float, sum_log_weights: float) -> float:
    """Log-likelihood of weighted Gaussian errors at the ML variance."""
    return 0.5 * (sum_log_weights - n_obs * (math.log(2.0 * math.pi * rss / n_obs) + 1.0))
