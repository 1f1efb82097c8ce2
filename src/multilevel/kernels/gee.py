"""The compiled sums over clusters of generalized estimating equations.

Rows stand in order of their clusters: cluster k has the rows start[k] .. start[k + 1] - 1. What a working
correlation is to the core is one of the records below; `multilevel.kernels.gee_reference` has the same sums
in plain NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel.kernels import _core
from multilevel.kernels.threads import use_threads

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

use_threads()


class MeanLink(IntEnum):
    """Links whose means the core computes itself."""

    logit = 0
    log = 1
    identity = 2


class MeanVariance(IntEnum):
    """Variance functions that the core knows."""

    one = 0
    binomial = 1
    mean = 2
    square = 3


class ByCluster(IntEnum):
    """What is kept of each cluster beside the sums over all."""

    nothing = 0
    scores = 1
    scores_and_informations = 2


@dataclass(frozen=True, slots=True)
class IndependentInverse:
    """R = I."""

    start: Indices  # (K + 1,)


@dataclass(frozen=True, slots=True)
class ExchangeableInverse:
    """R = (1 - alpha) I + alpha J."""

    start: Indices
    alpha: float


@dataclass(frozen=True, slots=True)
class MarkovInverse:
    """Each row hangs on the row before it alone, so that R^-1 is tridiagonal."""

    start: Indices
    rho: Array  # (n,) correlation with the row before


@dataclass(frozen=True, slots=True)
class NestedInverse:
    """Rows of one inner group correlate by `inner`, other rows of a cluster by `outer`."""

    start: Indices
    group_start: Indices  # (G + 1,) rows where inner groups begin, and the end
    first_group: Indices  # (K + 1,) inner groups where clusters begin, and the end
    inner: float
    outer: float


@dataclass(frozen=True, slots=True)
class PatternInverse:
    """A table of R^-1 for each pattern of visits."""

    start: Indices
    pattern: Indices  # (K,)
    offset: Indices  # (P,) where the inverse of a pattern begins in the table
    table: Array


InverseCorrelation = IndependentInverse | ExchangeableInverse | MarkovInverse | NestedInverse | PatternInverse


@dataclass(frozen=True, slots=True)
class PairTables:
    """A design of pairs: which parameters the correlation of two rows is made of.

    The pairs of a pattern of m rows come in the order (0, 1), (0, 2), ..., (1, 2), ...; the entries of a
    pair are the parameters that it has, with their coefficients.
    """

    start: Indices  # (K + 1,)
    pattern: Indices  # (K,)
    first_pair: Indices  # (P + 1,)
    first_entry: Indices  # (pairs + 1,)
    parameter: Indices  # (entries,)
    value: Array  # (entries,)
    n_parameters: int


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Sums of D'R^-1 D and D'R^-1 e, in all and on request by cluster (K is 0 if not asked for)."""

    information: Array  # (p, p)
    score: Array  # (p,)
    scores: Array  # (K, p)
    informations: Array  # (K, p, p)


@dataclass(frozen=True, slots=True)
class WorkingRows:
    """What an iteration needs of each row."""

    slope: Array  # (n,) sqrt(w / V) d mu / d eta
    pearson: Array  # (n,) (y - mu) / sqrt(V)
    possible: bool  # whether all means have positive and finite variances


def estimating_sums(
    inverse: InverseCorrelation,
    X: Array,
    slope: Array,
    residual: Array,
    by_cluster: ByCluster = ByCluster.nothing,
) -> ClusterSums:
    """Sums for D = slope X (n, p), Fortran order, and residuals e (n,)."""
    information, score, scores, informations = _handle(inverse).sums(X, slope, residual, int(by_cluster))
    p = X.shape[1]
    return ClusterSums(information, score, scores.T, informations.T.reshape(-1, p, p))


def inverse_times(inverse: InverseCorrelation, V: Array) -> Array:
    """R^-1 V for columns V (n, c), Fortran order."""
    turned: Array = _handle(inverse).times(V)
    return turned


def pair_products(tables: PairTables, u: Array, v: Array) -> Array:
    """Sums over the pairs (s, t) of each cluster of E (u_s v_t + v_s u_t) / 2: (K, q)."""
    return np.ascontiguousarray(_pairs(tables).products(u, v).T)


def pair_gram(tables: PairTables, weights: Array) -> Array:
    """Sum over all pairs of w_s w_t E E': (q, q)."""
    gram: Array = _pairs(tables).gram(weights)
    return gram


def decaying_products(start: Indices, u: Array, v: Array, gap: Array, a: float) -> tuple[Array, Array]:
    """Sums over the pairs (s, t) of each cluster, a time d apart, of (u_s v_t + v_s u_t) / 2: (K,) each.

    Times d a^(d-1), and times d^2 a^(d-1).
    """
    return _core.decaying_products(_core.RowClusters(start), u, v, gap, a)


def working_rows(
    X: Array,
    beta: Array,
    offset: Array | None,
    y: Array,
    weights: Array | None,
    link: MeanLink,
    variance: MeanVariance,
) -> WorkingRows:
    """Slopes and Pearson residuals of all rows at beta (p,)."""
    return WorkingRows(*_core.working_rows(X, beta, offset, y, weights, int(link), int(variance)))


def _handle(inverse: InverseCorrelation) -> Any:
    clusters = _core.RowClusters(inverse.start)
    make = _core.InverseCorrelation
    match inverse:
        case IndependentInverse():
            return make.independent(clusters)
        case ExchangeableInverse(_, alpha):
            return make.exchangeable(clusters, alpha)
        case MarkovInverse(_, rho):
            return make.markov(clusters, rho)
        case NestedInverse(_, group_start, first_group, inner, outer):
            return make.nested(clusters, group_start, first_group, inner, outer)
        case PatternInverse(_, pattern, offset, table):
            return make.patterned(clusters, pattern, offset, table)


def _pairs(tables: PairTables) -> Any:
    return _core.PairDesign(
        _core.RowClusters(tables.start),
        tables.pattern,
        tables.first_pair,
        tables.first_entry,
        tables.parameter,
        tables.value,
        tables.n_parameters,
    )
