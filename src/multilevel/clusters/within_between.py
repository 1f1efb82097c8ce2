"""Which part of each column lies within groups, and which between them?

    x_ij = xbar_j + (x_ij - xbar_j)

Sums of squares of the two parts add up to that of x, which is why a pooled slope is a mix of the slopes
within and between groups: with cross-products W and B of the two parts of all columns,

    (W + B) b_total = W b_within + B b_between.

References:
    Raudenbush, S. W. & Bryk, A. S. (2002). Hierarchical Linear Models, 2nd ed., chapter 5. Sage.
    Kreft, I. G. G., de Leeuw, J. & Aiken, L. S. (1995). The effect of different forms of centering in
    hierarchical linear models. Multivariate Behavioral Research 30, 1-21.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes, Mask

LEAST_SHARE = 1e-6  # of a column's sum of squares, below which what lies within (or between) is rounding


@dataclass(frozen=True, slots=True)
class Split:
    """k columns of n rows taken apart by J groups."""

    codes: Codes  # (n,)
    sizes: Array  # (J,) observations in each group
    grand: Array  # (k,) means over observations
    means: Array  # (J, k) means in each group
    within: Array  # (n, k) deviations from the means of the groups
    ss_within: Array  # (k,) sums of squares over observations
    ss_between: Array  # (k,)

    @property
    def n_groups(self) -> int:
        """Number of groups J."""
        return len(self.sizes)

    @property
    def between(self) -> Array:
        """Each row's group mean (n, k)."""
        return np.asarray(self.means[self.codes])

    @property
    def share_between(self) -> Array:
        """Share of each column's sum of squares that lies between groups (k,); NaN for a constant."""
        total = self.ss_within + self.ss_between
        return np.divide(self.ss_between, total, out=np.full_like(total, np.nan), where=total > 0.0)

    @property
    def varies_within(self) -> Mask:
        """Columns (k,) that vary within groups, rounding aside."""
        return np.asarray(self.ss_within > LEAST_SHARE * (self.ss_within + self.ss_between))

    @property
    def varies_between(self) -> Mask:
        """Columns (k,) whose group means differ, rounding aside."""
        return np.asarray(self.ss_between > LEAST_SHARE * (self.ss_within + self.ss_between))


def split_columns(X: Array, codes: Codes, counts: Array | None = None) -> Split:
    """Take columns X (n, k) apart by group; a row counts as often as `counts` (n,) says.

    >>> import numpy as np
    >>> split = split_columns(np.array([[1.0], [3.0], [10.0]]), np.array([0, 0, 1], dtype=np.int32))
    >>> split.means.ravel(), split.within.ravel()
    (array([ 2., 10.]), array([-1.,  1.,  0.]))
    """
    n_groups = int(codes.max()) + 1
    grand = np.average(X, axis=0, weights=counts)
    moved = X - grand  # sums of large numbers lose digits
    sizes = np.bincount(codes, counts, n_groups).astype(np.float64)
    deviations = group_sums(moved, codes, n_groups, counts) / sizes[:, None]
    within = moved - deviations[codes]
    return Split(
        codes=codes,
        sizes=sizes,
        grand=grand,
        means=grand + deviations,
        within=within,
        ss_within=column_squares(within, counts),
        ss_between=column_squares(deviations, sizes),
    )


def group_sums(X: Array, codes: Codes, n_groups: int, counts: Array | None) -> Array:
    """Sum of each column (n, k) over the rows of each group: (J, k)."""
    weighted = X if counts is None else X * counts[:, None]
    return np.stack([np.bincount(codes, column, n_groups) for column in weighted.T], axis=1)


def column_squares(X: Array, counts: Array | None) -> Array:
    """Sum of squares of each column (n, k), each row counted as often as `counts` says."""
    return np.asarray(np.einsum("ij,ij->j", X, X if counts is None else X * counts[:, None]))


def mean_square_matrices(split: Split, counts: Array | None) -> tuple[Array, Array]:
    """Mean squares and products (k, k) between and within groups, as in an analysis of variance."""
    deviations = split.means - split.grand
    between = deviations.T @ (deviations * split.sizes[:, None])
    within = split.within.T @ (split.within if counts is None else split.within * counts[:, None])
    n_obs, n_groups = float(split.sizes.sum()), split.n_groups
    return between / (n_groups - 1), within / max(n_obs - n_groups, 1.0)
