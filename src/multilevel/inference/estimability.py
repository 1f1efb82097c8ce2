"""Do the data say anything about a linear function of the coefficients?

Where X lost columns that depended on others, a row of the full model matrix is estimable only if it is
orthogonal to the null space of X: then, and only then, every solution of the normal equations gives the same
answer, and the one with the dropped coefficients at zero serves as well as any.

Reference: Searle (1971), Linear Models, section 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array, Frame, Mask
from multilevel.design.design import Design
from multilevel.design.encoder import Encoder

TOLERANCE = 1e-6  # of the lengths involved; columns are dropped at 1e-7 of theirs


@dataclass(frozen=True, slots=True)
class FullColumns:
    """All p + d columns of the fixed part, and how the d that were dropped depend on the others.

    The null space is that of columns which are centred, where the model has an intercept, and of length one:
    rows of X far from zero would otherwise be orthogonal to anything.
    """

    kept: tuple[int, ...]  # the p columns that have coefficients
    intercept: int | None
    centre: Array  # (p + d,) means of the columns; zero without an intercept, and for the intercept itself
    length: Array  # (p + d,) of the centred columns
    null: Array  # (p + d, d) with (centred X / length) null = 0


def full_columns(design: Design, data: Frame) -> FullColumns:
    """How the columns that were dropped depend on those that were kept; d is zero for nearly all fits."""
    kept = design.encoder.kept
    width = full_width(design)
    intercept = design.encoder.sides.intercept_of(0)
    if not design.dropped.columns:
        return FullColumns(kept, intercept, np.zeros(width), np.ones(width), np.zeros((width, 0)))
    encoded = full_encoder(design).encode(data, ())
    X = encoded.X[design.rows[encoded.rows]]
    centre = np.zeros(width) if intercept is None else X.mean(axis=0)
    if intercept is not None:
        centre[intercept] = 0.0
    centred = X - centre
    length = np.linalg.norm(centred, axis=0)
    length[length == 0.0] = 1.0
    independent = kept if intercept is None or intercept in kept else (intercept, *kept)
    return FullColumns(kept, intercept, centre, length, dependencies(centred / length, independent))


def full_encoder(design: Design) -> Encoder:
    """The encoder of the fit, giving also the columns that the fit dropped."""
    return replace(design.encoder, kept=tuple(range(full_width(design))))


def full_width(design: Design) -> int:
    """How many columns the fixed part was coded in: an ordinal model's thresholds stand for the intercept."""
    kept, intercept = design.encoder.kept, design.encoder.sides.intercept_of(0)
    replaced = design.categories != () and intercept is not None and intercept not in kept
    return len(kept) + len(design.dropped.columns) + int(replaced)


def dependencies(X: Array, kept: tuple[int, ...]) -> Array:
    """Columns (p + d, d) that span the null space of X (n, p + d), of which `kept` (p) are independent."""
    dropped = [j for j in range(X.shape[1]) if j not in kept]
    share, *_ = np.linalg.lstsq(X[:, kept], X[:, dropped], rcond=None)
    null = np.zeros((X.shape[1], len(dropped)))
    null[list(kept)] = -share
    null[dropped, range(len(dropped))] = 1.0
    return np.asarray(null / np.linalg.norm(null, axis=0))


def against_null(L: Array, columns: FullColumns) -> tuple[Array, Array]:
    """Products of rows L (k, p + d) with the null space (k, d), and how large they could be (k, 1)."""
    centred = L if columns.intercept is None else L - np.outer(L[:, columns.intercept], columns.centre)
    unit = centred / columns.length
    return unit @ columns.null, np.linalg.norm(unit, axis=1, keepdims=True)


def estimable(L: Array, columns: FullColumns) -> Mask:
    """Which rows of L (k, p + d) the data say something about; never those that are not numbers."""
    known: Mask = np.all(np.isfinite(L), axis=1)
    product, size = against_null(np.where(known[:, None], L, 0.0), columns)
    orthogonal: Mask = np.all(np.abs(product) <= TOLERANCE * size, axis=1)
    return known & orthogonal


def estimable_combinations(L: Array, columns: FullColumns) -> Array:
    """Matrix (r, k) of independent combinations of rows L (k, p + d) that are estimable: I if all are."""
    product, size = against_null(L, columns)
    if (np.abs(product) <= TOLERANCE * size).all():
        return np.eye(len(L))
    left, values, _ = np.linalg.svd(product / size.max(initial=1e-300))
    rank = int(np.count_nonzero(values > TOLERANCE * len(L)))
    return np.asarray(left[:, rank:].T)
