"""Which columns are so large or so small that their squares leave the range of double precision?

Sums of squares, and the variances of coefficients (in inverse units squared), need them to stay within.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.errors import DataError

LARGEST = 1e140  # its square, summed over any number of rows, is a number; so is the inverse
SMALLEST = 1 / LARGEST
_ROWS_SAMPLED = 10_000


def refuse_extreme_columns(names: Sequence[str], matrix: Array) -> None:
    """An error naming the first column (n, k) whose squares could not be computed."""
    sample = matrix[:: max(1, len(matrix) // _ROWS_SAMPLED)]
    for j, sampled in enumerate(_sizes(sample)):
        if _is_moderate(sampled):
            continue
        (size,) = _sizes(matrix[:, [j]])  # of all rows: those of the sample may be the small ones
        if not _is_moderate(size):
            raise DataError(
                f"{names[j]!r} has values of the order of {size:.0e}, whose squares are beyond double "
                "precision; measure it in other units."
            )


def moderated(X: Array) -> Array:
    """X (n, p) with each column divided by its largest value; X itself when no column needs it."""
    sizes = _sizes(X)
    return X if all(map(_is_moderate, sizes)) else X / [size or 1.0 for size in sizes]


def _sizes(X: Array) -> list[float]:
    """Largest absolute value of each column (k,)."""
    sizes: list[float] = np.abs(X).max(axis=0, initial=0.0).tolist()
    return sizes


def _is_moderate(size: float) -> bool:
    return size == 0.0 or SMALLEST <= size <= LARGEST
