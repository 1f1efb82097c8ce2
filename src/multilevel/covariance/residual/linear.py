"""Correlations that are linear in their parameters: m-dependent, user-defined, or known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import NUMBER, Limits
from multilevel.covariance.working.specification import PairEntries, matrix_of_pairs


@dataclass(frozen=True, slots=True)
class LinearCorrelation:
    """R as a working correlation has it, where that is positive definite; eta are its own parameters.

    >>> from multilevel.covariance.working.m_dependent import MDependent
    >>> visits = np.arange(3)
    >>> chart = LinearCorrelation(("alpha[lag 1]",), 3, MDependent(1).pairs(visits, visits, 3))
    >>> chart.matrix(np.array([0.4]))
    array([[1. , 0.4, 0. ],
           [0.4, 1. , 0.4],
           [0. , 0.4, 1. ]])
    """

    names: tuple[str, ...]  # (k,)
    size: int  # T
    entries: PairEntries  # of all pairs of visits

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Which values are possible together, no interval says."""
        return (NUMBER,) * len(self.names)

    def natural(self, eta: Array) -> Array:
        """The parameters themselves."""
        return eta

    def matrix(self, eta: Array) -> Array:
        """R (T, T)."""
        return matrix_of_pairs(self.entries, eta, self.size)

    def slopes(self, eta: Array, G: Array) -> Array:
        """Twice the sum of G over pairs, times what the parameter counts in each."""
        of_pairs = 2.0 * G[np.triu_indices(self.size, 1)]
        terms = self.entries.value * of_pairs[self.entries.pair]
        sums = np.bincount(self.entries.parameter, terms, minlength=len(eta))
        return np.asarray(sums, dtype=np.float64)

    def near(self, R: Array) -> Array:  # noqa: ARG002
        """No correlation: always possible, unless some is given."""
        return np.zeros(len(self.names))

    def elsewhere(self) -> list[Array]:
        """None."""
        return []
