"""Is one model a special case of another? What a likelihood-ratio test needs to be one.

The smaller model's fixed part must lie in the column space of the larger one's, and each of its covariances
of random effects among those that the larger one can have.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.design import Design, RandomTerm
from multilevel.design.pairs import distinct_pairs

IN_SPAN = 1e-10  # length, relative to the whole, of what rounding leaves outside a column space


def lies_within(small: Design, large: Design) -> bool:
    """Whether the larger model can take every mean and covariance that the smaller one can; same rows."""
    return (
        np.array_equal(precision(small), precision(large))
        and fixed_lies_within(small, large)
        and all(any(covers(large, big, small, term) for big in large.terms) for term in small.terms)
    )


def same_fixed_part(one: Design, other: Design) -> bool:
    """Whether two models can take the same means."""
    return fixed_lies_within(one, other) and fixed_lies_within(other, one)


def fixed_lies_within(small: Design, large: Design) -> bool:
    """Whether X beta + offset of the smaller model can be written as that of the larger one."""
    difference = (offset(small) - offset(large))[:, None]
    return spans(large.X, np.hstack([small.X, difference]))


def spans(basis: Array, columns: Array) -> bool:
    """Whether each of `columns` (n, k) is a combination of those of `basis` (n, p), by their lengths."""
    columns = columns[:, [not repeats(column, basis) for column in columns.T]]
    if not columns.any():
        return True
    Q, _ = np.linalg.qr(basis / np.maximum(lengths(basis), np.finfo(np.float64).tiny))
    rest = columns - Q @ (Q.T @ columns)
    return bool((lengths(rest) <= IN_SPAN * lengths(columns)).all())


def repeats(column: Array, basis: Array) -> bool:
    """Whether a column (n,) stands among those of `basis` (n, p) as it is, which is quickly told."""
    few = slice(0, 8)
    return any(np.array_equal(column[few], other[few]) and np.array_equal(column, other) for other in basis.T)


def lengths(columns: Array) -> Array:
    """Euclidean length of each column."""
    return np.asarray(np.sqrt((columns**2).sum(axis=0)))


def covers(large: Design, big: RandomTerm, small: Design, term: RandomTerm) -> bool:
    """Whether the covariance of `big` can be made to equal any that `term` has, or its part of it."""
    if not same_groups(large.groupings[big.grouping].codes, small.groupings[term.grouping].codes):
        return covers_cells(large, big, small, term)
    if big.structure == "us" or big.n_columns == 1:
        return spans(big.Z, term.Z)
    same_columns = big.names == term.names and np.array_equal(big.Z, term.Z)
    some_columns = set(term.names) <= set(big.names) and spans(big.Z, term.Z)
    columns_fit = some_columns if is_diagonal(term) and not big.hom else same_columns
    return columns_fit and structure_lies_within(term, big)


def covers_cells(large: Design, big: RandomTerm, small: Design, term: RandomTerm) -> bool:
    """Whether effects of cells `g:f` are special effects of `f` that vary over `g`, as in `(0 + f | g)`."""
    groups = large.groupings[big.grouping].codes
    return big.structure == "us" and any(
        same_groups(groups, outer)
        and (inner.max() + 1) * term.n_columns <= big.n_columns
        and spans(big.Z, within_levels(term.Z, inner))
        for outer, inner in cell_factors(small, term.grouping)
    )


def cell_factors(design: Design, grouping: int) -> list[tuple[Codes, Codes]]:
    """The factors (n,), (n,) whose cells are the levels of an interaction, either way round; else none."""
    coder, codes = design.encoder.groups[grouping], design.groupings[grouping].codes
    if not coder.keys:
        return []
    first, last = (part.astype(np.int32)[codes] for part in np.divmod(coder.keys[-1], len(coder.labels[-1])))
    return [(first, last), (last, first)]


def within_levels(Z: Array, codes: Codes) -> Array:
    """The columns of Z (n, q) in each level of a factor, zero in the others: (n, J q)."""
    return np.hstack([Z * (codes == level)[:, None] for level in np.unique(codes)])


def same_groups(one: Codes, other: Codes) -> bool:
    """Whether two factors put the same rows together, whatever the numbers of their levels."""
    n_pairs = len(distinct_pairs(one, other, int(one.max()) + 1, int(other.max()) + 1)[0])
    return n_pairs == len(np.unique(one)) == len(np.unique(other))


def structure_lies_within(term: RandomTerm, big: RandomTerm) -> bool:
    """Whether the family of one structure holds that of the other, over the same columns."""
    return (is_diagonal(term) or term.structure == big.structure) and (term.hom or not big.hom)


def is_diagonal(term: RandomTerm) -> bool:
    """Whether a term has no correlations."""
    return term.structure == "diag" or term.n_columns == 1


def precision(design: Design) -> Array:
    """Precision weight of each row (n,)."""
    return np.ones(design.n_rows) if design.weights is None else design.weights


def offset(design: Design) -> Array:
    """Offset of each row (n,)."""
    return np.zeros(design.n_rows) if design.offset is None else design.offset
