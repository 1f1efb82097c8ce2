"""Products of P with the derivatives of V in a model without a residual, from its independent blocks of rows.

V is block-diagonal and each of its blocks is inverted as it is (see estimation/residual_free), so every trace
and product of inference/information is written out, over blocks of one size together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.residual_free import (
    Blocks,
    Point,
    ResidualFreeModel,
    average_information,
    covariance_changes,
    sigma_slopes,
)
from multilevel.inference.directions import Chart
from multilevel.inference.information import Products, block_diagonal

CHUNK = 1 << 21  # numbers in an array over the blocks that is made for every direction


@dataclass(frozen=True, slots=True)
class SomeBlocks:
    """Some independent blocks of m rows each, with what the model says of them; A is the root of X'W X."""

    changes: Array  # (k, B, m, m) V_i
    W: Array  # (B, m, m) V^-1
    WX: Array  # (B, m, p) W X A^-T


@dataclass(frozen=True, slots=True)
class RowProjections:
    """A fitted model without a residual."""

    model: ResidualFreeModel
    at: Point
    charts: tuple[Chart, ...]
    reml: bool

    @property
    def n_scale(self) -> None:
        """There is no sigma."""
        return

    def products(self) -> Products:
        """All products, summed over the blocks."""
        trace, expected, slopes = self.traces()
        slopes_in_sigma = sigma_slopes(self.model, self.at, reml=self.reml)
        bends = [
            np.einsum("ijab,ab->ij", chart.curvature, G)
            for chart, G in zip(self.charts, slopes_in_sigma, strict=True)
        ]
        changes = [chart.slope for chart in self.charts]
        return Products(
            trace=trace,
            expected=expected,
            score=self.scores(),
            average=average_information(self.model, self.at, changes),
            bend=block_diagonal(bends),
            slopes=slopes,
        )

    def traces(self) -> tuple[Array, Array, Array]:
        """tr(P V_i), tr(P V_i P V_j) and M_i."""
        trace, own, across = 0.0, 0.0, 0.0
        slopes = self.slopes()
        for some in self.some_blocks():
            WV = some.W @ some.changes
            trace = trace + np.einsum("kbmm->k", WV)
            own = own + np.einsum("ibmn,jbnm->ij", WV, WV, optimize=True)
            VWX = some.changes @ some.WX
            across = across + np.einsum("ibmp,jbmp->ij", VWX, some.W @ VWX, optimize=True)
        if not self.reml:
            return np.asarray(trace), np.asarray(own), slopes
        both = np.einsum("ipq,jqp->ij", slopes, slopes)
        return trace - np.einsum("ipp->i", slopes), own - 2.0 * across + both, slopes

    def slopes(self) -> Array:
        """M_i = X'W V_i W X: (k, p, p)."""
        parts = [
            np.einsum("bmp,kbmn,bnq->kpq", s.WX, s.changes, s.WX, optimize=True) for s in self.some_blocks()
        ]
        return np.asarray(sum(parts))

    def scores(self) -> Array:
        """y'P V_i P y: (k,)."""
        changes = [chart.slope for chart in self.charts]
        parts = [
            np.einsum("bm,bmk->k", alpha[:, :, 0], covariance_changes(block, alpha, changes))
            for block, alpha in zip(self.model.blocks, self.at.alpha, strict=True)
        ]
        return np.asarray(sum(parts))

    def adjustment(self, covariance: Array) -> Array:
        """Sum over i, j of covariance_ij X'W V_i P V_j W X: (p, p)."""
        slopes = self.slopes()
        total = -np.einsum("ij,ipr,jrq->pq", covariance, slopes, slopes, optimize=True)
        for some in self.some_blocks():
            VWX = some.changes @ some.WX
            total += np.einsum("ij,ibmp,jbmq->pq", covariance, VWX, some.W @ VWX, optimize=True)
        return np.asarray(total)

    def curvature(self, covariance: Array) -> Array:
        """Sum over i, j of covariance_ij X'W (d2V / dt_i dt_j) W X: (p, p)."""
        bends, first = [], 0
        for chart in self.charts:
            mine = slice(first, first + len(chart.own))
            bends.append(np.einsum("ij,ijab->ab", covariance[mine, mine], chart.curvature)[None])
            first = mine.stop
        parts = [
            np.einsum("bmp,kbmn,bnq->pq", s.WX, s.changes, s.WX, optimize=True)
            for s in self.some_blocks(tuple(bends))
        ]
        return np.asarray(sum(parts))

    def some_blocks(self, directions: tuple[Array, ...] | None = None) -> Iterator[SomeBlocks]:
        """The blocks, a few at a time; `directions` (k, q, q) of each term, else those of the charts."""
        per_term = directions or tuple(chart.slope for chart in self.charts)
        root = np.linalg.cholesky(self.at.information)
        for block, W, WX in zip(self.model.blocks, self.at.W, self.at.WX, strict=True):
            loaded = np.linalg.solve(root, WX.transpose(0, 2, 1)).transpose(0, 2, 1)
            step = max(1, CHUNK // max(1, sum(map(len, per_term)) * W.shape[1] ** 2))
            for first in range(0, len(W), step):
                some = slice(first, first + step)
                yield SomeBlocks(covariance_derivatives(block, some, per_term), W[some], loaded[some])


def covariance_derivatives(block: Blocks, some: slice, directions: tuple[Array, ...]) -> Array:
    """V_i of some blocks for every direction (k, q, q) of every term: (k, B, m, m)."""
    by_term = [
        same[some] * (Z[some] @ slope[:, None] @ Z[some].transpose(0, 2, 1))
        for Z, same, slope in zip(block.Z, block.same, directions, strict=True)
    ]
    return np.concatenate(by_term)
