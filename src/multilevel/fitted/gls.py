"""The record of a fit by generalised least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import Limits
from multilevel.design.design import Design
from multilevel.estimation.centring import Centring
from multilevel.estimation.gls import GLSSolution
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.residual.rows import ResidualRows


@dataclass(frozen=True, slots=True)
class GLSRecord:
    """What generalised least squares found; rows in the order of the data."""

    coef_names: tuple[str, ...]
    beta: Array  # (p,)
    sigma: float  # residual standard deviation where weight and variance function are 1
    fitted: Array  # (n,) X beta + offset
    residuals: Array  # (n,) y - fitted
    relative_sd: Array  # (n,) standard deviation of each residual over sigma
    normalized: Array  # (n,) residuals made uncorrelated, of variance one
    parameters: Array  # (k,) of the residual structure: variance function, then correlation
    parameter_names: tuple[str, ...]  # (k,)
    parameter_limits: tuple[Limits, ...]  # (k,)
    n_scale: int  # how many of them are of the variance
    centring: Centring
    root: Array  # (p, p) with sigma^2 root root' the covariance in centred columns
    reml: bool
    criterion: float
    n_obs: float
    optimum: Optimum

    @property
    def loglik(self) -> float:
        """Log-likelihood (restricted if `reml`)."""
        return -0.5 * self.criterion

    @property
    def n_coefficients(self) -> int:
        """Number of coefficients p."""
        return len(self.beta)

    @property
    def n_parameters(self) -> int:
        """Coefficients, residual parameters and sigma."""
        return self.n_coefficients + len(self.parameters) + 1

    @property
    def df_residual(self) -> float:
        """Observations less coefficients."""
        return self.n_obs - self.n_coefficients

    @property
    def vcov(self) -> Array:
        """(p, p) model-based covariance of beta-hat."""
        half = self.sigma * self.centring.contrasts(np.eye(self.n_coefficients)) @ self.root
        return np.asarray(half @ half.T)


def assemble_gls(design: Design, rows: ResidualRows, solution: GLSSolution) -> GLSRecord:
    """Gather what was found, in the units and the order of the data."""
    problem, point = solution.problem, solution.point
    sigma = float(np.sqrt(point.rss / problem.df))
    errors = problem.rows[:, -1] - problem.rows[:, :-1] @ point.beta
    residuals = rows.in_data_order(errors)
    model = problem.model
    return GLSRecord(
        coef_names=design.coef_names,
        beta=solution.centring.coefficients(point.beta, solution.response_shift),
        sigma=sigma,
        fitted=design.y - residuals,
        residuals=residuals,
        relative_sd=rows.in_data_order(np.exp(point.log_sd)),
        normalized=rows.in_data_order(point.white_residuals / sigma),
        parameters=model.natural(point.phi),
        parameter_names=(*model.scale.names, *model.correlation.chart.names),
        parameter_limits=(*model.scale.limits, *model.correlation.chart.limits),
        n_scale=model.n_scale,
        centring=solution.centring,
        root=np.asarray(np.linalg.inv(point.root), dtype=np.float64),
        reml=problem.reml,
        criterion=point.criterion,
        n_obs=design.n_obs,
        optimum=solution.optimum,
    )
