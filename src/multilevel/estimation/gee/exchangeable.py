"""One correlation for all pairs of a cluster: sums over pairs are squares of sums over rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.gee.structure import LinearStructure
from multilevel.kernels.gee import ExchangeableInverse, Indices


@dataclass(frozen=True, slots=True)
class ExchangeablePairs(LinearStructure):
    """R = (1 - alpha) I + alpha J."""

    start: Indices  # (K + 1,)
    weights: Array  # (n,)
    pairs: Array  # (K,) sums of w_s w_t over pairs
    names: tuple[str, ...] = ("alpha",)

    def reweighted(self, weights: Array) -> ExchangeablePairs:
        """Pairs counted again."""
        return exchangeable_pairs(self.start, weights)

    def inverse(self, alpha: Array) -> ExchangeableInverse:
        """By its closed form."""
        return ExchangeableInverse(self.start, float(alpha[0]))

    def products(self, u: Array, v: Array, alpha: Array) -> Array:  # noqa: ARG002
        """(sum u sum v - sum u v) / 2."""
        return pair_sums(self.start, u, v)[:, None]

    def grams(self, alpha: Array) -> Array:  # noqa: ARG002
        """The pairs, counted by their weights."""
        return self.pairs[:, None, None]

    def gram(self, alpha: Array) -> Array:  # noqa: ARG002
        """All pairs."""
        return np.array([[self.pairs.sum()]])

    def margin(self, alpha: Array) -> float:
        """1 - alpha, or 1 + (m - 1) alpha of the largest cluster."""
        largest = int(np.diff(self.start).max())
        if largest == 1:
            return 1.0
        return float(min(1.0 - alpha[0], 1.0 + (largest - 1) * alpha[0]))


def exchangeable_pairs(start: Indices, weights: Array) -> ExchangeablePairs:
    """The structure for clusters of rows with weights."""
    return ExchangeablePairs(start, weights, pair_sums(start, weights, weights))


def pair_sums(start: Indices, u: Array, v: Array) -> Array:
    """Sums over the pairs of each group of (u_s v_t + v_s u_t) / 2: (K,)."""
    of_u = np.add.reduceat(u, start[:-1])
    of_v = of_u if v is u else np.add.reduceat(v, start[:-1])
    return np.asarray(0.5 * (of_u * of_v - np.add.reduceat(u * v, start[:-1])))
