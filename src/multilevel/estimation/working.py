"""In which coordinates is a mixed model estimated, and how do its numbers go back to the user's?

Columns of X and y are centred where the constant is in the span of X, and scaled; columns of Z are scaled,
and centred within unstructured terms that have an intercept. None of this changes the model:

    X_w = (X - 1 m') S R^-1,   y_w = (y - k) / s,   Z b = Z_w b_w  with  b = M b_w.

Without it, cross-products lose digits (a year, x = 1e8 + noise, y around 1e12), and the search scales badly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.estimation.centring import Centring, constant_combination
from multilevel.kernels.gaussian import ScaledColumns

SAMPLE = 4096  # rows that shifts and scales are taken from, at most twice as many
SAFE_SQUARES = 1e-200  # a sum of squares above it, and below its inverse, has lost nothing out of range
WELL_CONDITIONED = 1e-8  # reciprocal condition of X_w'X_w down to which cross-products keep half their digits


@dataclass(frozen=True, slots=True)
class WorkingFixed:
    """The fixed-effect columns in working coordinates."""

    columns: ScaledColumns  # what the kernel sees: X itself, or an orthonormal basis of its span
    centring: Centring
    scale: Array  # (p,) S
    triangle: Array | None  # (p, p) upper triangular R of X_w = Q R when the basis is Q, else None

    def back(self, c: Array) -> Array:
        """Coefficients of the centred but unscaled columns, from working ones: (p,) or (p, k)."""
        unrotated = c if self.triangle is None else np.linalg.solve(self.triangle, c)
        return np.asarray((self.scale * unrotated.T).T)

    def coefficients(self, c: Array, response: WorkingResponse) -> Array:
        """beta of the user's X, from working coefficients."""
        return self.centring.coefficients(self.back(c) / response.scale, response.shift)

    def jacobian(self) -> Array:
        """d beta / d c, up to the response's scale: (p, p)."""
        back = np.diag(self.scale) if self.triangle is None else self.back(np.eye(len(self.scale)))
        one = self.centring.one
        return back if one is None else back - np.outer(one, self.centring.shift @ back)

    @property
    def log_det(self) -> float:
        """log |det| of the map from the user's columns to the working ones."""
        rotation = 0.0 if self.triangle is None else float(np.log(np.abs(np.diag(self.triangle))).sum())
        return float(np.log(self.scale).sum()) - rotation


@dataclass(frozen=True, slots=True)
class WorkingResponse:
    """y_w = (y - shift) * scale."""

    shift: float
    scale: float


@dataclass(frozen=True, slots=True)
class WorkingTerm:
    """Shift and scale of a term's columns, and the map b = M b_w."""

    shift: Array  # (q,)
    scale: Array  # (q,)
    back: Array  # (q, q) M


