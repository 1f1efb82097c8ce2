"""Which columns of X say nothing that earlier columns have not said?

A column is dropped, as R does, when less than a ten-millionth of it is left after projection on the
columns before it. Lengths are measured about the mean when the constant is in the span of X: a column
such as 1e8 + noise is no copy of the intercept. Cross-products settle almost all cases, those of a
sample of the rows first, since what is independent there is independent everywhere; only what they
find close is looked at by a QR decomposition.

Reference: Golub and Van Loan (2013), Matrix Computations, sections 5.2 (Gram-Schmidt, QR) and 5.5.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.design.scale import LARGEST, SMALLEST, moderated

TOLERANCE = 1e-7  # R's: relative length of what is left of a column
_CONSTANT_TOLERANCE = 1e-11  # indicators add up to 1 to rounding; 1e8 + noise only nearly does
_CLOSE = 1e-4  # below this relative length cross-products, with their squared errors, are not trusted
_ROUNDING = 64 * np.finfo(np.float64).eps
_NO_CONSTANT = 1e-10  # beside the means that it is a difference of: what rounding makes of zero
_ROWS_SAMPLED = 10_000
_ROWS_AT_ONCE = 4096  # few enough to stay in cache


def independent_columns(X: Array, intercept: int | None) -> tuple[int, ...]:
    """Indices of the columns (n, p) to keep; `intercept` is the index of a column of ones, if any."""
    dependent = dependent_columns(X, intercept)
    return tuple(j for j in range(X.shape[1]) if j not in dependent)


def take_columns(X: Array, kept: tuple[int, ...]) -> Array:
    """Those columns of X in Fortran order; X itself when they are all."""
    return X if len(kept) == X.shape[1] else np.asfortranarray(X[:, kept])


def dependent_columns(X: Array, intercept: int | None) -> tuple[int, ...]:
    """Indices of the columns (n, p) that depend on earlier ones.

    >>> x = np.arange(5.0)
    >>> dependent_columns(np.column_stack([np.ones(5), x, 3 * x + 1]), intercept=0)
    (2,)
    """
    about_mean = intercept is not None
    others = [j for j in range(X.shape[1]) if j != intercept]
    varying = X[:, 1:] if intercept == 0 else X[:, others]
    sample = varying[:: max(1, len(X) // _ROWS_SAMPLED)]
    if _clearly_independent(varying, sample, about_mean):
        return ()
    if len(sample) < len(X) and _clearly_independent(varying, varying, about_mean):
        return ()
    varying = moderated(varying)
    dependent = _dependent(varying, about_mean) if about_mean else _dependent_without_intercept(varying)
    return tuple(others[j] for j in dependent)


def dropped_as_kept(X: Array, kept: tuple[int, ...], intercept: int | None) -> Array | None:
    """The columns of X (n, p + k) not among the p kept, as combinations (p, k) of these; None if k = 0.

    >>> x = np.arange(5.0)
    >>> dropped_as_kept(np.column_stack([np.ones(5), x, 3 * x + 1]), (0, 1), intercept=0).round(9)
    array([[1.],
           [3.]])
    """
    dropped = [j for j in range(X.shape[1]) if j not in kept]
    if not dropped:
        return None
    varying = [j for j in kept if j != intercept]
    columns = X[:, [*varying, *dropped]]
    mean = columns.mean(axis=0) if intercept is not None else np.zeros(columns.shape[1])
    spread = np.abs(columns - mean).max(axis=0)
    size = np.where(spread > 0, spread, 1.0)
    triangle = _triangle(columns / size, mean / size)
    q = len(varying)
    slopes = np.asarray(np.linalg.lstsq(triangle[:, :q], triangle[:, q:], rcond=None)[0], dtype=np.float64)
    slopes[np.abs(slopes) < TOLERANCE] = 0.0  # dependence is not known any better
    slopes *= size[q:] / size[:q, None]
    return slopes if intercept is None else _with_constant(slopes, mean, kept.index(intercept))


def _with_constant(slopes: Array, mean: Array, at: int) -> Array:
    """Combinations of the centred columns (q, k) as those of the columns and the constant: (q + 1, k)."""
    q = len(slopes)
    constant = mean[q:] - mean[:q] @ slopes
    rounding = _NO_CONSTANT * (np.abs(mean[q:]) + np.abs(mean[:q]) @ np.abs(slopes))
    return np.insert(slopes, at, np.where(np.abs(constant) <= rounding, 0.0, constant), axis=0)


def _clearly_independent(X: Array, rows: Array, about_mean: bool) -> bool:
    """Whether, in some of its rows alone, each column keeps a fair part of its length over all rows."""
    n, p = X.shape
    if p == 0 or len(rows) <= p:
        return bool(p == 0)
    with np.errstate(over="ignore", invalid="ignore"):  # squares out of range are sent to the QR, scaled
        centre = np.add.reduce(rows, axis=0) / len(rows) if about_mean else np.zeros(p)
        gram = _cross_products(rows, centre)
    length = np.sqrt(gram.diagonal())
    if not all(SMALLEST <= each <= LARGEST for each in length.tolist()):
        return False
    if (length <= _ROUNDING * np.sqrt(n) * np.abs(centre)).any():  # constant
        return False
    left = _left_by_earlier(gram / (length[:, None] * length))
    if left is None or not left.min() > _CLOSE:
        return False
    return len(rows) == n or bool((left * length > 10 * TOLERANCE * _length_at_most(X, centre)).all())


def _left_by_earlier(correlation: Array) -> Array | None:
    """What projection on earlier columns leaves of each length (p,); None if of one nothing is left."""
    if len(correlation) == 1:
        return np.ones(1)
    try:
        return np.asarray(np.linalg.cholesky(correlation).diagonal(), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None


def _length_at_most(X: Array, centre: Array) -> Array:
    """A bound of the length of each column about `centre` (p,), without a copy of the columns."""
    reach = np.maximum(X.max(axis=0) - centre, centre - X.min(axis=0))
    bound: Array = np.sqrt(len(X)) * reach
    return bound


def _cross_products(X: Array, centre: Array) -> Array:
    """Sums of squares and products about `centre`, a few rows at a time."""
    total = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), _ROWS_AT_ONCE):
        block = X[start : start + _ROWS_AT_ONCE] - centre
        total += block.T @ block
    return total


def _dependent_without_intercept(X: Array) -> tuple[int, ...]:
    """The same where 1 may be in the span all the same, as with one indicator a level.

    About the mean, the column that brings 1 into the span looks dependent; it is not.
    """
    if not _spans_constant(X):
        return _dependent(X, about_mean=False)
    dependent = _dependent(X, about_mean=True)
    brings_constant = next((j for j in dependent if _spans_constant(X[:, : j + 1])), None)
    return tuple(j for j in dependent if j != brings_constant)


def _dependent(X: Array, about_mean: bool) -> tuple[int, ...]:
    """Columns that depend on earlier ones, each measured against its own length."""
    n, p = X.shape
    triangle = _triangle(X, X.mean(axis=0) if about_mean else np.zeros(p))
    length = np.linalg.norm(triangle, axis=0)
    noise = _ROUNDING * np.sqrt(n) * np.abs(X).max(axis=0, initial=0.0)  # what rounding alone leaves
    empty = length <= noise
    unit = np.where(empty, 1.0, length)
    tolerance = np.where(empty, np.inf, np.maximum(TOLERANCE, noise / unit))
    return _dependent_in_order(triangle / unit, tolerance)


def _triangle(X: Array, centre: Array) -> Array:
    """R (at most p, p) of the QR decomposition of X - centre, by blocks of rows."""
    triangle = np.empty((0, X.shape[1]))
    for start in range(0, len(X), _ROWS_AT_ONCE):
        block = X[start : start + _ROWS_AT_ONCE] - centre
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, block]), mode="r"))
    return triangle


def _dependent_in_order(columns: Array, tolerance: Array) -> tuple[int, ...]:
    """Gram-Schmidt on columns of length 1, twice for accuracy, leaving out what nothing is left of."""
    basis = np.empty((len(columns), 0))
    dependent: list[int] = []
    for j, column in enumerate(columns.T):
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
    n, p = X.shape
    triangle = _triangle(np.column_stack([X, np.ones(n)]), np.zeros(p + 1))
    length = np.linalg.norm(triangle, axis=0)
    unit = triangle / np.where(length > 0, length, 1.0)
    return p in _dependent_in_order(unit, np.full(p + 1, _CONSTANT_TOLERANCE))
