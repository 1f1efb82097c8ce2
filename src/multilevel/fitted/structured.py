"""The record of a mixed model whose residuals have a structure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import Limits
from multilevel.design.design import Design
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.residual.mixed import predicted
from multilevel.estimation.residual.mixed_search import MixedSolution
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.fitted.assemble import assemble_lmm, theta_of_terms
from multilevel.fitted.lmm import LMMRecord


@dataclass(frozen=True, slots=True)
class StructuredRecord:
    """What was found; rows in the order of the data."""

    mixed: LMMRecord  # fixed and random effects
    residuals: Array  # (n,) from the fitted values, random effects included
    relative_sd: Array  # (n,) standard deviation of each residual over sigma
    normalized: Array  # (n,) residuals made uncorrelated, of variance one
    parameters: Array  # (k,) of the residual structure: variance function, then correlation
    parameter_names: tuple[str, ...]  # (k,)
    parameter_limits: tuple[Limits, ...]  # (k,)
    n_scale: int  # how many of them are of the variance

    @property
    def coef_names(self) -> tuple[str, ...]:
        """Names of the coefficients (p,)."""
        return self.mixed.coef_names

    @property
    def beta(self) -> Array:
        """Coefficients (p,)."""
        return self.mixed.beta

    @property
    def vcov(self) -> Array:
        """(p, p) model-based covariance of beta-hat."""
        return self.mixed.vcov

    @property
    def sigma(self) -> float:
        """Residual standard deviation where weight and variance function are 1."""
        return self.mixed.sigma

    @property
    def fitted(self) -> Array:
        """(n,) X beta + Z b + offset."""
        return self.mixed.fitted

    @property
    def reml(self) -> bool:
        """Whether the likelihood is the restricted one."""
        return self.mixed.reml

    @property
    def criterion(self) -> float:
        """-2 log-likelihood, or the REML criterion."""
        return self.mixed.criterion

    @property
    def loglik(self) -> float:
        """Log-likelihood (restricted if `reml`)."""
        return self.mixed.loglik

    @property
    def n_obs(self) -> float:
        """Rows used."""
        return self.mixed.n_obs

    @property
    def n_parameters(self) -> int:
        """Coefficients, covariance and residual parameters, and sigma."""
        return self.mixed.n_parameters + len(self.parameters)

    @property
    def optimum(self) -> Optimum:
        """How both searches ended."""
        return self.mixed.optimum


def assemble_structured(design: Design, rows: ResidualRows, solution: MixedSolution) -> StructuredRecord:
    """Gather what was found, in the units and the order of the data."""
    problem, point = solution.problem, solution.point
    record = in_units_of_sigma(
        assemble_lmm(problem.design, point.working, solution.optimum, reml=problem.reml), point.log_unit
    )
    fixed, whole = (
        rows.in_data_order(part / problem.response.scale + problem.response.shift)
        for part in predicted(problem, point, problem.rows)
    )
    if design.offset is not None:
        fixed, whole = fixed + design.offset, whole + design.offset
    white = point.white[:, problem.n_fixed] - predicted(problem, point, point.white)[1]
    model = problem.model
    return StructuredRecord(
        mixed=replace(record, fitted=whole, fitted_fixed=fixed),
        residuals=design.y - whole,
        relative_sd=rows.in_data_order(np.exp(point.log_sd)),
        normalized=rows.in_data_order(white / np.sqrt(point.solution.pwrss / problem.df)),
        parameters=model.natural(point.phi),
        parameter_names=(*model.scale.names, *model.correlation.chart.names),
        parameter_limits=(*model.scale.limits, *model.correlation.chart.limits),
        n_scale=model.n_scale,
    )


def in_units_of_sigma(record: LMMRecord, log_unit: float) -> LMMRecord:
    """sigma where the factors of the variance are one, and factors and theta relative to it."""
    unit = float(np.exp(log_unit))
    terms = tuple(replace(term, factor=unit * term.factor, unit=term.unit / unit) for term in record.terms)
    return replace(
        record,
        sigma=record.sigma / unit,
        terms=terms,
        theta=theta_of_terms(terms)[0],
        pwrss=record.pwrss / unit**2,
    )
