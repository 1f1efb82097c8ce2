"""Does a straight line do? What categories of time find beyond it, and what replicates say.

Draper, N. R. and Smith, H. (1998). Applied Regression Analysis, 3rd ed., section 2.2 (pure error). Wiley.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.clusters.within import varying_within, within_groups, within_lines
from multilevel.design.pairs import distinct_pairs
from multilevel.design.rank import dependent_columns
from multilevel.inference.coefficients import FTest, f_result

NO_SQUARES = 1e-14  # of a response's sum of squares: what rounding leaves of a sum of squares that is zero


@dataclass(frozen=True, slots=True)
class PureError:
    """What a model leaves, split by rows that agree in everything that it knows."""

    lack: float  # sum of squares of means of such rows about the model
    df_lack: float
    pure: float  # sum of squares within such rows
    df_pure: float
    test: FTest
    lines: bool  # whether the model has an own line in time for each group, or an own intercept alone


def restrictions(small: Array, large: Array) -> Array:
    """L (k, p) with L beta = 0 just where the larger X (n, p) beta is a combination of the smaller's columns.

    The smaller column space lies within the larger. Columns are centred, where there is an intercept, and
    scaled first.
    """
    shift, scale = moved(large)
    Q, R = np.linalg.qr((large - shift) / scale)
    A = np.linalg.solve(R, Q.T @ standardised(small))  # the smaller's columns by the larger's
    beyond = np.linalg.svd(A)[0][:, small.shape[1] :].T
    return np.asarray(from_working(beyond, shift, scale))


def moved(X: Array) -> tuple[Array, Array]:
    """What to subtract from each column (p,), zero without an intercept, and what to divide it by."""
    ones = (X == 1.0).all(axis=0)
    shift = np.where(ones, 0.0, X.mean(axis=0)) if ones.any() else np.zeros(X.shape[1])
    return shift, np.sqrt(((X - shift) ** 2).mean(axis=0))


def standardised(X: Array) -> Array:
    """Columns moved and scaled: the same space of means."""
    shift, scale = moved(X)
    return (X - shift) / scale


def from_working(L: Array, shift: Array, scale: Array) -> Array:
    """Restrictions on coefficients of (X - shift) / scale as restrictions on those of X.

    Slopes are multiplied by their scale; the intercept takes up what the shift moved.
    """
    back = np.diag(scale)
    if shift.any():
        one = int(np.flatnonzero((shift == 0.0) & (scale == 1.0))[0])
        back[one] += shift
    return L @ back


def cells(codes: Codes, columns: Array) -> Codes:
    """Number (n,) of the combination of a group and the values of columns (n, k) that each row has."""
    combined = codes
    for column in columns.T:
        values, own = np.unique(column, return_inverse=True)
        n_combined = int(combined.max()) + 1
        _, combined = distinct_pairs(combined, own.astype(np.int32).ravel(), n_combined, len(values))
    return combined


def pure_error(
    y: Array, X: Array, time: Array | None, codes: Codes, weights: Array, counts: Array
) -> PureError | None:
    """Lack of fit of X (n, p) beside a dummy for each group, or an own line in `time` (n,), over pure error.

    `counts` (n,) says how many observations a row is, and is part of its weight. None where no rows agree in
    group and X, or where the model has a parameter for each combination of these.
    """
    n_groups, together = int(codes.max()) + 1, np.column_stack([X, y])
    if time is None:
        rest, n_lines = within_groups(together, codes, weights), 0
    else:
        rest, n_lines = within_lines(together, time, codes, weights)
    kept = identified_within(X, rest[:, :-1])
    root = np.sqrt(weights)
    Q, _ = np.linalg.qr(root[:, None] * rest[:, kept])
    response = root * rest[:, -1]
    left = response - Q @ (Q.T @ response)
    cell = cells(codes, X)
    pure = (weights * within_groups(y[:, None], cell, weights)[:, 0] ** 2).sum()
    df_pure = float(counts.sum() - (cell.max() + 1))
    df_lack = float(counts.sum() - n_groups - n_lines - len(kept)) - df_pure
    if df_pure < 1 or df_lack < 1 or pure <= NO_SQUARES * (response @ response):
        return None
    lack = max(float(left @ left - pure), 0.0)
    test = f_result((lack / df_lack) / (pure / df_pure), df_lack, df_pure)
    return PureError(lack, df_lack, float(pure), df_pure, test, time is not None)


def identified_within(X: Array, rest: Array) -> list[int]:
    """Columns of X (n, p) of which something of its own is left in `rest` (n, p)."""
    varies = np.flatnonzero(varying_within(X, rest))
    dependent = dependent_columns(np.asfortranarray(rest[:, varies]), None)
    return [int(column) for k, column in enumerate(varies) if k not in dependent]
