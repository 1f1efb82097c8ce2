"""In which coordinates is a mixed model estimated, and how do its numbers go back to the user's?

Columns of X and y are centred where the constant is in the span of X, and scaled; columns of Z are scaled, and
centred within unstructured terms that have an intercept. None of this changes the model:

    X_w = (X - 1 m') S R^-1,   y_w = (y - k) / s,   Z b = Z_w b_w  with  b = M b_w.

Without it, cross-products lose digits (a year, x = 1e8 + noise, y around 1e12) and the search is badly scaled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.estimation.centring import Centring, centre
from multilevel.kernels.gaussian import ScaledColumns

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
        return self.centring.contrasts(np.eye(len(self.scale))) @ self.back(np.eye(len(self.scale)))

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


def root_mean_square(columns: Array, weights: Array | None) -> Array:
    """Per column: (k,), 1 where a column is zero."""
    total = len(columns) if weights is None else weights.sum()
    mean = (columns * columns).sum(axis=0) if weights is None else weights @ (columns * columns)
    rms = np.sqrt(mean / total)
    return np.where(rms > 0.0, rms, 1.0)


def working_fixed(X: Array, weights: Array | None) -> WorkingFixed:
    """Centre and scale X; replace it by an orthonormal basis if its columns are nearly collinear."""
    centring = centre(X, weights)
    p = X.shape[1]
    centred = centring.columns(X)
    scale = 1.0 / root_mean_square(centred, weights)
    working = ScaledColumns(X, centring.shift, scale)
    if p == 0 or reciprocal_condition(centred * scale, weights) > WELL_CONDITIONED:
        return WorkingFixed(working, centring, scale, None)
    size = np.sqrt(len(X) if weights is None else weights.sum())
    root = 1.0 if weights is None else np.sqrt(weights)[:, None]
    orthonormal, triangle = np.linalg.qr(root * (centred * scale))
    basis = np.asfortranarray(orthonormal * size / root)
    return WorkingFixed(ScaledColumns(basis, np.zeros(p), np.ones(p)), centring, scale, triangle / size)


def reciprocal_condition(columns: Array, weights: Array | None) -> float:
    """Smallest over largest eigenvalue of the columns' cross-products."""
    gram = columns.T @ (columns if weights is None else weights[:, None] * columns)
    eigenvalues = np.linalg.eigvalsh(gram)
    return float(eigenvalues[0] / eigenvalues[-1])


def working_response(y: Array, weights: Array | None, centred: bool) -> WorkingResponse:
    """Scale y to unit size, about its mean if the constant is in the span of X."""
    shift = float(np.average(y, weights=weights)) if centred else 0.0
    return WorkingResponse(shift, float(1.0 / root_mean_square((y - shift)[:, None], weights)[0]))


def working_term(term: RandomTerm, weights: Array | None) -> WorkingTerm:
    """Scale a term's columns; centre them too if an unstructured intercept can take up the shift."""
    intercept = intercept_column(term)
    shift = np.zeros(term.n_columns)
    if term.structure == "us" and intercept is not None:
        shift = np.average(term.Z, axis=0, weights=weights)
        shift[intercept] = 0.0
    scale = 1.0 / root_mean_square(term.Z - shift, weights)
    if term.hom:
        scale = np.full(term.n_columns, np.exp(np.log(scale).mean()))
    back = np.diag(scale)
    if intercept is not None:
        back[intercept] -= shift * scale
    return WorkingTerm(shift, scale, back)


def intercept_column(term: RandomTerm) -> int | None:
    """The term's column of ones, if it has one."""
    return next((j for j in range(term.n_columns) if (term.Z[:, j] == 1.0).all()), None)


def effective_weights(design: Design) -> Array | None:
    """Precision weight times count of each row: what multiplies its squared residual."""
    if design.weights is None or design.freq_weights is None:
        return design.weights if design.freq_weights is None else design.freq_weights
    return design.weights * design.freq_weights
