"""No correlation: rows of a cluster are taken as independent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.working.specification import Correlation


@dataclass(frozen=True, slots=True)
class Independence(Correlation):
    """R = I.

    >>> Independence().matrix(np.empty(0), np.arange(2.0))
    array([[1., 0.],
           [0., 1.]])
    """

    name: ClassVar[str] = "independence"
    words: ClassVar[str] = "rows are uncorrelated"

    def matrix(self, alpha: Array, times: Array) -> Array:  # noqa: ARG002
        """I (m, m)."""
        return np.eye(len(times))
