"""How uncertain is a predicted linear predictor of a generalized mixed model?

Given the parameters, random effects are about normal with the curvature of the log-density at their
modes; the modes move with the coefficients, db/dbeta = -(Z'WZ + Sigma^-1)^-1 Z'WX. With l the loadings
of a row on the spherical effects, M = I + L'Z'WZL and V the covariance of beta-hat,

    var(x'beta + z'b) = l'M^-1 l + (x - X'WZL M^-1 l)'V(x - X'WZL M^-1 l).

Booth, J. G. & Hobert, J. P. (1998). Standard errors of prediction in generalized linear mixed models.
Journal of the American Statistical Association 93, 262-272.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.glmm_prediction import SideEstimates
from multilevel.inference.matrices import spread
from multilevel.inference.prediction_rows import Rows
from multilevel.kernels.density import log_density
from multilevel.simulation.glmm import density_of, kept_core_predictors

CHUNK_BYTES = 64e6  # of right-hand sides solved at a time


def predictor_variance(
    design: GLMMDesign,
    record: GLMMRecord,
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
    factor = splu(M.tocsc())
    moved = factor.solve(np.asarray(loaded.T @ (W[:, None] * which.X)))
    return by_chunks(rows, new_loadings(which, rows, included) @ root, factor, moved, estimates.vcov)


def by_chunks(rows: Rows, loading: sparse.csr_array, factor: object, moved: Array, vcov: Array) -> Array:
    """The formula, some rows at a time."""
    k, q = loading.shape
    step = max(1, int(CHUNK_BYTES / 8 / max(q, 1)))
    variance = np.empty(k)
    for begin in range(0, k, step):
        block = slice(begin, begin + step)
        right = loading[block].toarray().T
        own = np.einsum("qk,qk->k", right, factor.solve(np.asfortranarray(right)))  # type: ignore[attr-defined]
        variance[block] = own + quadratic(rows.X[block] - right.T @ moved, vcov)
    return variance


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
