"""Two levels of exchangeable rows: inner groups within clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.gee.exchangeable import pair_sums
from multilevel.estimation.gee.structure import LinearStructure
from multilevel.kernels.gee import Indices, NestedInverse


@dataclass(frozen=True, slots=True)
class NestedPairs(LinearStructure):
    """Pairs of one inner group, and pairs of two groups of one cluster."""

    start: Indices  # (K + 1,)
    group_start: Indices  # (G + 1,) rows where inner groups begin, and the end
    first_group: Indices  # (K + 1,) inner groups where clusters begin, and the end
    weights: Array  # (n,)
    pairs: Array  # (K, 2) sums of w_s w_t over pairs
    names: tuple[str, ...]

    def reweighted(self, weights: Array) -> NestedPairs:
        """Pairs counted again."""
        pairs = nested_sums(self.start, self.group_start, self.first_group, weights, weights)
        return replace(self, weights=weights, pairs=pairs)

    def inverse(self, alpha: Array) -> NestedInverse:
        """By Woodbury's identity, level by level."""
        inner, outer = map(float, alpha)
        return NestedInverse(self.start, self.group_start, self.first_group, inner, outer)

    def products(self, u: Array, v: Array, alpha: Array) -> Array:  # noqa: ARG002
        """Within inner groups; all others."""
        return nested_sums(self.start, self.group_start, self.first_group, u, v)

    def grams(self, alpha: Array) -> Array:  # noqa: ARG002
        """The pairs of each kind, on the diagonal."""
        return self.pairs[:, :, None] * np.eye(2)

    def gram(self, alpha: Array) -> Array:  # noqa: ARG002
        """The same over all clusters."""
        return np.diag(self.pairs.sum(axis=0))

    def margin(self, alpha: Array) -> float:
        """Of contrasts within groups, between groups of a size, and of the whole cluster."""
        inner, outer = map(float, alpha)
        size = np.diff(self.group_start)
        within = 1.0 - inner if size.max() > 1 else 1.0
        total = 1.0 - inner + size * (inner - outer)
        if total.min() <= 0.0:
            return float(total.min())
        whole = 1.0 + outer * np.add.reduceat(size / total, self.first_group[:-1])
        return float(min(within, total.min(), whole.min()))


def nested_pairs(start: Indices, group_start: Indices, weights: Array, names: tuple[str, str]) -> NestedPairs:
    """The structure for clusters with inner groups; group_start (G + 1,) marks where these begin."""
    first_group = np.searchsorted(group_start, start).astype(np.int64)
    pairs = nested_sums(start, group_start, first_group, weights, weights)
    return NestedPairs(start, group_start, first_group, weights, pairs, names)


def nested_sums(start: Indices, group_start: Indices, first_group: Indices, u: Array, v: Array) -> Array:
    """Sums over pairs within inner groups and over the other pairs of each cluster: (K, 2)."""
    within = np.add.reduceat(pair_sums(group_start, u, v), first_group[:-1])
    return np.column_stack([within, pair_sums(start, u, v) - within])
