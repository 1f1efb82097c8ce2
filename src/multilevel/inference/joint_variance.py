"""How uncertain is x'beta-hat + z'b-hat for groups that were in the data?

The errors in beta-hat and b-hat are correlated; their joint covariance is sigma^2 times the inverse of
Henderson's matrix, which is the augmented matrix A without its y row (Henderson 1975):

    var = sigma^2 c' A^-1 c,   c = (L'z, x).

Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection model.
Biometrics 31, 423-447.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel, working_model
from multilevel.fitted.assemble import factor_root, user_roots
from multilevel.fitted.lmm import LMMRecord

CHUNK_BYTES = 64e6  # of right-hand sides solved at a time


def prediction_variance(
    design: Design, record: LMMRecord, X: Array, Z: Sequence[Array], codes: Sequence[Codes]
) -> Array:
    """Variance (k,) of the error in the predicted mean of k rows.

    `X` is (k, p); `Z` has a (k, q) array for each random term, zero where the term is left out; `codes` a
    (k,) array for each grouping, -1 where a group was not in the data (its effect counts as zero here).
    """
    model = working_model(design)
    fixed = X @ model.fixed.jacobian()
    loadings = [
        random_loadings(model, record, k, Z, codes[grouping]) for k, grouping in enumerate(model.groupings)
    ]
    known = [codes[grouping] for grouping in model.groupings]
    if len(known) == 1:
        return record.sigma**2 * one_factor(model, record, fixed, loadings[0], known[0])
    return record.sigma**2 * several_factors(model, record, fixed, loadings, known)


def random_loadings(
    model: WorkingModel, record: LMMRecord, factor: int, Z: Sequence[Array], codes: Codes
) -> Array:
    """What each row takes from the spherical effects of its level: (k, Q)."""
    root = factor_root(model, user_roots(model, model.kernel.term_factors(record.optimum.theta)), factor)
    terms = [i for i, layout in enumerate(model.layouts) if layout.factor == factor]
    return np.where(codes[:, None] >= 0, np.hstack([Z[i] for i in terms]) @ root, 0.0)


def one_factor(model: WorkingModel, record: LMMRecord, fixed: Array, loading: Array, codes: Codes) -> Array:
    """c'A^-1c from the blocks of each level with itself and with beta."""
    blocks = model.kernel.inverse_blocks(record.optimum.theta, hold_fixed=False)
    own, against = blocks.own[0][codes], blocks.against_fixed[0][codes]
    return np.asarray(
        np.einsum("kp,pr,kr->k", fixed, blocks.fixed, fixed)
        + 2.0 * np.einsum("kq,kqp,kp->k", loading, against, fixed)
        + np.einsum("kq,kqs,ks->k", loading, own, loading)
    )


def several_factors(
    model: WorkingModel, record: LMMRecord, fixed: Array, loadings: Sequence[Array], codes: Sequence[Codes]
) -> Array:
    """c'A^-1c = |R^-1 c|^2, a chunk of rows at a time: levels that never met need the whole factorisation."""
    sizes = [f.n_levels * loading.shape[1] for f, loading in zip(model.kernel.factors, loadings, strict=True)]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    n_unknowns = int(starts[-1]) + fixed.shape[1]
    step = max(1, int(CHUNK_BYTES / 8 / n_unknowns))
    out = np.empty(len(fixed))
    for begin in range(0, len(fixed), step):
        rows = slice(begin, min(begin + step, len(fixed)))
        c = np.zeros((n_unknowns, rows.stop - rows.start), order="F")
        c[starts[-1] :] = fixed[rows].T
        for start, loading, level in zip(starts, loadings, codes, strict=False):
            place_loadings(c, int(start), loading[rows], level[rows])
        solved = model.kernel.forward_solve(record.optimum.theta, c)
        out[rows] = np.einsum("uk,uk->k", solved, solved)
    return out


def place_loadings(c: Array, start: int, loading: Array, codes: Codes) -> None:
    """Put each row's loadings at the place of its level."""
    rows = np.arange(len(codes))
    for j in range(loading.shape[1]):
        known = codes >= 0
        c[start + codes[known] * loading.shape[1] + j, rows[known]] = loading[known, j]
