"""What do models say of the mean at each time, and what was observed?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array


@dataclass(frozen=True, slots=True)
class TimeMeans:
    """Means over the rows at each of T times."""

    times: Array  # (T,) increasing
    observed: Array  # (T,)
    models: Mapping[str, Array]  # name -> (T,) of the fixed part


def time_means(times: Array, y: Array, fitted: Mapping[str, Array], weights: Array) -> TimeMeans:
    """Weighted means by time of the response (n,) and of fixed parts (n,).

    >>> found = time_means(np.array([0.0, 1.0, 1.0]), np.array([1.0, 2.0, 4.0]), {}, np.ones(3))
    >>> found.times, found.observed
    (array([0., 1.]), array([1., 3.]))
    """
    distinct, codes = np.unique(times, return_inverse=True)
    total = np.bincount(codes, weights=weights)

    def mean(values: Array) -> Array:
        return np.asarray(np.bincount(codes, weights=weights * values) / total)

    return TimeMeans(distinct, mean(y), {name: mean(values) for name, values in fitted.items()})
