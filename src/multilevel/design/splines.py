"""Spline bases of a column, as R has them: `bs` (B-splines) and `ns` (natural cubic splines).

Knots are learned from the data of the fit. Beyond the boundary knots `bs` continues its outermost
polynomials, `ns` its straight lines.

Reference: de Boor (2001), A Practical Guide to Splines, chapters IX and X; Hastie and Tibshirani (1990),
Generalized Additive Models, section 2.10 (natural splines).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from formulaic.materializers.types import FactorValues

from multilevel._typing import Array
from multilevel.errors import DataError

Index = npt.NDArray[np.intp]


def bs(
    x: Array,
    df: int | None = None,
    knots: Sequence[float] | None = None,
    degree: int = 3,
    *,
    intercept: bool = False,
    Boundary_knots: Sequence[float] | None = None,
    _state: dict[str, Any],
) -> FactorValues[Array]:
    """B-spline basis (n, df) of a column."""
    free = None if df is None else df - degree - int(intercept)
    _learn_knots(x, knots, free, Boundary_knots, _state)
    padded = _padded(_state["knots"], _state["boundary"], degree)
    basis = bspline_basis(x, padded, degree)
    return _named(basis if intercept else basis[:, 1:])


def ns(
    x: Array,
    df: int | None = None,
    knots: Sequence[float] | None = None,
    *,
    intercept: bool = False,
    Boundary_knots: Sequence[float] | None = None,
    _state: dict[str, Any],
) -> FactorValues[Array]:
    """Natural cubic spline basis (n, df) of a column: straight beyond its boundary knots."""
    free = None if df is None else df - 1 - int(intercept)
    _learn_knots(x, knots, free, Boundary_knots, _state)
    boundary = np.asarray(_state["boundary"], dtype=np.float64)
    padded = _padded(_state["knots"], _state["boundary"], 3)
    first = 0 if intercept else 1
    curvature = bspline_basis(boundary, padded, 3, derivative=2)[:, first:]
    return _named(_straight_outside(x, boundary, padded)[:, first:] @ _null_space(curvature))


def bspline_basis(x: Array, knots: Array, degree: int, derivative: int = 0) -> Array:
    """Values (n, m) of the m B-splines on padded knots, or of their derivatives."""
    interval = np.clip(np.searchsorted(knots, x, side="right") - 1, degree, len(knots) - degree - 2)
    return _derivative(x, knots, degree, derivative, interval)


def _derivative(x: Array, knots: Array, degree: int, order: int, interval: Index) -> Array:
    """Differentiate by differences of splines one degree lower (de Boor, X.15)."""
    if order == 0:
        return _values(x, knots, degree, interval)
    lower = _derivative(x, knots, degree - 1, order - 1, interval)
    span = knots[degree : degree + lower.shape[1]] - knots[: lower.shape[1]]
    scaled = degree * lower * np.divide(1.0, span, out=np.zeros_like(span), where=span > 0)
    difference: Array = scaled[:, :-1] - scaled[:, 1:]
    return difference


def _values(x: Array, knots: Array, degree: int, interval: Index) -> Array:
    """The degree + 1 splines that live on each x's interval, by their recurrence (de Boor, X.14)."""
    local = np.zeros((degree + 1, len(x)))
    local[0] = 1.0
    for k in range(1, degree + 1):
        saved = np.zeros(len(x))
        for r in range(k):
            right, left = knots[interval + r + 1], knots[interval + 1 - k + r]
            share = local[r] / (right - left)
            local[r] = saved + (right - x) * share
            saved = (x - left) * share
        local[k] = saved
    basis = np.zeros((len(x), len(knots) - degree - 1))
    np.put_along_axis(basis, interval[:, None] - degree + np.arange(degree + 1), local.T, axis=1)
    return basis


def _straight_outside(x: Array, boundary: Array, padded: Array) -> Array:
    """Cubic B-splines that continue as straight lines outside the boundary knots."""
    inside = np.clip(x, *boundary)
    basis = bspline_basis(inside, padded, 3)
    outside = np.flatnonzero(x != inside)
    slope = bspline_basis(inside[outside], padded, 3, derivative=1)
    basis[outside] += (x - inside)[outside, None] * slope
    return basis


def _null_space(constraints: Array) -> Array:
    """Orthonormal columns on which the constraints vanish, by Householder reflections."""
    q, _ = np.linalg.qr(constraints.T, mode="complete")
    null: Array = q[:, len(constraints) :]
    return null


def _learn_knots(
    x: Array,
    knots: Sequence[float] | None,
    free: int | None,
    boundary: Sequence[float] | None,
    state: dict[str, Any],
) -> None:
    """Keep the knots of the fit: as given, or at quantiles of the values inside the boundary."""
    if "knots" in state:
        return
    low, high = (float(np.min(x)), float(np.max(x))) if boundary is None else sorted(map(float, boundary))
    if knots is None:
        if free is not None and free < 0:
            raise DataError(f"a spline with these options needs at least {-free} more degrees of freedom.")
        inside = x[(x >= low) & (x <= high)]
        knots = np.quantile(inside, np.linspace(0, 1, (free or 0) + 2)[1:-1]).tolist()
    state["knots"] = sorted(map(float, knots if isinstance(knots, Sequence) else [knots]))
    state["boundary"] = (low, high)


def _padded(knots: list[float], boundary: tuple[float, float], degree: int) -> Array:
    """Interior knots between boundary knots repeated degree + 1 times."""
    low, high = boundary
    return np.array([low] * (degree + 1) + knots + [high] * (degree + 1))


def _named(basis: Array) -> FactorValues[Array]:
    return FactorValues(basis, column_names=tuple(str(i + 1) for i in range(basis.shape[1])))