def sample_rows(n: int) -> slice:
    """Rows that shifts and scales are taken from: any fixed shift serves, so a few thousand will do."""
    return slice(None, None, max(1, n // SAMPLE))


def sample_mean(columns: Array, weights: Array | None) -> Array:
    """Mean of each column over the sampled rows: (k,)."""
    rows = sample_rows(len(columns))
    if weights is None:
        sample = columns[rows]
        return np.asarray(np.add.reduce(sample, axis=0) / len(sample))
    return np.asarray(np.average(columns[rows], axis=0, weights=weights[rows]))


def typical_size(columns: Array, shift: Array) -> Array:
    """Root mean square of each column about its shift: (k,), 1 where a column is all zero."""
    rows = sample_rows(len(columns))
    size = root_mean_square(columns[rows] - shift)
    if size.all():
        return size
    for j in np.flatnonzero(size == 0.0):  # a rare indicator may be missing from the sample
        size[j] = root_mean_square(columns[:, [j]] - shift[j])[0]
    return np.where(size > 0.0, size, 1.0)


def root_mean_square(columns: Array) -> Array:
    """Per column: (k,), safe from overflow."""
    squares = np.einsum("ij,ij->j", columns, columns)
    if within(SAFE_SQUARES, squares, 1.0 / SAFE_SQUARES):
        return np.asarray(np.sqrt(squares / len(columns)))
    largest = np.abs(columns).max(axis=0)
    unit = columns / np.where(largest > 0.0, largest, 1.0)
    return np.asarray(largest * np.sqrt((unit * unit).mean(axis=0)))


def within(low: float, values: Array, high: float) -> bool:
    """Whether all of a few numbers lie between two limits."""
    numbers = values.tolist()
    return not numbers or (low < min(numbers) and max(numbers) < high)


def scaled_fixed(X: Array, weights: Array | None) -> WorkingFixed:
    """X centred where the constant is in its span, and scaled."""
    one = constant_combination(X)
    shift = np.zeros(X.shape[1])
    if one is not None:
        shift = np.where(one == 0.0, sample_mean(X, weights), 0.0)
    scale = 1.0 / typical_size(X, shift)
    return WorkingFixed(ScaledColumns(X, shift, scale), Centring(shift, one), scale, None)


def orthonormal_fixed(X: Array, plain: WorkingFixed, weights: Array | None) -> WorkingFixed:
    """The same span by an orthonormal basis, for columns that are nearly collinear."""
    columns = (X - plain.columns.shift) * plain.scale
    size = np.sqrt(len(X) if weights is None else weights.sum())
    root = 1.0 if weights is None else np.sqrt(weights)[:, None]
    orthonormal, triangle = np.linalg.qr(root * columns)
    basis = np.asfortranarray(orthonormal * size / root)
    p = X.shape[1]
    working = ScaledColumns(basis, np.zeros(p), np.ones(p))
    return WorkingFixed(working, plain.centring, plain.scale, triangle / size)


def nearly_collinear(crossproduct: Array) -> bool:
    """Whether half the digits of a column would be lost in X'WX (p, p)."""
    if len(crossproduct) < 2:
        return False
    squares = crossproduct.diagonal().tolist()
    if 0.0 in squares:
        return True
    if len(squares) == 2:
        r = abs(float(crossproduct[0, 1])) / math.sqrt(squares[0] * squares[1])
        return 1.0 - r < WELL_CONDITIONED * (1.0 + r)  # the eigenvalues of two columns
    root = np.sqrt(squares)
    eigenvalues = np.linalg.eigvalsh(crossproduct / (root[:, None] * root)).tolist()
    return bool(eigenvalues[0] < WELL_CONDITIONED * eigenvalues[-1])


def working_response(y: Array, weights: Array | None, centred: bool) -> WorkingResponse:
    """Scale y to unit size, about its mean if the constant is in the span of X."""
    shift = sample_mean(y[:, None], weights) if centred else np.zeros(1)
    return WorkingResponse(float(shift[0]), float(1.0 / typical_size(y[:, None], shift)[0]))


def working_term(term: RandomTerm, weights: Array | None) -> WorkingTerm:
    """Scale a term's columns; centre them too if an unstructured intercept can take up the shift."""
    intercept = intercept_column(term)
    shift = np.zeros(term.n_columns)
    if term.structure == "us" and intercept is not None and term.n_columns > 1:
        shift = sample_mean(term.Z, weights)
        shift[intercept] = 0.0
    scale = 1.0 / typical_size(term.Z, shift)
    if term.hom:
        scale = np.full(term.n_columns, np.exp(np.log(scale).mean()))
    back = np.diag(scale)
    if intercept is not None:
        back[intercept] -= shift * scale
    return WorkingTerm(shift, scale, back)


def intercept_column(term: RandomTerm) -> int | None:
    """The term's column of ones, if it has one."""
    return next((j for j, column in enumerate(term.Z.T) if is_one(column)), None)


def is_one(column: Array) -> bool:
    """Whether a column holds ones only (a glance at the first rows settles most)."""
    return bool((column[:8] == 1.0).all() and (column == 1.0).all())


def effective_weights(design: Design) -> Array | None:
    """Precision weight times count of each row: what multiplies its squared residual."""
    if design.weights is None or design.freq_weights is None:
        return design.weights if design.freq_weights is None else design.freq_weights
    return design.weights * design.freq_weights
