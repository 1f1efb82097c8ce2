"""Correlation that falls with the distance in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.working.specification import Correlation


@dataclass(frozen=True, slots=True)
class AR1(Correlation):
    """R = alpha^|t - s|: first-order autoregression, with gaps and with times that are any numbers.

    Args:
        time: the column of times; rows without one are a step apart in the order of the data.

    >>> AR1().matrix(np.array([0.5]), np.array([0.0, 1.0, 3.0]))
    array([[1.   , 0.5  , 0.125],
           [0.5  , 1.   , 0.25 ],
           [0.125, 0.25 , 1.   ]])
    """

    time: str | None = None
    name: ClassVar[str] = "ar1"
    words: ClassVar[str] = "rows a time d apart correlate by alpha^d"
    ordered: ClassVar[bool] = True

    @property
    def time_column(self) -> str | None:
        """The column of times."""
        return self.time

    def matrix(self, alpha: Array, times: Array) -> Array:
        """alpha to the power of the distance: (m, m)."""
        return np.asarray(alpha[0] ** np.abs(times[:, None] - times))
