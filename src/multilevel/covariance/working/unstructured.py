"""A correlation of its own for every pair of visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel.covariance.working.specification import (
    Indices,
    PairEntries,
    PatternedCorrelation,
    one_parameter_a_pair,
)


@dataclass(frozen=True, slots=True)
class Unstructured(PatternedCorrelation):
    """Any correlations: one parameter for each pair of visits.

    Args:
        time: the column of visits; rows without one are numbered in the order of the data.

    >>> Unstructured().matrix(np.array([0.1, 0.2, 0.3]), np.arange(3))
    array([[1. , 0.1, 0.2],
           [0.1, 1. , 0.3],
           [0.2, 0.3, 1. ]])
    """

    time: str | None = None
    name: ClassVar[str] = "unstructured"
    words: ClassVar[str] = "each pair of visits has a correlation of its own"

    @property
    def time_column(self) -> str | None:
        """The column of visits."""
        return self.time

    def n_parameters(self, n_visits: int) -> int:
        """One for each pair of visits."""
        return n_visits * (n_visits - 1) // 2

    def parameter_names(self, visits: Sequence[str]) -> tuple[str, ...]:
        """By pair of visits."""
        s, t = (each.tolist() for each in np.triu_indices(len(visits), 1))
        return tuple(f"alpha[{visits[a]}, {visits[b]}]" for a, b in zip(s, t, strict=True))

    def pairs(self, visit: Indices, place: Indices, n_visits: int) -> PairEntries:  # noqa: ARG002
        """By the pair of visits."""
        s, t = np.triu_indices(len(visit), 1)
        a, b = np.minimum(visit[s], visit[t]), np.maximum(visit[s], visit[t])
        return one_parameter_a_pair(a * n_visits - a * (a + 1) // 2 + b - a - 1)
