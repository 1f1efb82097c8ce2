"""Two levels of clustering: patients of one physician are more alike than patients of one clinic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.working.specification import Correlation


@dataclass(frozen=True, slots=True)
class NestedExchangeable(Correlation):
    """Rows of one inner group correlate by one alpha, other rows of a cluster by another.

    Args:
        inner: the column of inner groups; its labels need be distinct within clusters only.

    >>> NestedExchangeable("physician").matrix(np.array([0.5, 0.1]), np.array([1, 1, 2]))
    array([[1. , 0.5, 0.1],
           [0.5, 1. , 0.1],
           [0.1, 0.1, 1. ]])
    """

    inner: str
    name: ClassVar[str] = "nested-exchangeable"
    words: ClassVar[str] = "rows correlate more within an inner group than across the groups of a cluster"

    def matrix(self, alpha: Array, times: Array) -> Array:
        """R (m, m), with the inner groups in the place of times."""
        R = np.where(times[:, None] == times, alpha[0], alpha[1])
        np.fill_diagonal(R, 1.0)
        return np.asarray(R, dtype=np.float64)
