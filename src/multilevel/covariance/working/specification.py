"""What is a correlation structure for the rows of a cluster?

A specification says which structure is meant and, where the order of rows matters, which column has the
times; it knows no data. What a structure makes of times and of its parameters alpha are methods of arrays:
`matrix(alpha, times)`, and for structures without a closed form `pairs(visit)`, the design of the
correlations of all pairs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array

Indices = npt.NDArray[np.int64]


class Correlation(ABC):
    """A family of correlation matrices, one for every set of times, indexed by a few parameters."""

    name: ClassVar[str]  # as users write it: "exchangeable"
    words: ClassVar[str]  # what it says of two rows of a cluster
    ordered: ClassVar[bool] = False  # whether it matters when, or in which order, rows were measured

    @property
    def time_column(self) -> str | None:
        """The column of times that the specification names, if any."""
        return None

    @abstractmethod
    def matrix(self, alpha: Array, times: Array) -> Array:
        """R (m, m) of rows at `times` (m,): numbers, or indices of visits where these matter."""


@dataclass(frozen=True, slots=True)
class PairEntries:
    """Correlations of pairs, linear in alpha: entry e puts value[e] alpha[parameter[e]] in pair[e]."""

    pair: Indices  # (e,) in increasing order
    parameter: Indices  # (e,)
    value: Array  # (e,)
    constant: Array  # (pairs,) what is known beforehand


class PatternedCorrelation(Correlation):
    """Correlations that depend on which visits two rows are: linear in alpha, without closed form."""

    ordered: ClassVar[bool] = True

    @abstractmethod
    def n_parameters(self, n_visits: int) -> int:
        """How many parameters there are for so many different visits."""

    @abstractmethod
    def parameter_names(self, visits: Sequence[str]) -> tuple[str, ...]:
        """Names of the parameters, from the labels of the visits."""

    @abstractmethod
    def pairs(self, visit: Indices, place: Indices, n_visits: int) -> PairEntries:
        """The pairs (0, 1), (0, 2), ..., (1, 2), ... of a cluster with these visits (m,), numbered from 0.

        `place` (m,) are the visits as whole numbers whose differences are lags.
        """

    def matrix(self, alpha: Array, times: Array) -> Array:
        """R (m, m) of visits whose numbers are `times`."""
        visit = np.asarray(times, dtype=np.int64)
        return matrix_of_pairs(self.pairs(visit, visit, int(visit.max(initial=0)) + 1), alpha, len(visit))


def matrix_of_pairs(entries: PairEntries, alpha: Array, m: int) -> Array:
    """The correlation matrix (m, m) that the pairs make.

    >>> entries = PairEntries(np.array([0, 1, 2]), np.array([0, 0, 0]), np.ones(3), np.zeros(3))
    >>> matrix_of_pairs(entries, np.array([0.5]), 3)
    array([[1. , 0.5, 0.5],
           [0.5, 1. , 0.5],
           [0.5, 0.5, 1. ]])
    """
    R = np.eye(m)
    rho = pair_correlations(entries, alpha)
    s, t = np.triu_indices(m, 1)
    R[s, t] = R[t, s] = rho
    return R


def pair_correlations(entries: PairEntries, alpha: Array) -> Array:
    """Correlations (pairs,) at alpha."""
    terms = entries.value * alpha[entries.parameter]
    return entries.constant + np.bincount(entries.pair, terms, minlength=len(entries.constant))


def one_parameter_a_pair(parameter: Indices) -> PairEntries:
    """Pairs that are one parameter each (pairs,), or zero where it is -1."""
    pair = np.flatnonzero(parameter >= 0)
    return PairEntries(pair, parameter[pair], np.ones(len(pair)), np.zeros(len(parameter)))
