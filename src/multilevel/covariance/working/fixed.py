"""Correlations that are known beforehand."""

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
class FixedCorrelation(PatternedCorrelation):
    """A given correlation matrix of the visits; nothing is estimated.

    Args:
        given: (T, T) correlations, visits in their order.
        time: the column of visits; rows without one are numbered in the order of the data.

    >>> FixedCorrelation([[1.0, 0.5], [0.5, 1.0]]).matrix(np.empty(0), np.arange(2))
    array([[1. , 0.5],
           [0.5, 1. ]])
    """

    given: npt.ArrayLike
    time: str | None = None
    name: ClassVar[str] = "fixed"
    words: ClassVar[str] = "correlations are as given"

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", checked_correlation(self.given))

    @property
    def time_column(self) -> str | None:
        """The column of visits."""
        return self.time

    def n_parameters(self, n_visits: int) -> int:
        """None; the matrix must know all visits."""
        T = len(np.asarray(self.given))
        if n_visits > T:
            raise DataError(
                f"the given correlation matrix has {T} visits and the data have {n_visits}; "
                "give a row and a column for each visit, in their order."
            )
        return 0

    def parameter_names(self, visits: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        """None."""
        return ()

    def pairs(self, visit: Indices, place: Indices, n_visits: int) -> PairEntries:  # noqa: ARG002
        """Constants alone."""
        s, t = np.triu_indices(len(visit), 1)
        none = np.empty(0, dtype=np.int64)
        return PairEntries(none, none, np.empty(0), np.asarray(self.given)[visit[s], visit[t]])


def checked_correlation(given: npt.ArrayLike) -> Array:
    """A symmetric, positive definite matrix with ones on its diagonal."""
    R = checked_numbers("a fixed correlation", given)
    if R.ndim != 2 or R.shape[0] != R.shape[1]:
        raise DataError(f"a correlation matrix is square, got shape {R.shape}.")
    if not np.allclose(R, R.T, rtol=0.0, atol=1e-8) or not np.allclose(
        R.diagonal(), 1.0, rtol=0.0, atol=1e-8
    ):
        raise DataError("a correlation matrix is symmetric and has ones on its diagonal; check the matrix.")
    least = float(np.linalg.eigvalsh(R)[0])
    if least <= 0.0:
        raise DataError(
            f"the given correlation matrix is not positive definite (its least eigenvalue is {least:.3g}), "
            "so no data can have it; make its correlations smaller, or take the nearest that is."
        )
    return R
