"""Correlation between visits that are no more than m apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel._options import checked_count, checked_switch
from multilevel.covariance.working.specification import (
    Indices,
    PairEntries,
    PatternedCorrelation,
    one_parameter_a_pair,
)


@dataclass(frozen=True, slots=True)
class MDependent(PatternedCorrelation):
    """Visits k apart correlate by alpha_k for k = 1, ..., m, and are uncorrelated farther apart.

    Args:
        m: the largest lag with a correlation.
        stationary: one correlation for each lag; if False, one for each pair of visits up to the lag.
        time: the column of visits; rows without one are a step apart in the order of the data.

    >>> MDependent(1).matrix(np.array([0.4]), np.arange(3))
    array([[1. , 0.4, 0. ],
           [0.4, 1. , 0.4],
           [0. , 0.4, 1. ]])
    """

    m: int = 1
    stationary: bool = True
    time: str | None = None
    name: ClassVar[str] = "m-dependent"
    words: ClassVar[str] = "visits at most m apart correlate"

    def __post_init__(self) -> None:
        checked_count("m", self.m)
        checked_switch("stationary", self.stationary)

    @property
    def time_column(self) -> str | None:
        """The column of visits."""
        return self.time

    def n_parameters(self, n_visits: int) -> int:
        """One for each lag, or for each pair of visits up to the lag."""
        return self.m if self.stationary else len(self._close(n_visits)[0])

    def parameter_names(self, visits: Sequence[str]) -> tuple[str, ...]:
        """By lag, or by pair of visits."""
        if self.stationary:
            return tuple(f"alpha[lag {k}]" for k in range(1, self.m + 1))
        s, t = (each.tolist() for each in self._close(len(visits)))
        return tuple(f"alpha[{visits[a]}, {visits[b]}]" for a, b in zip(s, t, strict=True))

    def pairs(self, visit: Indices, place: Indices, n_visits: int) -> PairEntries:
        """By the lag, or by the pair of visits where the lag is at most m."""
        s, t = np.triu_indices(len(visit), 1)
        if self.stationary:
            lag = np.abs(place[t] - place[s])
            return one_parameter_a_pair(np.where(lag <= self.m, lag - 1, -1))
        numbers = np.full((n_visits, n_visits), -1, dtype=np.int64)
        close = self._close(n_visits)
        numbers[close] = np.arange(len(close[0]))
        return one_parameter_a_pair(numbers[visit[s], visit[t]])

    def _close(self, n_visits: int) -> tuple[Indices, Indices]:
        s, t = np.triu_indices(n_visits, 1)
        near = t - s <= self.m
        return s[near], t[near]
