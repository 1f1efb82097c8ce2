"""How uncertain are coefficients when errors are alike within firms, and within years too?

Two rows count as related if they share a cluster in any of the ways. Inclusion and exclusion says how the
sum over related pairs comes from one-way variances: for two ways, V(a) + V(b) - V(a and b), each with the
small-sample factor of its own clustering.

References:
    Cameron, A. C., Gelbach, J. B. & Miller, D. L. (2011). Robust inference with multiway clustering. Journal
    of Business & Economic Statistics 29, 238-249.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import reduce
from itertools import combinations

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Grouping
from multilevel.design.pairs import distinct_pairs
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.inference.sandwich import ScoredRows, cr_variance, refuse_one_cluster
from multilevel.inference.variance import Variance

MULTIWAY_KINDS = ("CR0", "CR1", "CR1S")
MENDED = (
    "The variance for several ways of clustering had negative eigenvalues, which were put to zero "
    "(Cameron, Gelbach and Miller 2011)."
)
ROUNDING = 1e-12  # a negative eigenvalue beside the largest that is no more than rounding


def multiway_variance(rows: ScoredRows, ways: Sequence[Grouping], kind: str) -> Variance:
    """Variance CR0, CR1 or CR1S for clusters in several ways; t on one df fewer than the fewest clusters.

    The difference of variances need not be a variance. Where it has negative eigenvalues, these are put to
    zero (Cameron, Gelbach and Miller 2011, section 2.3), in the basis of the fit, so that units of
    measurement do not matter; a warning and the result say so.
    """
    refuse_other_kinds(kind, ways)
    for way in ways:
        refuse_one_cluster(way)
    core = np.zeros((rows.n_coefficients, rows.n_coefficients))
    for size in range(1, len(ways) + 1):
        for some in combinations(ways, size):
            core -= (-1.0) ** size * cr_variance(rows, reduce(intersection, some), kind).core
    fewest = min(way.n_levels for way in ways)
    name = " and ".join(way.name for way in ways)
    mended, changed = positive_part(core)
    if changed:
        warnings.warn(MENDED, MultilevelWarning, stacklevel=2)
    return Variance(kind, mended, fewest - 1.0, name, fewest, ways=clusters_by_way(ways), mended=changed)


def clusters_by_way(ways: Sequence[Grouping]) -> tuple[tuple[str, int], ...]:
    """Name and number of clusters of each way."""
    return tuple((way.name, way.n_levels) for way in ways)


def intersection(one: Grouping, other: Grouping) -> Grouping:
    """Clusters of the rows that share both."""
    keys, codes = distinct_pairs(one.codes, other.codes, one.n_levels, other.n_levels)
    return Grouping(f"{one.name}:{other.name}", codes.astype(np.int32), tuple(map(str, range(len(keys)))))


def positive_part(core: Array) -> tuple[Array, bool]:
    """The nearest positive semidefinite matrix, and whether that is another one."""
    values, vectors = np.linalg.eigh(core)
    if values[0] >= -ROUNDING * values[-1]:
        return core, False
    return (vectors * np.maximum(values, 0.0)) @ vectors.T, True


def refuse_other_kinds(kind: str, ways: Sequence[Grouping]) -> None:
    """Bias reduction and the jackknife are defined for clusters that share no rows."""
    if kind not in MULTIWAY_KINDS:
        names = ", ".join(f"'{way.name}'" for way in ways)
        raise ModelError(
            f"{kind} is defined for clusters in one way only, not for {names} at once; "
            f'use vcov="CR1" or "CR1S", or cluster by one of them.'
        )
