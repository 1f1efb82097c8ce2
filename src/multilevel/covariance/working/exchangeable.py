"""One correlation for any two rows of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.working.specification import Correlation


@dataclass(frozen=True, slots=True)
class Exchangeable(Correlation):
    """R = (1 - alpha) I + alpha J: also called compound symmetry.

    >>> Exchangeable().matrix(np.array([0.3]), np.arange(2.0))
    array([[1. , 0.3],
           [0.3, 1. ]])
    """

    name: ClassVar[str] = "exchangeable"
    words: ClassVar[str] = "any two rows of a cluster correlate by alpha"

    def matrix(self, alpha: Array, times: Array) -> Array:
        """Ones on the diagonal, alpha elsewhere: (m, m)."""
        return np.asarray((1.0 - alpha[0]) * np.eye(len(times)) + alpha[0])
