"""Which columns are so large or so small that their squares leave the range of double precision?

Sums of squares, and the variances of coefficients (in inverse units squared), need them to stay within.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.errors import DataError

LARGEST = 1e140  # its square, summed over any number of rows, is a number; so is the inverse
SMALLEST = 1 / LARGEST
_ROWS_SAMPLED = 10_000


def refuse_extreme_columns(names: Sequence[str], matrix: Array) -> None:
    """An error naming the first column (n, k) whose squares could not be computed."""
    sample = matrix[:: max(1, len(matrix) // _ROWS_SAMPLED)]
    for j in np.flatnonzero(~_moderate(_sizes(sample))).tolist():
        size = _sizes(matrix[:, [j]])  # of all rows: those of the sample may be the small ones
        if not _moderate(size).all():
            raise DataError(
                f"{names[j]!r} has values of the order of {size[0]:.0e}, whose squares are beyond double "
                "precision; measure it in other units."
            )


def moderated(X: Array) -> Array:
    """X (n, p) with each column divided by its largest value; X itself when no column needs it."""
    sizes = _sizes(X)
    return X if _moderate(sizes).all() else X / np.where(sizes > 0, sizes, 1.0)


def _sizes(X: Array) -> Array:
    """Largest absolute value of each column (k,)."""
    sizes: Array = np.abs(X).max(axis=0, initial=0.0)
    return sizes


def _moderate(sizes: Array) -> Mask:
    moderate: Mask = (sizes == 0) | (sizes >= SMALLEST) & (sizes <= LARGEST)
    return moderate
