"""A correlation of its own for every distance between visits."""

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
class Toeplitz(PatternedCorrelation):
    """Visits k apart correlate by alpha_k, for every k: stationary, and else free.

    Args:
        time: the column of visits, in whose order they are numbered; rows without one are a step apart in the
            order of the data.

    >>> Toeplitz().matrix(np.array([0.5, 0.3]), np.arange(3))
    array([[1. , 0.5, 0.3],
           [0.5, 1. , 0.5],
           [0.3, 0.5, 1. ]])
    """

    time: str | None = None
    name: ClassVar[str] = "toeplitz"
    words: ClassVar[str] = "visits k apart correlate by alpha_k"

    @property
    def time_column(self) -> str | None:
        """The column of visits."""
        return self.time

    def n_parameters(self, n_visits: int) -> int:
        """One for each lag."""
        return n_visits - 1

    def parameter_names(self, visits: Sequence[str]) -> tuple[str, ...]:
        """By lag."""
        return tuple(f"alpha[lag {k}]" for k in range(1, len(visits)))

    def pairs(self, visit: Indices, place: Indices, n_visits: int) -> PairEntries:  # noqa: ARG002
        """By the number of visits between."""
        s, t = np.triu_indices(len(visit), 1)
        return one_parameter_a_pair(np.abs(visit[t] - visit[s]) - 1)
