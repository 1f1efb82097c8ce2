"""Plain NumPy twins of the sums over clusters: matrices of the clusters' sizes, formed and inverted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from multilevel.kernels.gee import (
    Array,
    ClusterSums,
    ExchangeableInverse,
    IndependentInverse,
    Indices,
    InverseCorrelation,
    MarkovInverse,
    NestedInverse,
    PairTables,
    PatternInverse,
)


def cluster_rows(start: Indices) -> Iterator[slice]:
    """The rows of each cluster."""
    for first, last in pairwise(start.tolist()):
        yield slice(first, last)


def inverse_matrix(inverse: InverseCorrelation, k: int) -> Array:
    """R^-1 of cluster k."""
    first, last = int(inverse.start[k]), int(inverse.start[k + 1])
    m = last - first
    match inverse:
        case PatternInverse(_, pattern, offset, table):
            at = int(offset[pattern[k]])
            return table[at : at + m * m].reshape(m, m)
        case IndependentInverse():
            R = np.eye(m)
        case ExchangeableInverse(_, alpha):
            R = (1.0 - alpha) * np.eye(m) + alpha
        case MarkovInverse(_, rho):
            R = markov_correlation(rho[first + 1 : last])
        case NestedInverse(_, group_start, _, inner, outer):
            group = np.searchsorted(group_start, np.arange(first, last), side="right")
            R = np.where(group[:, None] == group, inner, outer)
            np.fill_diagonal(R, 1.0)
    return np.asarray(np.linalg.inv(R))


def markov_correlation(rho: Array) -> Array:
    """Correlations (m, m) from those of neighbours (m - 1,): products along the way."""
    m = len(rho) + 1
    R = np.eye(m)
    for s in range(m):
        R[s, s + 1 :] = R[s + 1 :, s] = np.cumprod(rho[s:])
    return R


def estimating_sums(inverse: InverseCorrelation, X: Array, slope: Array, residual: Array) -> ClusterSums:
    """Twin of `multilevel.kernels.gee.estimating_sums`, by cluster."""
    informations, scores = [], []
    for k, rows in enumerate(cluster_rows(inverse.start)):
        D = slope[rows, None] * X[rows]
        turned = D.T @ inverse_matrix(inverse, k)
        informations.append(turned @ D)
        scores.append(turned @ residual[rows])
    return ClusterSums(
        np.sum(informations, axis=0), np.sum(scores, axis=0), np.array(scores), np.array(informations)
    )


def inverse_times(inverse: InverseCorrelation, V: Array) -> Array:
    """Twin of `multilevel.kernels.gee.inverse_times`."""
    parts = [inverse_matrix(inverse, k) @ V[rows] for k, rows in enumerate(cluster_rows(inverse.start))]
    return np.concatenate(parts)


def decaying_products(start: Indices, u: Array, v: Array, gap: Array, a: float) -> tuple[Array, Array]:
    """Twin of `multilevel.kernels.gee.decaying_products`."""
    first, second = [], []
    for rows in cluster_rows(start):
        s, t = np.triu_indices(rows.stop - rows.start, 1)
        time = np.cumsum(gap[rows])
        d = time[t] - time[s]
        products = 0.5 * (u[rows][s] * v[rows][t] + v[rows][s] * u[rows][t]) * d * a ** (d - 1.0)
        first.append(products.sum())
        second.append((d * products).sum())
    return np.array(first), np.array(second)


def pair_matrix(tables: PairTables, pattern: int) -> Array:
    """The design (pairs, q) of a pattern."""
    pairs = range(int(tables.first_pair[pattern]), int(tables.first_pair[pattern + 1]))
    E = np.zeros((len(pairs), tables.n_parameters))
    for row, pair in enumerate(pairs):
        for entry in range(int(tables.first_entry[pair]), int(tables.first_entry[pair + 1])):
            E[row, tables.parameter[entry]] += tables.value[entry]
    return E


def pair_products(tables: PairTables, u: Array, v: Array) -> Array:
    """Twin of `multilevel.kernels.gee.pair_products`."""
    sums = []
    for k, rows in enumerate(cluster_rows(tables.start)):
        s, t = np.triu_indices(rows.stop - rows.start, 1)
        products = 0.5 * (u[rows][s] * v[rows][t] + v[rows][s] * u[rows][t])
        sums.append(pair_matrix(tables, int(tables.pattern[k])).T @ products)
    return np.array(sums)


def pair_gram(tables: PairTables, weights: Array) -> Array:
    """Twin of `multilevel.kernels.gee.pair_gram`."""
    total = np.zeros((tables.n_parameters, tables.n_parameters))
    for k, rows in enumerate(cluster_rows(tables.start)):
        s, t = np.triu_indices(rows.stop - rows.start, 1)
        E = pair_matrix(tables, int(tables.pattern[k]))
        total += E.T @ ((weights[rows][s] * weights[rows][t])[:, None] * E)
    return total
