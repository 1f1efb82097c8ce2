"""Which thresholds may cut an ordered response? A linear map from their parameters, by structure.

flexible     one parameter a threshold
symmetric    about the middle: the centre, then distances from it
equidistant  the first threshold, and the distance between neighbours
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from multilevel._typing import Array
from multilevel.families.ordinal import Thresholds


def threshold_map(categories: int, structure: Thresholds) -> Array:
    """J (K - 1, k): the thresholds between K categories are J alpha.

    >>> threshold_map(4, "symmetric")
    array([[ 1., -1.],
           [ 1.,  0.],
           [ 1.,  1.]])
    """
    m = categories - 1
    if structure == "flexible" or m == 1:
        return np.eye(m)
    if structure == "equidistant":
        return np.column_stack([np.ones(m), np.arange(m, dtype=float)])
    return symmetric_map(m)


def symmetric_map(m: int) -> Array:
    """Centre, and for m odd its distances to each side; for m even half the thresholds lie on each side."""
    if m % 2:
        distances = np.zeros((m, m // 2))
        middle = m // 2
        for k in range(m // 2):
            distances[middle + 1 + k, k], distances[middle - 1 - k, k] = 1.0, -1.0
        return np.column_stack([np.ones(m), distances])
    distances = np.zeros((m, m // 2))
    for k in range(m // 2):
        distances[m // 2 + k, k], distances[m // 2 - 1 - k, k] = 1.0, -1.0
    return np.column_stack([np.ones(m), distances])


def threshold_names(labels: tuple[str, ...], structure: Thresholds) -> tuple[str, ...]:
    """Names of the parameters alpha: "low|mid", or what the structure calls them."""
    m = len(labels) - 1
    if structure == "flexible" or m == 1:
        return boundary_names(labels)
    if structure == "equidistant":
        return ("threshold.1", "spacing")
    return ("central", *(f"spacing.{k + 1}" for k in range(threshold_map(m + 1, structure).shape[1] - 1)))


def boundary_names(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the thresholds (K - 1,), each between two categories."""
    return tuple(f"{low}|{high}" for low, high in pairwise(labels))


def constant_threshold(J: Array) -> Array:
    """The parameters (k,) that move all thresholds by one."""
    return np.asarray(np.linalg.lstsq(J, np.ones(len(J)), rcond=None)[0])


def threshold_columns(y: Array, J: Array) -> tuple[Array, Array]:
    """What each row's upper and lower threshold take of alpha: (n, k) each, zero beyond either end."""
    padded = np.vstack([np.zeros(J.shape[1]), J, np.zeros(J.shape[1])])
    category = y.astype(np.int64)
    return np.asfortranarray(padded[category + 1]), np.asfortranarray(padded[category])
