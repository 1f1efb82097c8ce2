"""Any column as group labels: which level does each row belong to?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Codes, Mask
from multilevel.errors import DataError
from multilevel.frames.column import Categorical, Column, Numeric


def group_codes(column: Column) -> Categorical:
    """Codes and text labels of a column that names groups.

    Numbers are ordered by value and written without a needless ".0", so that the integer 7 and the
    float 7.0 name the same group; categoricals keep their order and all their levels.
    """
    if isinstance(column, Numeric):
        return _number_codes(column)
    labels = tuple(label_text(level) for level in column.levels)
    if len(set(labels)) < len(labels):
        repeated = next(label for label in labels if labels.count(label) > 1)
        raise DataError(f"Two levels of a grouping column read {repeated!r} when written out; rename one.")
    return Categorical(column.codes, labels, column.ordered)


def label_text(value: Any) -> str:
    """How a level is written in tables: 7.0 as "7", dates in ISO form."""
    if isinstance(value, np.datetime64):
        return _moment_text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value)


def _number_codes(column: Numeric) -> Categorical:
    values = column.values if column.exact is None else column.exact
    if column.missing is None:
        codes, levels = _distinct(values)
    else:
        codes = np.full(len(values), -1, dtype=np.int32)
        codes[~column.missing], levels = _distinct(values[~column.missing])
    return Categorical(codes, tuple(map(label_text, levels)), ordered=False)


def _distinct(values: npt.NDArray[Any]) -> tuple[Codes, list[Any]]:
    """Codes (n,) and the distinct values in increasing order."""
    if _whole(values):
        low, high = int(values.min()), int(values.max())
        if high - low < 4 * len(values) + 1024:
            return _distinct_in_range((values - values.min()).astype(np.int64), low, high)
    levels, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int32), list(levels) if levels.dtype.kind == "M" else levels.tolist()


def _distinct_in_range(above_low: npt.NDArray[np.int64], low: int, high: int) -> tuple[Codes, list[int]]:
    """The same by a table over the range of the integers: no sort."""
    present: Mask = np.zeros(high - low + 1, dtype=np.bool_)
    present[above_low] = True
    rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return rank[above_low], [low + i for i in np.flatnonzero(present).tolist()]


def _whole(values: npt.NDArray[Any]) -> bool:
    """Whether all values are finite whole numbers."""
    if not len(values) or values.dtype.kind == "M":
        return False
    return values.dtype.kind in "iu" or bool(np.isfinite(values).all() and (values == np.floor(values)).all())


def _moment_text(moment: np.datetime64) -> str:
    """ISO form without trailing zeros: 2024-03-01, or 2024-03-01T08:30:00 when there is a time of day."""
    for unit in ("D", "s"):
        if moment == moment.astype(f"datetime64[{unit}]"):
            return str(moment.astype(f"datetime64[{unit}]"))
    return str(moment)
