"""The parameters of a generalized mixed model that profiles and bootstraps give limits for.

Coefficients of every part (those beside the mean's carry the part's name, `zi~Intercept`), then standard
deviations and correlations of the random effects of the mean and of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.glmm import PlacedTerm, WorkingGLMM
from multilevel.inference.parameters import Parameter, parameter_values, term_parameters, with_distinct_names


def glmm_parameters(design: GLMMDesign, model: WorkingGLMM) -> tuple[Parameter, ...]:
    """All of them; the index of a coefficient is its place, that of a random one its term in the model."""
    fixed = [
        Parameter(
            name if part.component == "cond" else f"{part.component}~{name}",
            "fixed",
            None,
            name if part.component == "cond" else f"{part.component}~{name}",
            part.first + j,
        )
        for part in model.rows.parts
        for j, name in enumerate(part.names)
    ]
    random = [
        named_by_side(parameter, placed)
        for index, placed in enumerate(model.terms)
        for parameter in term_parameters(design.sides[placed.side], placed.term, index)
    ]
    return tuple(with_distinct_names([*fixed, *random]))


def named_by_side(parameter: Parameter, placed: PlacedTerm) -> Parameter:
    """The same name with the part in front, for random effects of zeros."""
    return replace(parameter, name=f"zi~{parameter.name}") if placed.side else parameter


def roots_at(model: WorkingGLMM, psi: Array) -> list[Array]:
    """A root of each term's covariance on the user's columns."""
    scale = model.rows.units.eta_scale
    return [
        placed.working.back @ T / (1.0 if placed.side else scale)
        for placed, T in zip(model.terms, model.factors_of(psi), strict=True)
    ]


def parameters_at(model: WorkingGLMM, parameters: Sequence[Parameter], psi: Array) -> Array:
    """Values (K,) of the parameters at working psi."""
    coefficients = model.rows.coefficients(psi[model.n_theta :])
    return parameter_values(parameters, coefficients, roots_at(model, psi), np.asarray(1.0))
