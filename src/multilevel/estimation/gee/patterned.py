"""Structures without a closed form: one matrix for each pattern of visits, factorised once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.working.specification import PairEntries, PatternedCorrelation
from multilevel.covariance.working.unstructured import Unstructured
from multilevel.covariance.working.user_defined import UserCorrelation, entries_of_rows
from multilevel.errors import DataError, ModelError
from multilevel.estimation.gee.layout import ClusterLayout
from multilevel.estimation.gee.structure import (
    LinearStructure,
    mean_square_by_cluster,
    refuse_no_pairs,
)
from multilevel.kernels.gee import Indices, PairTables, PatternInverse, pair_gram, pair_products

LARGEST = 3000  # rows of a cluster whose correlation matrix is formed
MOST_NUMBERS = 2e8  # in the matrices of all patterns together


@dataclass(frozen=True, slots=True)
class PatternedPairs(LinearStructure):
    """Any correlations of pairs that are linear in alpha."""

    tables: PairTables
    constant: Array  # (pairs,) what is known of the correlations
    sizes: Indices  # (P,) rows of each pattern
    weights: Array  # (n,)
    names: tuple[str, ...]

    def reweighted(self, weights: Array) -> PatternedPairs:
        """The weights exchanged."""
        return replace(self, weights=weights)

    def inverse(self, alpha: Array) -> PatternInverse:
        """One matrix a pattern, patterns of one size at once."""
        offset = np.concatenate([[0], np.cumsum(self.sizes**2)]).astype(np.int64)
        table = np.empty(int(offset[-1]))
        for patterns, R in self._matrices(alpha):
            try:
                inverse = np.linalg.inv(R)
            except np.linalg.LinAlgError:
                raise ModelError(
                    "the working correlation became singular; use a structure with fewer parameters, such as "
                    "'exchangeable' or 'ar1'."
                ) from None
            for k, matrix in zip(patterns, inverse, strict=True):
                table[offset[k] : offset[k + 1]] = matrix.ravel()
        return PatternInverse(self.tables.start, self.tables.pattern, offset[:-1].copy(), table)

    def products(self, u: Array, v: Array, alpha: Array) -> Array:  # noqa: ARG002
        """In the core, pair by pair."""
        return pair_products(self.tables, u, v)

    def gram(self, alpha: Array) -> Array:  # noqa: ARG002
        """In the core."""
        return pair_gram(self.tables, self.weights)

    def grams(self, alpha: Array) -> Array:  # noqa: ARG002
        """A parameter at a time, with the design times its column."""
        q = self.n_parameters
        out = np.empty((len(self.tables.start) - 1, q, q))
        for k in range(q):
            mine = np.where(self.tables.parameter == k, self.tables.value, 0.0)
            by_pair = np.bincount(self._pair_of_entry(), mine, len(self.constant))
            out[:, k, :] = self._weighted(np.asarray(by_pair, dtype=np.float64))
        return out

    def expected(self, alpha: Array) -> Array:
        """With the design times rho."""
        return self._weighted(self.correlations(alpha))

    def margin(self, alpha: Array) -> float:
        """Over all patterns."""
        return min((float(np.linalg.eigvalsh(R)[:, 0].min()) for _, R in self._matrices(alpha)), default=1.0)

    def estimate_as_gee(self, z: Array, phi: float, p: int) -> Array:
        """The mean over clusters of their mean products, where each pair has one parameter."""
        ones = np.ones(len(z))
        pairs = pair_products(self.tables, ones, ones)
        if self.n_parameters == 0 or (self.tables.value != 1.0).any():
            return LinearStructure.estimate_as_gee(self, z, phi, p)
        refuse_no_pairs(self.names, np.diag(pairs.sum(axis=0)))
        some = pairs > 0.0
        means = np.where(some, pair_products(self.tables, z, z) / np.where(some, pairs, 1.0), 0.0)
        return np.asarray(means.sum(axis=0) / some.sum(axis=0) / mean_square_by_cluster(z, self.tables.start))

    def correlations(self, alpha: Array) -> Array:
        """Of the pairs of all patterns."""
        terms = self.tables.value * alpha[self.tables.parameter]
        return self.constant + np.bincount(self._pair_of_entry(), terms, len(self.constant))

    def _weighted(self, by_pair: Array) -> Array:
        """Sums over pairs of w_s w_t E times a number a pair: (K, q)."""
        tables = replace(self.tables, value=self.tables.value * by_pair[self._pair_of_entry()])
        return pair_products(tables, self.weights, self.weights)

    def _pair_of_entry(self) -> Indices:
        return np.repeat(np.arange(len(self.constant)), np.diff(self.tables.first_entry))

    def _matrices(self, alpha: Array) -> list[tuple[Indices, Array]]:
        """Patterns of one size with their matrices (B, m, m)."""
        rho, first = self.correlations(alpha), self.tables.first_pair
        out = []
        for m in np.unique(self.sizes):
            patterns = np.flatnonzero(self.sizes == m)
            s, t = np.triu_indices(int(m), 1)
            R = np.tile(np.eye(int(m)), (len(patterns), 1, 1))
            R[:, s, t] = R[:, t, s] = rho[first[patterns][:, None] + np.arange(len(s))]
            out.append((patterns, R))
        return out


def patterned_pairs(spec: PatternedCorrelation, layout: ClusterLayout, weights: Array) -> PatternedPairs:
    """The structure for a layout of visits."""
    refuse_large(spec, layout)
    n_visits = len(layout.visits)
    q = spec.n_parameters(n_visits)
    if isinstance(spec, UserCorrelation) and spec.by_pair:
        pattern, entries, sizes = patterns_of_design(spec, layout)
    else:
        pattern, rows = patterns_of_visits(layout)
        entries = [spec.pairs(layout.visit[each], layout.place[each], n_visits) for each in rows]
        sizes = np.array([each.stop - each.start for each in rows], dtype=np.int64)
    tables = pair_tables(layout.start, pattern, entries, sizes, q)
    constant = np.concatenate([each.constant for each in entries])
    return PatternedPairs(tables, constant, sizes, weights, spec.parameter_names(layout.visits))


def refuse_large(spec: PatternedCorrelation, layout: ClusterLayout) -> None:
    """Matrices are formed here, and an unstructured one needs clusters to be estimated from."""
    largest, visits = int(layout.sizes.max()), len(layout.visits)
    if isinstance(spec, Unstructured) and visits > layout.n_clusters:
        raise ModelError(
            f"an unstructured correlation of {visits} visits has {visits * (visits - 1) // 2} parameters, "
            f"too many for {layout.n_clusters} clusters; use corr='ar1' or 'exchangeable', or round the "
            "times to fewer visits."
        )
    if largest > LARGEST:
        raise ModelError(
            f"corr='{spec.name}' forms a matrix of the rows of each cluster, and '{layout.name}' has one of "
            f"{largest}; 'independence', 'exchangeable', 'ar1' and ml.NestedExchangeable need none."
        )


def patterns_of_visits(layout: ClusterLayout) -> tuple[Indices, list[slice]]:
    """The pattern of each cluster (K,), and the rows of a cluster of each pattern."""
    pattern = np.empty(layout.n_clusters, dtype=np.int64)
    rows: list[slice] = []
    for m in np.unique(layout.sizes):
        clusters = np.flatnonzero(layout.sizes == m)
        visits = layout.visit[layout.start[clusters][:, None] + np.arange(m)]
        _, example, number = np.unique(visits, axis=0, return_index=True, return_inverse=True)
        pattern[clusters] = len(rows) + number.ravel()
        begins = layout.start[clusters[example]]
        rows.extend(slice(int(first), int(first + m)) for first in begins)
    return pattern, rows


def patterns_of_design(
    spec: UserCorrelation, layout: ClusterLayout
) -> tuple[Indices, list[PairEntries], Indices]:
    """The same where the user gave a row for each pair of rows, clusters in the order of the data."""
    E, sizes = spec.array, layout.sizes
    n_pairs = sizes * (sizes - 1) // 2
    if len(E) != int(n_pairs.sum()):
        raise DataError(
            f"the design of the correlations has {len(E)} rows, and the clusters of '{layout.name}' have "
            f"{int(n_pairs.sum())} pairs of rows; give one row a pair."
        )
    appearance = np.arange(layout.n_clusters)
    if layout.order is not None:
        appearance = np.argsort(np.minimum.reduceat(layout.order, layout.start[:-1]), kind="stable")
    first = np.empty(layout.n_clusters, dtype=np.int64)
    first[appearance] = np.concatenate([[0], np.cumsum(n_pairs[appearance])[:-1]])
    known: dict[tuple[int, bytes], int] = {}
    pattern = np.empty(layout.n_clusters, dtype=np.int64)
    entries: list[PairEntries] = []
    of_pattern: list[int] = []
    for k in range(layout.n_clusters):
        rows = E[first[k] : first[k] + n_pairs[k]]
        key = (int(sizes[k]), rows.tobytes())
        if key not in known:
            known[key] = len(entries)
            entries.append(entries_of_rows(rows))
            of_pattern.append(int(sizes[k]))
        pattern[k] = known[key]
    return pattern, entries, np.array(of_pattern, dtype=np.int64)


def pair_tables(
    start: Indices, pattern: Indices, entries: list[PairEntries], sizes: Indices, n_parameters: int
) -> PairTables:
    """Patterns one after another, as the core takes them."""
    if float((sizes.astype(np.float64) ** 2).sum()) > MOST_NUMBERS:
        raise ModelError(
            f"{len(sizes)} different patterns of visits, of up to {int(sizes.max())} rows, are too many "
            "matrices to keep; use 'exchangeable' or 'ar1', or round the times to fewer visits."
        )
    n_pairs = np.array([len(each.constant) for each in entries], dtype=np.int64)
    per_pair = [np.bincount(each.pair, minlength=len(each.constant)) for each in entries]
    return PairTables(
        start=start,
        pattern=pattern,
        first_pair=_ends(n_pairs),
        first_entry=_ends(np.concatenate([np.empty(0, dtype=np.int64), *per_pair])),
        parameter=_joined(entries, lambda each: each.parameter).astype(np.int64),
        value=_joined(entries, lambda each: each.value).astype(np.float64),
        n_parameters=n_parameters,
    )


def _ends(counts: Indices) -> Indices:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _joined(entries: list[PairEntries], part: Callable[[PairEntries], Array | Indices]) -> Array | Indices:
    return np.concatenate([part(each) for each in entries])
