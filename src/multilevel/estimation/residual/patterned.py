"""Correlations between visits: one whitening matrix for each set of visits that clusters share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import MatrixChart
from multilevel.covariance.working.specification import Indices

SHRUNK = 0.1  # part of a moment matrix that gives way to the identity before a search begins from it
LEAST_EIGENVALUE = 0.05  # of the matrix that a search begins from


@dataclass(frozen=True, slots=True)
class Batch:
    """B clusters of m rows, which see U different sets of visits."""

    rows: Indices  # (B, m), sorted by the set of visits
    visits: Indices  # (U, m)
    first: Indices  # (U,) the first cluster of each set
    which: Indices  # (B,)

    @property
    def counts(self) -> Array:
        """How many clusters have each set (U,)."""
        return np.diff(np.append(self.first, len(self.which))).astype(np.float64)

    def by_cluster(self, stack: Array) -> Array:
        """Matrices of sets (U, m, m) for each cluster, or one for all."""
        return stack if len(stack) == 1 else stack[self.which]


@dataclass(frozen=True, slots=True)
class PatternedRows:
    """All clusters, those of one size together."""

    chart: MatrixChart
    batches: tuple[Batch, ...]
    size: int  # T, the number of different visits

    def at(self, eta: Array) -> PatternedWhitening:
        """Cholesky factors of the sets of visits."""
        R = self.chart.matrix(eta)
        lower = [np.linalg.cholesky(R[b.visits[:, :, None], b.visits[:, None, :]]) for b in self.batches]
        log_det = sum(
            2.0 * float(b.counts @ np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1))
            for b, L in zip(self.batches, lower, strict=True)
        )
        least = min(float(np.diagonal(L, axis1=1, axis2=2).min()) ** 2 for L in lower)
        return PatternedWhitening(self, eta, tuple(np.linalg.inv(L) for L in lower), log_det, least)

    def starts(self, z: Array) -> list[Array]:
        """Near the correlations of the residuals of visits, at none, and elsewhere."""
        near = [self.chart.near(self._moments(z)), self.chart.near(np.eye(self.size))]
        return [*near, *self.chart.elsewhere()]

    def pair_counts(self) -> Array:
        """How many clusters have both visits of each pair (T, T)."""
        one = [
            np.ones((len(b.visits), *b.visits.shape[1:] * 2)) * b.counts[:, None, None] for b in self.batches
        ]
        return self.scattered(one)

    def scattered(self, stacks: Sequence[Array]) -> Array:
        """Sums (T, T) of matrices over the visits of each set (U, m, m)."""
        total = np.zeros(self.size * self.size)
        for b, stack in zip(self.batches, stacks, strict=True):
            cells = b.visits[:, :, None] * self.size + b.visits[:, None, :]
            total += np.bincount(cells.ravel(), stack.ravel(), minlength=len(total))
        return total.reshape(self.size, self.size)

    def _moments(self, z: Array) -> Array:
        """A positive definite matrix (T, T) near the mean products of residuals."""
        products = self.scattered([sums_of_products(b, z[b.rows][:, :, None]) for b in self.batches])
        means = products / np.maximum(self.pair_counts(), 1.0)
        sd = np.sqrt(np.maximum(means.diagonal(), np.finfo(np.float64).tiny))
        R = (1.0 - SHRUNK) * means / np.outer(sd, sd) + SHRUNK * np.eye(self.size)
        values, vectors = np.linalg.eigh(R)
        R = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
        sd = np.sqrt(R.diagonal())
        return np.asarray(R / np.outer(sd, sd))


def patterned_rows(chart: MatrixChart, start: Indices, visit: Indices, size: int) -> PatternedRows:
    """Rows by cluster, with start (K + 1,), and their visits (n,), numbered from 0 to size - 1."""
    sizes = np.diff(start)
    batches = []
    for m in np.unique(sizes):
        first = start[:-1][sizes == m]
        rows = first[:, None] + np.arange(m)
        visits, which = np.unique(visit[rows], axis=0, return_inverse=True)
        which = which.ravel()
        order = np.argsort(which, kind="stable")
        which = which[order].astype(np.int64)
        begins = np.searchsorted(which, np.arange(len(visits))).astype(np.int64)
        batches.append(Batch(rows[order], visits, begins, which))
    return PatternedRows(chart, tuple(batches), size)


def sums_of_products(batch: Batch, rows: Array) -> Array:
    """Sums of F F' (U, m, m) over the clusters of each set, from rows (B, m, k)."""
    if len(batch.visits) == 1:
        flat = rows.transpose(1, 0, 2).reshape(rows.shape[1], -1)
        return np.asarray((flat @ flat.T)[None])
    return np.asarray(np.add.reduceat(rows @ rows.transpose(0, 2, 1), batch.first, axis=0))


@dataclass(frozen=True, slots=True)
class PatternedWhitening:
    """At one eta."""

    rows: PatternedRows
    eta: Array
    roots: tuple[Array, ...]  # per batch: (U, m, m) inverse Cholesky factors
    log_det: float
    least_pivot: float

    def whiten(self, rows: Array) -> Array:
        """Each cluster by the root of its visits."""
        return self._applied(rows, self.roots)

    def whiten_back(self, rows: Array) -> Array:
        """By the transposed roots."""
        return self._applied(rows, [T.transpose(0, 2, 1) for T in self.roots])

    def slopes(self, rows: Array, whitened: Array, solved: Array) -> Array:  # noqa: ARG002
        """<R^-1 - sum F F', dR> over the sets of visits, F = R^-1 E."""
        stacks = [
            b.counts[:, None, None] * (T.transpose(0, 2, 1) @ T) - sums_of_products(b, solved[b.rows])
            for b, T in zip(self.rows.batches, self.roots, strict=True)
        ]
        return self.rows.chart.slopes(self.eta, self.rows.scattered(stacks))

    def _applied(self, rows: Array, roots: Sequence[Array]) -> Array:
        out = np.empty_like(rows)
        for b, T in zip(self.rows.batches, roots, strict=True):
            out[b.rows] = b.by_cluster(T) @ rows[b.rows]
        return out
