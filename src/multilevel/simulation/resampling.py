"""New responses from the residuals of a mixed model, at every level.

The random effects that a fit predicts are shrunken, and residuals are too small, so that resampling them as
they are would understate every variance. They are centred and reflated first: turned and scaled so that their
empirical covariance is exactly what the model estimates (Carpenter, Goldstein and Rasbash 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.lmm import WorkingModel
from multilevel.fitted.assemble import factor_root
from multilevel.fitted.lmm import LMMRecord
from multilevel.simulation.lmm import refuse_counted_rows

NO_VARIANCE = 1e-10  # eigenvalue, relative to the largest, of a direction in which effects do not vary


@dataclass(frozen=True, slots=True)
class ReflatedEffects:
    """The effects of one grouping factor, ready to be resampled."""

    codes: Codes  # (n,)
    columns: Array  # (n, Q) what they multiply, in working coordinates
    effects: Array  # (J, Q) centred, with the covariance that the model estimates


@dataclass(frozen=True, slots=True)
class Residuals:
    """All that responses are put together from."""

    fixed: Array  # (n,) X beta + offset
    factors: tuple[ReflatedEffects, ...]
    errors: Array  # (n,) centred, of variance sigma^2: residuals times the root of their weights
    scale: Array | None  # (n,) 1 / root of the precision weights


def reflated_residuals(design: Design, record: LMMRecord, model: WorkingModel) -> Residuals:
    """Predicted effects and residuals of a fit, with the variances that the fit estimates."""
    refuse_counted_rows(design)
    solution = model.kernel.solution(record.optimum.theta)
    roots = model.kernel.term_factors(record.optimum.theta)
    factors = [
        reflated_effects(design, model, k, u, factor_root(model, roots, k), record.sigma)
        for k, u in enumerate(solution.u)
    ]
    errors = design.y - record.fitted
    scale = None if design.weights is None else 1.0 / np.sqrt(design.weights)
    errors = errors if scale is None else errors / scale
    errors = errors - errors.mean()
    return Residuals(
        record.fitted_fixed,
        tuple(factors),
        errors * (record.sigma / np.sqrt((errors * errors).mean())),
        scale,
    )


def reflated_effects(
    design: Design, model: WorkingModel, factor: int, u: Array, root: Array, sigma: float
) -> ReflatedEffects:
    """Spherical effects (J, Q) made spherical in the sample, too, and turned back by the root (Q, Q)."""
    grouping = design.groupings[model.groupings[factor]]
    centred = u - u.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(u))
    kept = values > NO_VARIANCE * max(values[-1], 0.0) if values[-1] > 0.0 else np.zeros(len(values), bool)
    if np.count_nonzero(kept) < np.linalg.matrix_rank(root, tol=NO_VARIANCE * np.abs(root).max()):
        raise ModelError(
            f"'{grouping.name}' has {grouping.n_levels} levels, too few to resample its {len(root)} random "
            'effects from; use kind="parametric".'
        )
    whitened = centred @ (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    columns = model.kernel.factors[factor].columns
    return ReflatedEffects(
        grouping.codes, (columns.values - columns.shift) * columns.scale, sigma * whitened @ root.T
    )


def draw_from_residuals(residuals: Residuals, streams: Sequence[np.random.Generator]) -> Array:
    """A response from each stream: (n, len(streams)), Fortran order."""
    draws = np.empty((len(streams), len(residuals.fixed)))
    for index, rng in enumerate(streams):
        draws[index] = one_response(residuals, rng)
    return draws.T


def one_response(residuals: Residuals, rng: np.random.Generator) -> Array:
    """Effects of every level and errors, each drawn with replacement: (n,)."""
    y = residuals.fixed.copy()
    for factor in residuals.factors:
        drawn = factor.effects[rng.integers(len(factor.effects), size=len(factor.effects))]
        y += np.einsum("ij,ij->i", factor.columns, drawn[factor.codes])
    errors = residuals.errors[rng.integers(len(y), size=len(y))]
    return y + (errors if residuals.scale is None else errors * residuals.scale)
