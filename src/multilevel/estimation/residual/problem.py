"""Generalised least squares at given residual parameters: the criterion and its exact gradient.

With y ~ N(X beta, sigma^2 V), V = D R D, D diagonal with g / root(w), the profiled criterion is

    d(phi) = log|V| + m (1 + log(2 pi rss / m)) [ + log|X'V^-1 X| ],     rss = min |T D^-1 (y - X beta)|^2,

m = n for maximum likelihood and n - p, with the term in brackets, for REML; T R T' = I. beta and sigma are at
their optimum, so that only V moves:

    d' = d ( log|V| + sum over columns of E'V^-1 E ),    E = [ root(m / rss) r, X A^(-1/2) ]   held,

r the residuals and A = X'V^-1 X (the columns of X for REML only): one formula for every structure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.ols import triangularise
from multilevel.estimation.residual.scale_factors import ScaleProduct
from multilevel.estimation.residual.structure import RowCorrelation, Whitening


@dataclass(frozen=True, slots=True)
class ResidualModel:
    """The family of V: scale parameters delta, then correlation parameters eta; rows in order."""

    scale: ScaleProduct
    correlation: RowCorrelation
    log_weights: Array | None  # (n,) logarithms of precision weights

    @property
    def n_scale(self) -> int:
        """How many parameters are of the scale."""
        return len(self.scale.names)

    @property
    def n_parameters(self) -> int:
        """All parameters phi."""
        return self.n_scale + len(self.correlation.chart.names)

    def log_sd(self, phi: Array) -> Array:
        """Logarithm (n,) of each row's standard deviation over sigma."""
        log_g = self.scale.log_scale(phi[: self.n_scale])
        return log_g if self.log_weights is None else log_g - 0.5 * self.log_weights

    def natural(self, phi: Array) -> Array:
        """The parameters that a user reads."""
        eta = phi[self.n_scale :]
        return np.concatenate([self.scale.natural(phi[: self.n_scale]), self.correlation.chart.natural(eta)])


@dataclass(frozen=True, slots=True)
class GLSProblem:
    """n rows in the order of estimation, columns moved and scaled."""

    rows: Array  # (n, p + 1) X beside y
    model: ResidualModel
    reml: bool

    @property
    def n_coefficients(self) -> int:
        """Columns p of X."""
        return int(self.rows.shape[1]) - 1

    @property
    def df(self) -> int:
        """What the residual sum of squares is divided by."""
        return len(self.rows) - (self.n_coefficients if self.reml else 0)


@dataclass(frozen=True, slots=True)
class GLSPoint:
    """The model solved at one phi."""

    phi: Array  # (k,)
    criterion: float
    beta: Array  # (p,)
    rss: float
    root: Array  # (p, p) upper triangular, X'V^-1 X = root' root
    log_sd: Array  # (n,)
    scaled: Array  # (n, p + 1) D^-1 [X, y]
    whitening: Whitening
    white_X: Array  # (n, p) T D^-1 X
    white_residuals: Array  # (n,)


def solve(problem: GLSProblem, phi: Array) -> GLSPoint | None:
    """Generalised least squares at phi; None where V is no covariance matrix."""
    model, p = problem.model, problem.n_coefficients
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            log_sd = model.log_sd(phi)
            whitening = model.correlation.at(phi[model.n_scale :])
            scaled = problem.rows * np.exp(-log_sd)[:, None]
            white = whitening.whiten(scaled)
            X, y = white[:, :p], white[:, p]
            triangle = triangularise(X, y)
    except (np.linalg.LinAlgError, FloatingPointError):
        return None
    beta = np.asarray(np.linalg.solve(triangle.R, triangle.z), dtype=np.float64)
    residuals = y - X @ beta
    rss, df = float(residuals @ residuals), problem.df
    if not (np.isfinite(rss) and rss > 0.0):
        return None
    log_det = whitening.log_det + 2.0 * float(log_sd.sum())
    fixed = 2.0 * float(np.log(np.abs(triangle.R.diagonal())).sum()) if problem.reml else 0.0
    criterion = log_det + fixed + df * (1.0 + float(np.log(2.0 * np.pi * rss / df)))
    return GLSPoint(phi, criterion, beta, rss, triangle.R, log_sd, scaled, whitening, X, residuals)


@dataclass(frozen=True, slots=True)
class Slopes:
    """Derivatives of the criterion at a point."""

    gradient: Array  # (k,)
    by_log_sd: Array  # (n,) in the logarithm of each row's standard deviation


def slopes(problem: GLSProblem, at: GLSPoint) -> Slopes:
    """The gradient of the criterion in phi."""
    weight = float(np.sqrt(problem.df / at.rss))
    rows = (weight * (at.scaled[:, -1] - at.scaled[:, :-1] @ at.beta))[:, None]
    white = weight * at.white_residuals[:, None]
    if problem.reml:
        inverse = np.linalg.inv(at.root)
        rows = np.hstack([rows, at.scaled[:, :-1] @ inverse])
        white = np.hstack([white, at.white_X @ inverse])
    return held_slopes(problem.model, at.phi, at.whitening, rows, white)


def held_slopes(model: ResidualModel, phi: Array, whitening: Whitening, rows: Array, white: Array) -> Slopes:
    """Derivatives of log|V| + sum E'V^-1 E, from D^-1 E and T D^-1 E (n, k)."""
    solved = whitening.whiten_back(white)
    by_log_sd = 2.0 * (1.0 - (rows * solved).sum(axis=1))
    of_scale = model.scale.slopes(phi[: model.n_scale], by_log_sd)
    of_correlation = whitening.slopes(rows, white, solved)
    return Slopes(np.concatenate([of_scale, of_correlation]), by_log_sd)
