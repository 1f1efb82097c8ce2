"""Products of P with the derivatives of V, from the factorised mixed model: no row of the data is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.lmm import WorkingModel
from multilevel.inference.between_factors import LARGEST_TAIL, KnownPairs, expected_of_factors, known_pairs
from multilevel.inference.directions import Chart
from multilevel.inference.factor_blocks import (
    FactorBlocks,
    TermDirections,
    factor_blocks,
    rows_of,
    term_directions,
    theta_of,
)
from multilevel.inference.information import Products
from multilevel.inference.level_sums import fixed_product, products_within_levels


@dataclass(frozen=True, slots=True)
class SphericalProjections:
    """A fitted model with a residual, at the theta of its charts."""

    model: WorkingModel
    charts: tuple[Chart, ...]
    blocks: tuple[FactorBlocks, ...]  # per factor of the kernel
    terms: tuple[TermDirections, ...]
    known: KnownPairs | None  # of several factors
    n_scale: float
    reml: bool

    @property
    def directions(self) -> list[tuple[int, Array]]:
        """Factor and A (Q, Q) of every direction."""
        return [(term.factor, A) for term in self.terms for A in term.slope]

    def products(self) -> Products:
        """Exact where one factor holds all random effects."""
        found = products_within_levels(self.blocks, self.terms, reml=self.reml)
        if self.known is None:
            return found
        scores = [
            self.spread(factor, self.blocks[factor].modes @ A)[:, None] for factor, A in self.directions
        ]
        average = self.projected(np.hstack(scores))  # first, while the model is factorised here
        expected = expected_of_factors(
            self.model, self.charts, self.blocks, self.directions, self.known, reml=self.reml
        )
        return replace(found, average=average, expected=expected)

    def adjustment(self, covariance: Array) -> Array:
        """Sum over i, j of covariance_ij X'W V_i P V_j W X: (p, p)."""
        directions = self.directions
        total = np.zeros((self.blocks[0].fixed.shape[2],) * 2)
        for weights in positive_root(covariance).T:
            loaded = [np.zeros_like(b.root) for b in self.blocks]
            for weight, (factor, A) in zip(weights, directions, strict=True):
                loaded[factor] += weight * A
            total += self.projected_loadings(loaded)
        return total

    def projected_loadings(self, loaded: Sequence[Array]) -> Array:
        """X'W Z D Z'P Z D Z'W X for D = blockdiag of one A a factor: (p, p)."""
        AB = [A @ block.fixed for block, A in zip(self.blocks, loaded, strict=True)]  # (J, Q, p)
        if len(AB) > 1:
            parts = [block.unturned(part) for block, part in zip(self.blocks, AB, strict=True)]
            return self.projected(np.vstack([rows_of(part) for part in parts]))
        block = self.blocks[0]
        slope = rows_of(block.fixed).T @ rows_of(AB[0])
        return np.asarray(rows_of(block.explained @ AB[0]).T @ rows_of(AB[0]) - slope @ slope.T)

    def curvature(self, covariance: Array) -> Array:
        """Sum over i, j of covariance_ij X'W (d2V / dt_i dt_j) W X: (p, p)."""
        total = np.zeros((self.blocks[0].fixed.shape[2],) * 2)
        first = 0
        for term in self.terms:
            mine = slice(first, first + len(term.slope))
            A = np.einsum("ij,ijab->ab", covariance[mine, mine], term.curvature)
            total += fixed_product(self.blocks[term.factor].fixed, A)
            first = mine.stop
        return total

    def spread(self, factor: int, values: Array) -> Array:
        """Values (J, Q) of one factor in their places among all random effects, zero elsewhere."""
        parts = [np.zeros(block.modes.size) for block in self.blocks]
        parts[factor] = self.blocks[factor].unturned(values[:, :, None]).ravel()
        return np.concatenate(parts)

    def projected(self, w: Array) -> Array:
        """w'(I - S_uu) w for columns w over the random effects: (m, m)."""
        b = np.zeros((len(w) + self.blocks[0].fixed.shape[2], w.shape[1]), order="F")
        b[: len(w)] = w
        solved = self.model.kernel.forward_solve(theta_of(self.charts), b)
        return np.asarray(w.T @ w - solved.T @ solved)


def spherical_projections(
    model: WorkingModel, charts: tuple[Chart, ...], *, df: float, reml: bool
) -> SphericalProjections:
    """Factorise the model at the theta of the charts, whose T has an inverse."""
    theta = theta_of(charts)
    several = len(model.groupings) > 1
    tail = several and model.kernel.tail_size <= LARGEST_TAIL
    inverse = model.kernel.inverse_blocks(theta, hold_fixed=False, tail=tail)
    blocks = factor_blocks(model, theta, inverse, df)
    terms = term_directions(model, charts, blocks)
    known = known_pairs(model, theta, blocks, inverse.tail) if several else None
    return SphericalProjections(model, charts, blocks, terms, known, df, reml)


def positive_root(covariance: Array) -> Array:
    """C with C C' = covariance: (k, r)."""
    size = np.sqrt(np.diag(covariance))
    unit = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    return np.asarray(unit[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))
