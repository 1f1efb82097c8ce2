"""Independence: nothing to estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.gee.structure import LinearStructure
from multilevel.kernels.gee import IndependentInverse, Indices


@dataclass(frozen=True, slots=True)
class Independent(LinearStructure):
    """R = I."""

    start: Indices  # (K + 1,)
    weights: Array  # (n,)
    names: tuple[str, ...] = ()

    def reweighted(self, weights: Array) -> Independent:
        """Nothing depends on them."""
        return Independent(self.start, weights)

    def inverse(self, alpha: Array) -> IndependentInverse:  # noqa: ARG002
        """I."""
        return IndependentInverse(self.start)

    def products(self, u: Array, v: Array, alpha: Array) -> Array:  # noqa: ARG002
        """No parameters: (K, 0)."""
        return np.empty((len(self.start) - 1, 0))

    def grams(self, alpha: Array) -> Array:  # noqa: ARG002
        """(K, 0, 0)."""
        return np.empty((len(self.start) - 1, 0, 0))

    def gram(self, alpha: Array) -> Array:  # noqa: ARG002
        """(0, 0)."""
        return np.empty((0, 0))

    def margin(self, alpha: Array) -> float:  # noqa: ARG002
        """One."""
        return 1.0
