"""How far is each cluster drawn towards the mean? Conditional modes beside raw deviations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes, Mask
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord, Modes

RELATIVE_RANK = (
    1e-10  # smallest eigenvalue of a level's scaled cross-product that still identifies its effects
)


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """Random effects of one grouping factor; J levels, Q columns over all its terms."""

    group: str
    levels: tuple[object, ...]  # (J,) in the type they have in the data
    columns: tuple[str, ...]  # (Q,)
    value: Array  # (J, Q) conditional modes (BLUPs)
    std_error: Array  # (J, Q) conditional standard deviations
    raw_deviation: Array  # (J, Q) least squares within the level; NaN where its rows do not identify it
    reliability: Array  # (J, Q) 1 - conditional variance / variance: the weight of the level's own data


def shrinkage(design: Design, record: LMMRecord, modes: Modes, levels: tuple[object, ...]) -> Shrinkage:
    """Conditional modes of one grouping factor, its J `levels`, beside what each level says for itself."""
    grouping = design.groupings[modes.grouping]
    Z = np.hstack([design.terms[term].Z for term in modes.terms])
    variance = np.concatenate([np.diag(record.terms[term].covariance) for term in modes.terms])
    conditional = np.diagonal(modes.variance, axis1=1, axis2=2)
    return Shrinkage(
        group=grouping.name,
        levels=levels,
        columns=tuple(name for term in modes.terms for name in design.terms[term].names),
        value=modes.values,
        std_error=np.sqrt(np.maximum(conditional, 0.0)),
        raw_deviation=raw_deviations(Z, design.y - record.fitted_fixed, row_weights(design), grouping.codes),
        reliability=reliability(conditional, variance),
    )


def reliability(conditional: Array, variance: Array) -> Array:
    """Share (J, Q) of each random effect's variance (Q,) that the data resolve; 0 if there is none."""
    safe = np.where(variance > 0.0, variance, 1.0)
    return np.where(variance > 0.0, 1.0 - conditional / safe, 0.0)


def row_weights(design: Design) -> Array:
    """Precision times count of each row (n,)."""
    precision = np.ones(design.n_rows) if design.weights is None else design.weights
    return precision if design.freq_weights is None else precision * design.freq_weights


def raw_deviations(Z: Array, residual: Array, weights: Array, codes: Codes) -> Array:
    """Weighted least squares of the residuals from the fixed part on Z (n, Q), level by level: (J, Q).

    For a random intercept this is the level's mean residual: what the level says before shrinkage.
    A level whose rows do not identify its effects gets NaN.
    """
    shift = column_shift(Z)
    centred = Z - shift
    gram = sums_by_level(weights[:, None, None] * centred[:, :, None] * centred[:, None, :], codes)
    moment = sums_by_level((weights * residual)[:, None] * centred, codes)
    deviations = solve_by_level(gram, moment)
    if shift.any():
        constant = int(np.argmax(is_constant_one(Z)))
        deviations[:, constant] -= deviations @ shift
    return deviations


def column_shift(Z: Array) -> Array:
    """What to subtract from each column (Q,) to keep its digits: its mean, if an intercept can take it up."""
    ones = is_constant_one(Z)
    return np.where(ones, 0.0, Z.mean(axis=0)) if ones.any() else np.zeros(Z.shape[1])


def is_constant_one(Z: Array) -> Mask:
    """Which columns (Q,) are the intercept's."""
    return np.asarray((Z == 1.0).all(axis=0))


def solve_by_level(gram: Array, moment: Array) -> Array:
    """Solve each level's normal equations, (J, Q, Q) and (J, Q); NaN where they are singular."""
    scale = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    inverse_scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)
    scaled = gram * inverse_scale[:, :, None] * inverse_scale[:, None, :]
    identified = np.linalg.eigvalsh(scaled)[:, 0] > RELATIVE_RANK
    solution = np.linalg.solve(scaled[identified], (moment * inverse_scale)[identified][:, :, None])[:, :, 0]
    deviations = np.full(moment.shape, np.nan)
    deviations[identified] = solution * inverse_scale[identified]
    return deviations


def sums_by_level(values: Array, codes: Codes) -> Array:
    """Sum the rows of `values` (n, ...) within each level: (J, ...)."""
    flat = values.reshape(len(values), -1)
    columns = [np.bincount(codes, weights=flat[:, column]) for column in range(flat.shape[1])]
    return np.asarray(np.column_stack(columns).reshape(-1, *values.shape[1:]), dtype=np.float64)
