"""Codes without gaps: which whole numbers of a short range occur, and the rank of each row's among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Codes, Mask

Positions = npt.NDArray[np.intp]
Integers = npt.NDArray[Any]  # of any integer dtype
_ROWS_AT_ONCE = 2**14  # their positions, widened for indexing, stay in cache


def short_range(span: int, n: int) -> bool:
    """Whether a table of `span` entries costs less than sorting n numbers."""
    return span <= min(8 * n + 1024, 2**31 - 1)


def which_occur(indices: Integers, span: int) -> Mask:
    """Which of 0 .. span - 1 occur (span,) among the indices (n,)."""
    found: Mask = np.zeros(span, dtype=np.bool_)
    for start in range(0, len(indices), _ROWS_AT_ONCE):
        found[indices[start : start + _ROWS_AT_ONCE].astype(np.intp)] = True
        if found.all():  # in shuffled rows every level turns up early
            break
    return found


def without_gaps(indices: Integers, span: int) -> tuple[Codes, Positions]:
    """Codes 0 .. J-1 (n,) in the order of the indices, and which of 0 .. span - 1 they stand for (J,)."""
    found = which_occur(indices, span)
    kept = np.flatnonzero(found)
    if len(kept) == span:
        return indices.astype(np.int32, copy=False), kept
    rank = np.cumsum(found, dtype=np.int32) - np.int32(1)
    return rank.take(indices), kept
