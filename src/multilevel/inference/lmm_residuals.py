"""How far is each row from the fit of a mixed model?"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.lmm import WorkingModel, working_model
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.case_deletion import scaled_values
from multilevel.inference.leverage import leverages, studentized
from multilevel.inference.matrices import residual_variance
from multilevel.inference.whitening import whitened_residuals

ResidualKind = Literal["response", "pearson", "scaled", "studentized", "fixed", "standardized", "whitened"]


def lmm_residuals(design: Design, record: LMMRecord, kind: ResidualKind) -> Array:
    """Residuals (n,) of the kind asked for."""
    checked_choice("kind", kind, get_args(ResidualKind))
    match kind:
        case "response":
            return design.y - record.fitted
        case "fixed":
            return design.y - record.fitted_fixed
        case "pearson":
            return weighted_residuals(design, record)
        case "scaled":
            if (
                record.sigma == 0.0
            ):  # no residual term: the random effects hold all that the fixed part leaves
                return (design.y - record.fitted_fixed) / marginal_sd(design, record)
            return weighted_residuals(design, record) / record.sigma
        case "studentized":
            model = working_model_of(design, record, kind)
            return studentized(
                weighted_residuals(design, record) / record.sigma, leverages(design, record, model)
            )
        case "standardized":
            model = working_model_of(design, record, kind)
            return (design.y - record.fitted_fixed) / marginal_error(design, record, model)
        case "whitened":
            return whitened_residuals(design, record)


def working_model_of(design: Design, record: LMMRecord, kind: str) -> WorkingModel:
    """The model that standard errors of residuals come from."""
    if record.sigma == 0.0:
        raise ModelError(
            f'residuals("{kind}") needs a residual variance, which residual="none" leaves out; '
            'use residuals("whitened").'
        )
    return working_model(design)


def weighted_residuals(design: Design, record: LMMRecord) -> Array:
    """Conditional residuals times the square roots of the precision weights, on one scale sigma."""
    residual = design.y - record.fitted
    return residual if design.weights is None else np.sqrt(design.weights) * residual


def marginal_error(design: Design, record: LMMRecord, model: WorkingModel) -> Array:
    """Standard error (n,) of y - X beta-hat: V less what estimating beta takes from it."""
    factor = model.kernel.solution(record.optimum.theta).fixed_factor
    taken = np.linalg.solve(factor, scaled_values(model.fixed.columns).T) * record.sigma
    variance = marginal_sd(design, record) ** 2 + residual_variance(design, record.sigma)
    return np.asarray(np.sqrt(variance - (taken * taken).sum(axis=0)))


def marginal_sd(design: Design, record: LMMRecord) -> Array:
    """Standard deviation (n,) of each row's random part."""
    variance = np.zeros(design.n_rows)
    for term, found in zip(design.terms, record.terms, strict=True):
        variance += ((term.Z @ found.root) ** 2).sum(axis=1)
    return np.sqrt(variance)
