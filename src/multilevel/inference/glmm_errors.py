"""How uncertain is a predicted linear predictor of a generalized mixed model?

Given the parameters psi (coefficients and covariances of all parts), random effects are about normal
with the curvature of the log-density at their modes; and the modes b(psi) move with the parameters. With
l the loadings of a row on the spherical effects, M = I + L'Z'WZL and V the covariance of psi-hat,

    var(x'beta + z'b) = l'M^-1 l + j'V j,     j = d(x'beta + z'b(psi)) / d psi.

Booth, J. G. & Hobert, J. P. (1998). Standard errors of prediction in generalized linear mixed models.
Journal of the American Statistical Association 93, 262-272. Kass, R. E. & Steffey, D. (1989).
Approximate Bayesian inference in conditionally independent hierarchical models. Journal of the American
Statistical Association 84, 717-726.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.glmm import WorkingGLMM, with_given_coefficients
from multilevel.fitted.assemble_glmm import conditional_modes, user_roots
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.joint_covariance import parameter_covariance
from multilevel.inference.glmm_prediction import SideEstimates
from multilevel.inference.matrices import spread
from multilevel.inference.prediction_rows import Rows
from multilevel.kernels.density import log_density
from multilevel.simulation.glmm import density_of, kept_core_predictors

CHUNK_BYTES = 64e6  # of right-hand sides solved at a time
STEP = 0.01  # of a standard error, for derivatives of modes
BOUNDLESS = 1e3  # standard error in working units of a parameter that has run off to infinity


def predictor_variance(
    design: GLMMDesign,
    record: GLMMRecord,
    model: WorkingGLMM,
    estimates: SideEstimates,
    rows: Rows,
    included: Sequence[bool],
    side: int,
) -> Array:
    """Variance (k,) of the error in x'beta + z'b; random effects of groups not seen count as zero."""
    which = design.sides[side]
    if not any(included):
        return quadratic(rows.X, estimates.vcov)
    root = spherical_root(which, estimates)
    Z = sparse.hstack(
        [spread(term, codes_of(which, k), levels_of(which, k)) for k, term in enumerate(which.terms)]
    )
    loaded = (Z.tocsr() @ root).tocsc()
    W = row_curvature(design, record, side)
    M = sparse.eye_array(loaded.shape[1], format="csc") + loaded.T @ sparse.diags_array(W) @ loaded
    loading = new_loadings(which, rows, included)
    moves = mode_slopes(design, record, model, side)
    slopes = rows.X @ moves.beta + loading @ moves.effects
    return inverse_forms(loading @ root, splu(M.tocsc())) + quadratic(slopes, moves.covariance)


@dataclass(frozen=True, slots=True)
class ModeSlopes:
    """How coefficients and random effects of one side move with the m working parameters that are free."""

    beta: Array  # (p, m)
    effects: Array  # (q, m) of all random effects, term by term, level by level
    covariance: Array  # (m, m) of these parameters


def mode_slopes(design: GLMMDesign, record: GLMMRecord, model: WorkingGLMM, side: int) -> ModeSlopes:
    """Derivatives at the optimum: of coefficients known, of modes by central differences."""
    psi = record.optimum.theta
    covariance = parameter_covariance(model, psi)
    given = with_given_coefficients(model)
    se = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    free = np.flatnonzero((se > 0.0) & (se < BOUNDLESS))
    part = next(each for each in model.rows.parts if each.component == ("zi" if side else "cond"))
    beta = np.hstack([np.zeros((len(part.names), model.n_theta)), model.rows.back[part.places]])
    columns = []
    for k in free.tolist():
        step = np.zeros(len(psi))
        step[k] = STEP * min(float(se[k]), 1.0)
        high, low = (effects_at(design, given, psi + sign * step, side) for sign in (1.0, -1.0))
        columns.append((high - low) / (2.0 * step[k]))
    return ModeSlopes(beta[:, free], np.array(columns).T, covariance[np.ix_(free, free)])


def effects_at(design: GLMMDesign, model: WorkingGLMM, psi: Array, side: int) -> Array:
    """All random effects (q,) of a side at their modes, term by term, level by level."""
    found: dict[int, Array] = {}
    for modes in conditional_modes(design, model, psi, user_roots(model, psi), side):
        first = 0
        for term in modes.terms:
            width = design.sides[side].terms[term].n_columns
            found[term] = modes.values[:, first : first + width].ravel()
            first += width
    return np.concatenate([found[term] for term in sorted(found)])


def inverse_forms(loading: sparse.csr_array, factor: Any) -> Array:
    """l'M^-1 l of each row, some rows at a time."""
    k, q = loading.shape
    step = max(1, int(CHUNK_BYTES / 8 / max(q, 1)))
    forms = np.empty(k)
    for begin in range(0, k, step):
        right = loading[begin : begin + step].toarray().T
        forms[begin : begin + step] = np.einsum("qk,qk->k", right, factor.solve(np.asfortranarray(right)))
    return forms


def quadratic(X: Array, vcov: Array) -> Array:
    """x'Vx of each row."""
    return np.asarray(np.einsum("kp,pr,kr->k", X, vcov, X))


def spherical_root(side: Design, estimates: SideEstimates) -> sparse.csc_array:
    """Block-diagonal Lambda: b = Lambda u."""
    blocks = [
        sparse.kron(sparse.eye_array(levels_of(side, k)), fit.factor) for k, fit in enumerate(estimates.terms)
    ]
    return sparse.block_diag(blocks).tocsc()


def row_curvature(design: GLMMDesign, record: GLMMRecord, side: int) -> Array:
    """Minus the second derivative (n,) of each row's log-density in a side's linear predictor."""
    density = density_of(design, record)
    predictors = kept_core_predictors(design, record)
    active = len(predictors) - 1 if side else 0
    counts = design.main.freq_weights
    found = log_density(density, design.main.y, design.trials, counts, predictors, 2, (active,))
    return np.asarray(-found[2])


def new_loadings(side: Design, rows: Rows, included: Sequence[bool]) -> sparse.csr_array:
    """Z of the rows to predict, spread over the levels of the fit; nothing where a level is not known."""
    blocks = []
    for k, term in enumerate(side.terms):
        codes = rows.codes[term.grouping]
        known = (codes >= 0) & bool(included[k])
        q, n = term.n_columns, len(codes)
        columns = np.where(known, codes, 0)[:, None].astype(np.int64) * q + np.arange(q)
        values = np.where(known[:, None], rows.Z[k], 0.0)
        blocks.append(
            sparse.csr_array(
                (values.ravel(), columns.ravel(), np.arange(0, n * q + 1, q)),
                shape=(n, levels_of(side, k) * q),
            )
        )
    return sparse.hstack(blocks).tocsr()


def codes_of(side: Design, term: int) -> Codes:
    """Level of each row in a term's grouping factor."""
    return side.groupings[side.terms[term].grouping].codes


def levels_of(side: Design, term: int) -> int:
    """Number of levels of a term's grouping factor."""
    return side.groupings[side.terms[term].grouping].n_levels
