"""What is left within groups? Columns less their means, or lines, of each group.

Least squares with a dummy for each group is least squares of what is left within groups (Frisch and Waugh
1933; Lovell 1963), so that no matrix of dummies is needed.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array, Codes, Mask

VARIES = 1e-10  # share of a column's sum of squares about its mean from which it varies within groups


def group_sums(values: Array, codes: Codes, n_groups: int) -> Array:
    """Sums (J, k) of columns (n, k) within groups."""
    sums = [np.bincount(codes, weights=column, minlength=n_groups) for column in values.T]
    return np.column_stack(sums) if sums else np.empty((n_groups, 0))


def within_groups(columns: Array, codes: Codes, weights: Array) -> Array:
    """Columns (n, k) less their weighted means by group, in Fortran order.

    >>> within_groups(np.array([[1.0], [3.0], [7.0]]), np.array([0, 0, 1], dtype=np.int32), np.ones(3)).T
    array([[-1.,  1.,  0.]])
    """
    total = np.bincount(codes, weights=weights)
    left = np.asfortranarray(columns - columns.mean(axis=0))
    for _ in range(2):  # the second sweep takes out what rounding left of the first
        for k in range(left.shape[1]):
            left[:, k] -= (np.bincount(codes, weights=weights * left[:, k]) / total)[codes]
    return left


def within_lines(columns: Array, time: Array, codes: Codes, weights: Array) -> tuple[Array, int]:
    """Columns (n, k) less a weighted straight line in `time` (n,) by group, and how many lines have a slope.

    In a group where time does not vary the line is the mean.
    """
    (left,) = within_groups(time[:, None], codes, weights).T
    squares = np.bincount(codes, weights=weights * left**2)
    has_slope = squares > VARIES * np.bincount(codes, weights=weights * (time - time.mean()) ** 2)
    inverse = np.divide(1.0, squares, out=np.zeros_like(squares), where=has_slope)
    rest = within_groups(columns, codes, weights)
    for k in range(rest.shape[1]):
        rest[:, k] -= (np.bincount(codes, weights=weights * left * rest[:, k]) * inverse)[codes] * left
    return rest, int(np.count_nonzero(has_slope))


def varying_within(columns: Array, within: Array) -> Mask:
    """Which columns (n, k) vary within groups, by what is left `within` (n, k)."""
    about_mean = ((columns - columns.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray((within**2).sum(axis=0) > VARIES * about_mean)
