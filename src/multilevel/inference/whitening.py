"""What is new in each row, given the rows of its group before it?

The residuals from the fixed part are correlated within groups, with covariance V. With V = L L' their
whitened form L^-1 (y - X beta) is uncorrelated, of variance 1, if the model holds: each row less its
prediction from the rows before it, in units of that prediction's error. For one factor, or factors within
each other, L is never formed: what is known of the random effects is updated row by row, all outermost
groups side by side, as a Kalman filter does; an inner group is begun afresh when the last one ends.

References:
    Fitzmaurice, G. M., Laird, N. M. & Ware, J. H. (2011). Applied Longitudinal Analysis, 2nd ed.,
    section 10.3. Wiley.
    Nobre, J. S. & Singer, J. M. (2007). Residual analysis for linear mixed models. Biometrical Journal 49.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.row_blocks import row_blocks
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.matrices import marginal_covariance, residual_variance
from multilevel.inference.nested_factors import nested_chain

LARGEST_BLOCK = 3000  # rows that depend on each other through crossed factors, of which a matrix is formed

Rows = npt.NDArray[np.intp]


def whitened_residuals(design: Design, record: LMMRecord, order: Rows | None = None) -> Array:
    """L^-1 (y - X beta) with V = L L' over the rows of each group: (n,).

    `order` (n,) holds the rows in the order in which they are to be predicted from each other, one innermost
    group after another.
    """
    refuse_counts(design)
    rows = np.arange(design.n_rows) if order is None else order
    residual = design.y - record.fitted_fixed
    chain = nested_chain(design.groupings)
    if chain is None or record.sigma == 0.0:
        return whitened_blocks(design, record, residual, rows)
    codes = [design.groupings[k].codes for k in chain]  # from the outermost to the innermost
    rows = rows[np.lexsort([c[rows] for c in codes[::-1]])]
    loading, first = chained_loadings(design, record, chain)
    fresh = columns_begun(np.column_stack(codes)[rows], first)
    variance = residual_variance(design, record.sigma)
    out = np.empty(design.n_rows)
    out[rows] = innovations(residual[rows], loading[rows], variance[rows], codes[0][rows], fresh)
    return out


def chained_loadings(
    design: Design, record: LMMRecord, chain: Sequence[int]
) -> tuple[Array, npt.NDArray[np.intp]]:
    """What each row takes from its groups' standardized effects (n, Q), and where each factor's begin."""
    parts = [
        [
            term.Z @ found.root
            for term, found in zip(design.terms, record.terms, strict=True)
            if term.grouping == grouping
        ]
        for grouping in chain
    ]
    widths = [sum(part.shape[1] for part in of_factor) for of_factor in parts]
    return np.hstack([part for of_factor in parts for part in of_factor]), np.cumsum([0, *widths])


def columns_begun(codes: Codes, first: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """From which column on the effects are those of groups that begin with a row: (n,), from codes (n, G)."""
    changed = np.ones(codes.shape, dtype=bool)
    changed[1:] = codes[1:] != codes[:-1]
    begun = np.where(changed.any(axis=1), first[changed.argmax(axis=1)], first[-1])
    return np.asarray(begun, dtype=np.intp)


def refuse_counts(design: Design) -> None:
    """A row that stands for several observations has no order within itself."""
    if design.freq_weights is not None:
        raise ModelError(
            "whitened residuals need the observations one by one, and freq_weights= counts several in a row; "
            'repeat the rows, or use residuals("studentized").'
        )


def innovations(
    residual: Array, loading: Array, variance: Array, codes: Codes, fresh: npt.NDArray[np.intp]
) -> Array:
    """Each row less its prediction from the rows of its group before it, standardized: (n,).

    Rows are residual = loading u + e with u standard normal in each group (loading (n, Q)) and errors of
    the given variance (n,); from column `fresh` (n,) on, u is drawn anew before the row.
    """
    order, place = places_in_group(codes)
    n_groups, Q = int(codes.max()) + 1, loading.shape[1]
    mean, covariance = np.zeros((n_groups, Q)), np.tile(np.eye(Q), (n_groups, 1, 1))
    out = np.empty(len(residual))
    first = np.concatenate([[0], np.cumsum(np.bincount(place))])
    by_place = order[np.argsort(place[order], kind="stable")]
    for begin, end in pairwise(first):
        rows = by_place[begin:end]  # one row of each group that has so many
        group, z = codes[rows], loading[rows]
        begin_afresh(mean, covariance, group, fresh[rows])
        known = np.einsum("gij,gj->gi", covariance[group], z)
        error = np.einsum("gi,gi->g", z, known) + variance[rows]
        surprise = residual[rows] - np.einsum("gi,gi->g", z, mean[group])
        mean[group] += known * (surprise / error)[:, None]
        covariance[group] -= known[:, :, None] * known[:, None, :] / error[:, None, None]
        out[rows] = surprise / np.sqrt(error)
    return out


def begin_afresh(mean: Array, covariance: Array, group: Codes, fresh: npt.NDArray[np.intp]) -> None:
    """Forget what is known of the effects from column `fresh` on, in each of the groups."""
    for column in np.unique(fresh):
        if column == mean.shape[1]:
            continue
        these = group[fresh == column]
        mean[these, column:] = 0.0
        covariance[these, column:, :] = 0.0
        covariance[these, :, column:] = 0.0
        covariance[these, column:, column:] = np.eye(mean.shape[1] - column)


def places_in_group(codes: Codes) -> tuple[Rows, Rows]:
    """The rows by group (n,), and the place of each row in its group, counted from 0: (n,)."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    first = np.cumsum(sizes) - sizes
    place = np.empty(len(codes), dtype=np.intp)
    place[order] = np.arange(len(codes)) - first[codes[order]]
    return order, place


def whitened_blocks(design: Design, record: LMMRecord, residual: Array, order: Rows) -> Array:
    """The same by the Cholesky factor of V over each block of rows that depend on each other."""
    blocks = row_blocks([grouping.codes[order] for grouping in design.groupings])
    largest = max(block.shape[1] for block in blocks)
    if largest > LARGEST_BLOCK:
        raise ModelError(
            f"{largest} rows depend on each other through crossed factors; whitening them would take a "
            f'matrix of that size, which is formed up to {LARGEST_BLOCK}. Use residuals("studentized").'
        )
    out = np.empty(len(residual))
    for rows in (order[row] for block in blocks for row in block):
        factor = np.linalg.cholesky(marginal_covariance(design, record, rows))
        out[rows] = solve_triangular(factor, residual[rows], lower=True, check_finite=False)
    return out
