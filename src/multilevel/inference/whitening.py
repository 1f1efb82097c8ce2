"""What is new in each row, given the rows of its group before it?

The residuals from the fixed part are correlated within groups, with covariance V. With V = L L' their
whitened form L^-1 (y - X beta) is uncorrelated, of variance 1, if the model holds: each row less its
prediction from the rows before it, in units of that prediction's error. L is never formed for one grouping
factor: the prediction is updated row by row, all groups side by side, as a Kalman filter does.

References:
    Fitzmaurice, G. M., Laird, N. M. & Ware, J. H. (2011). Applied Longitudinal Analysis, 2nd ed., section 10.3.
    Nobre, J. S. & Singer, J. M. (2007). Residual analysis for linear mixed models. Biometrical Journal 49.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.row_blocks import row_blocks
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.matrices import marginal_covariance, residual_variance

LARGEST_BLOCK = 3000  # rows that depend on each other through crossed factors, of which a matrix is formed

Rows = npt.NDArray[np.intp]


def whitened_residuals(design: Design, record: LMMRecord, order: Rows | None = None) -> Array:
    """L^-1 (y - X beta) with V = L L' over the rows of each group: (n,).

    `order` (n,) holds the rows in the order in which they are to be predicted from each other.
    """
    refuse_counts(design)
    rows = np.arange(design.n_rows) if order is None else order
    residual = design.y - record.fitted_fixed
    if len(design.groupings) > 1 or record.sigma == 0.0:
        return whitened_blocks(design, record, residual, rows)
    loading = np.hstack([term.Z @ found.root for term, found in zip(design.terms, record.terms, strict=True)])
    variance, codes = residual_variance(design, record.sigma), design.groupings[0].codes
    out = np.empty(design.n_rows)
    out[rows] = innovations(residual[rows], loading[rows], variance[rows], codes[rows])
    return out


def refuse_counts(design: Design) -> None:
    """A row that stands for several observations has no order within itself."""
    if design.freq_weights is not None:
        raise ModelError(
            "whitened residuals need the observations one by one, and freq_weights= counts several in a row; "
            'repeat the rows, or use residuals("studentized").'
        )


def innovations(residual: Array, loading: Array, variance: Array, codes: Codes) -> Array:
    """Each row less its prediction from the rows of its group before it, standardized: (n,).

    Rows are residual = loading u + e with u standard normal in each group (loading (n, Q)) and errors of
    the given variance (n,).
    """
    order, place = places_in_group(codes)
    n_groups, Q = int(codes.max()) + 1, loading.shape[1]
    mean, covariance = np.zeros((n_groups, Q)), np.tile(np.eye(Q), (n_groups, 1, 1))
    out = np.empty(len(residual))
    first = np.concatenate([[0], np.cumsum(np.bincount(place))])
    by_place = order[np.argsort(place[order], kind="stable")]
    for begin, end in zip(first[:-1], first[1:], strict=True):
        rows = by_place[begin:end]  # one row of each group that has so many
        group, z = codes[rows], loading[rows]
        known = np.einsum("gij,gj->gi", covariance[group], z)
        error = np.einsum("gi,gi->g", z, known) + variance[rows]
        surprise = residual[rows] - np.einsum("gi,gi->g", z, mean[group])
        mean[group] += known * (surprise / error)[:, None]
        covariance[group] -= known[:, :, None] * known[:, None, :] / error[:, None, None]
        out[rows] = surprise / np.sqrt(error)
    return out


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
            f"{largest} rows depend on each other through crossed grouping factors; whitening them would take "
            f'a matrix of that size, which is formed up to {LARGEST_BLOCK}. Use residuals("studentized").'
        )
    out = np.empty(len(residual))
    for rows in (order[row] for block in blocks for row in block):
        factor = np.linalg.cholesky(marginal_covariance(design, record, rows))
        out[rows] = solve_triangular(factor, residual[rows], lower=True, check_finite=False)
    return out
