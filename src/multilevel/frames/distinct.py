"""Which distinct values does an array of numbers hold, and which of them does each row?"""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw
import numpy as np
import numpy.typing as npt

from multilevel._typing import Codes
from multilevel.frames.codes import short_range, without_gaps

WHOLE_BELOW: Final = 2.0**53  # up to here float64 holds every whole number


def distinct_values(values: npt.NDArray[Any]) -> tuple[Codes, list[Any]]:
    """Codes (n,) and the distinct values in increasing order, those of whole numbers as `int`.

    >>> distinct_values(np.array([7.0, 5.0, 7.0]))
    (array([1, 0, 1], dtype=int32), [5, 7])
    """
    table = _steps(values)
    if table is None:
        codes, levels = hash_values(values)
        return codes, list(levels) if levels.dtype.kind == "M" else levels.tolist()
    steps, low, span = table
    codes, kept = without_gaps(steps, span)
    return codes, [low + step for step in kept.tolist()]


def hash_values(values: npt.NDArray[Any]) -> tuple[Codes, npt.NDArray[Any]]:
    """The same for values far apart: pandas hashes them four times faster than NumPy sorts them."""
    pandas = nw.Implementation.PANDAS.to_native_namespace()
    indices, found = pandas.factorize(values, use_na_sentinel=False)
    order = np.argsort(found)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank.take(indices), found[order]


def _steps(values: npt.NDArray[Any]) -> tuple[Codes, int, int] | None:
    """How far each value (n,) lies above the least, that least, and the length of the range.

    None unless all values are whole numbers, close enough together for a table to beat a sort.
    """
    if values.dtype.kind not in "iuf" or not len(values):
        return None
    low, high = values.min(), values.max()
    integers = values.dtype.kind != "f"
    if not (integers or -WHOLE_BELOW < low <= high < WHOLE_BELOW):  # not so with NaN either
        return None
    span = int(high) - int(low) + 1
    if not short_range(span, len(values)):
        return None
    steps = np.empty(len(values), dtype=np.int32)  # in one pass, without a wide copy
    np.subtract(values, low, out=steps, dtype=np.int64 if integers else np.float64, casting="unsafe")
    whole = integers or (low.is_integer() and np.array_equal(steps + low, values))
    return (steps, int(low), span) if whole else None
