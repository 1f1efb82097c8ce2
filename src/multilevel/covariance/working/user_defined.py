"""Correlations that are linear functions of parameters, as the user's design says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_numbers
from multilevel._typing import Array
from multilevel.covariance.working.specification import Indices, PairEntries, PatternedCorrelation
from multilevel.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class UserCorrelation(PatternedCorrelation):
    """The correlation of two rows is a row of a design times alpha.

    Args:
        design: (T, T, q), the design of every two visits; or (pairs, q) as R's geepack has it (`zcor`), a row
            for each pair of rows, cluster after cluster as they first appear in the data, within a
            cluster the pairs (1, 2), (1, 3), ..., (2, 3), ... in order of time.
        names: of the q parameters; "alpha[1]", ... if not given.
        time: the column of visits; rows without one are numbered in the order of the data.

    >>> lag = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    >>> toeplitz = UserCorrelation(np.stack([lag == 1, lag == 2], axis=2) * 1.0)
    >>> toeplitz.matrix(np.array([0.5, 0.2]), np.arange(3))
    array([[1. , 0.5, 0.2],
           [0.5, 1. , 0.5],
           [0.2, 0.5, 1. ]])
    """

    design: npt.ArrayLike
    names: Sequence[str] | None = None
    time: str | None = None
    name: ClassVar[str] = "user-defined"
    words: ClassVar[str] = "correlations are linear in alpha, as the given design says"

    def __post_init__(self) -> None:
        E = checked_numbers("the design of a correlation", self.design)
        if E.ndim not in (2, 3) or (E.ndim == 3 and E.shape[0] != E.shape[1]) or E.shape[-1] == 0:
            raise DataError(
                "the design of a correlation has the shape (visits, visits, parameters) or (pairs, "
                f"parameters), got {E.shape}."
            )
        object.__setattr__(self, "design", E)
        if self.names is not None and len(self.names) != E.shape[-1]:
            raise DataError(f"{len(self.names)} names for {E.shape[-1]} parameters; give one each.")

    @property
    def time_column(self) -> str | None:
        """The column of visits."""
        return self.time

    @property
    def array(self) -> Array:
        """The design as an array."""
        return np.asarray(self.design)

    @property
    def by_pair(self) -> bool:
        """Whether the design has a row for each pair of rows in the data, rather than of visits."""
        return self.array.ndim == 2

    def n_parameters(self, n_visits: int) -> int:
        """Columns of the design."""
        if not self.by_pair and n_visits > len(self.array):
            raise DataError(
                f"the design of the correlations has {len(self.array)} visits and the data have {n_visits}; "
                "give all of them, in their order."
            )
        return int(self.array.shape[-1])

    def parameter_names(self, visits: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        """The user's own, or numbers."""
        q = self.array.shape[-1]
        return tuple(self.names) if self.names is not None else tuple(f"alpha[{k + 1}]" for k in range(q))

    def pairs(self, visit: Indices, place: Indices, n_visits: int) -> PairEntries:  # noqa: ARG002
        """By the pair of visits."""
        s, t = np.triu_indices(len(visit), 1)
        return entries_of_rows(self.array[visit[s], visit[t]])


def entries_of_rows(E: Array) -> PairEntries:
    """The entries of a design (pairs, q) that are not zero."""
    pair, parameter = np.nonzero(E)
    return PairEntries(pair, parameter, E[pair, parameter], np.zeros(len(E)))
