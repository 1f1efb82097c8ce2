"""Which columns of X say nothing that earlier columns have not said?

A column is dropped, as R does, when less than a ten-millionth of it is left after projection on the
columns before it. Lengths are measured about the mean when the constant is in the span of X: a column
such as 1e8 + noise is no copy of the intercept. A Gram matrix settles almost all cases in one pass
over the rows; only what it finds close is looked at by a QR decomposition.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array

TOLERANCE = 1e-7  # R's: relative length of what is left of a column
_CLOSE = 1e-4  # below this relative length a Gram matrix, with its squared errors, is not trusted
_ROUNDING = 64 * np.finfo(np.float64).eps
_ROWS_AT_ONCE = 4096  # few enough to stay in cache


def independent_columns(X: Array, intercept: int | None) -> tuple[int, ...]:
    """Indices of the columns (n, p) to keep; `intercept` is the index of a column of ones, if there is one."""
    dependent = dependent_columns(X, intercept)
    return tuple(j for j in range(X.shape[1]) if j not in dependent)


def take_columns(X: Array, kept: tuple[int, ...]) -> Array:
    """Those columns of X in Fortran order; X itself when they are all."""
    return X if len(kept) == X.shape[1] else np.asfortranarray(X[:, kept])


def dependent_columns(X: Array, intercept: int | None) -> tuple[int, ...]:
    """Indices of the columns (n, p) that depend on earlier ones; `intercept` is the constant column's index.

    >>> x = np.arange(5.0)
    >>> dependent_columns(np.column_stack([np.ones(5), x, 3 * x + 1]), intercept=0)
    (2,)
    """
    if _clearly_independent(X, intercept):
        return ()
    if intercept is not None:
        others = [j for j in range(X.shape[1]) if j != intercept]
        return tuple(others[j] for j in _dependent_about_mean(X[:, others]))
    if not _spans_constant(X):
        return _dependent(X, np.zeros(X.shape[1]))
    dependent = _dependent_about_mean(X)
    brings_constant = next((j for j in dependent if _spans_constant(X[:, : j + 1])), None)
    return tuple(j for j in dependent if j != brings_constant)


def _clearly_independent(X: Array, intercept: int | None) -> bool:
    """Whether each column keeps a fair part of its length beside those before it."""
    n, p = X.shape
    if p == 0 or n < p:
        return p == 0
    centre = X.mean(axis=0) if intercept is not None else np.zeros(p)
    gram = _gram(X, centre)
    if intercept is not None:
        gram = np.delete(np.delete(gram, intercept, axis=0), intercept, axis=1)
        centre = np.delete(centre, intercept)
    length = np.sqrt(np.diag(gram))
    if not (length > _ROUNDING * np.sqrt(n) * np.abs(centre)).all():
        return False
    try:
        pivots = np.diag(np.linalg.cholesky(gram / np.outer(length, length)))
    except np.linalg.LinAlgError:
        return False
    return bool((pivots > _CLOSE).all()) and bool((length > 0).all())


def _gram(X: Array, centre: Array) -> Array:
    """Sums of squares and products about `centre`, a few rows at a time."""
    gram = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), _ROWS_AT_ONCE):
        block = X[start : start + _ROWS_AT_ONCE] - centre
        gram += block.T @ block
    return gram


def _dependent_about_mean(X: Array) -> tuple[int, ...]:
    return _dependent(X, X.mean(axis=0))


def _dependent(X: Array, centre: Array) -> tuple[int, ...]:
    """Columns that depend on earlier ones, each measured about its centre and to its own length."""
    n = len(X)
    centred = X - centre
    length = np.linalg.norm(centred, axis=0)
    noise = _ROUNDING * np.sqrt(n) * np.abs(X).max(axis=0, initial=0.0)  # what rounding alone leaves
    empty = length <= noise
    unit = np.where(empty, 1.0, length)
    tolerance = np.maximum(TOLERANCE, noise / unit)
    triangle = np.linalg.qr(centred / unit, mode="r")
    return _dependent_in_order(triangle, np.where(empty, np.inf, tolerance))


def _dependent_in_order(unit_columns: Array, tolerance: Array) -> tuple[int, ...]:
    """Gram-Schmidt, twice for accuracy, leaving out what nothing is left of."""
    basis = np.empty((len(unit_columns), 0))
    dependent: list[int] = []
    for j, column in enumerate(unit_columns.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        length = float(np.linalg.norm(rest))
        if length <= tolerance[j]:
            dependent.append(j)
        else:
            basis = np.column_stack([basis, rest / length])
    return tuple(dependent)


def _spans_constant(X: Array) -> bool:
    """Whether some combination of the columns is 1 in every row."""
    length = np.linalg.norm(X, axis=0)
    scaled = X / np.where(length > 0, length, 1.0)
    ones = np.ones(len(X))
    weights, *_ = np.linalg.lstsq(scaled, ones, rcond=None)
    return bool(np.abs(scaled @ weights - ones).max() < TOLERANCE)
