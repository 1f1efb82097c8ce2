"""Which combinations of two factors' levels occur, and which has each row?

A combination is one number, its key `first * n_levels_of_second + second`: keys in increasing order are
the combinations in the order of their levels, the first varying slowest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from multilevel._typing import Codes
from multilevel.frames.codes import short_range, without_gaps
from multilevel.frames.distinct import hash_values

Keys = npt.NDArray[np.int64]


def pair(first: Codes, second: Codes, n_second: int) -> Keys:
    """One number a row (n,) for the combination of two codes."""
    keys: Keys = first.astype(np.int64) * n_second
    keys += second
    return keys


def distinct_pairs(first: Codes, second: Codes, n_first: int, n_second: int) -> tuple[Keys, Codes]:
    """Keys of the combinations that occur, increasing, and each row's index among them (n,).

    Every level of both factors occurs in some row.
    """
    if short_range(n_first * n_second, len(first)):
        codes, present = without_gaps(pair(first, second, n_second), n_first * n_second)
        return present.astype(np.int64), codes
    nested = _nested(first, second, n_first, n_second)
    if nested is not None:
        return nested
    codes, keys = hash_values(pair(first, second, n_second))
    return keys, codes


def _nested(first: Codes, second: Codes, n_first: int, n_second: int) -> tuple[Keys, Codes] | None:
    """The same where each level of one factor goes with one level of the other: no sort over rows."""
    outer = _only_partner(second, first, n_second)
    if outer is not None:
        keys = pair(outer, np.arange(n_second, dtype=np.int32), n_second)
        order = np.argsort(keys)
        rank = np.empty(n_second, dtype=np.int32)
        rank[order] = np.arange(n_second, dtype=np.int32)
        return keys[order], rank.take(second)
    outer = _only_partner(first, second, n_first)
    return None if outer is None else (pair(np.arange(n_first, dtype=np.int32), outer, n_second), first)


def _only_partner(inner: Codes, outer: Codes, n_inner: int) -> Codes | None:
    """The outer level (n_inner,) that each inner level goes with; None where one goes with several."""
    partner = np.zeros(n_inner, dtype=np.int32)
    partner[inner] = outer
    return partner if np.array_equal(partner.take(inner), outer) else None
