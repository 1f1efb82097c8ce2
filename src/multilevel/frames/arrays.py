"""NumPy arrays as columns: what numbers, truth values and times mean to a model."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Mask
from multilevel.errors import DataTypeError
from multilevel.frames.column import Categorical, Integers, Numeric, RawColumn, missing_mask

ONE_DAY: Final = np.timedelta64(1, "D")
LARGEST_EXACT: Final = 2**53  # beyond it float64 skips integers


def read_array(name: str, values: npt.NDArray[Any]) -> RawColumn:
    """Column of an array (n,) of numbers, truth values, dates or durations."""
    match values.dtype.kind:
        case "f":
            return floats(values)
        case "i" | "u":
            return Integers(values, None)
        case "b":
            return booleans(values)
        case "M":
            return times(values)
        case "m":
            return durations(values)
    raise DataTypeError(f"Column {name!r} holds {values.dtype}, which is neither numbers nor labels.")


def floats(values: npt.NDArray[Any]) -> Numeric:
    """Numbers with NaN where missing; no copy of a contiguous float64 array."""
    numbers: Array = np.ascontiguousarray(values, dtype=np.float64)
    if all_finite(numbers):
        return Numeric(numbers, integer=False, missing=None, finite=True)
    return Numeric(numbers, integer=False, missing=missing_mask(np.isnan(numbers)))


def all_finite(values: Array) -> bool:
    """Whether no value is missing or infinite."""
    return bool(np.isfinite(values).all())


def numbers_of(column: Integers) -> Numeric:
    """Integers as numbers to compute with."""
    numbers: Array = column.values.astype(np.float64)
    exact = column.values if _needs_exact(column.values) else None
    if column.missing is not None:
        numbers[column.missing] = np.nan
    return Numeric(numbers, True, column.missing, exact, finite=column.missing is None)


def booleans(values: npt.NDArray[Any], missing: Mask | None = None) -> Categorical:
    """Truth values as labels, False before True."""
    codes = values.astype(np.int32)
    if missing is not None:
        codes[missing] = -1
    return Categorical(codes, (False, True), ordered=False)


def times(values: npt.NDArray[Any]) -> Numeric:
    """Dates and times as days since 1970-01-01 (UTC); the moments themselves stay in `exact`."""
    epoch = np.zeros((), dtype=values.dtype)
    return Numeric((values - epoch) / ONE_DAY, False, missing_mask(np.isnat(values)), exact=values)


def durations(values: npt.NDArray[Any]) -> Numeric:
    """Durations as days."""
    return Numeric(values / ONE_DAY, False, missing_mask(np.isnat(values)))


def all_missing(n: int) -> Numeric:
    """A column of n missing values."""
    return Numeric(np.full(n, np.nan), False, np.ones(n, dtype=np.bool_) if n else None)


def _needs_exact(values: npt.NDArray[Any]) -> bool:
    if values.dtype.itemsize < 8 or not values.size:
        return False
    return bool(values.max() > LARGEST_EXACT or values.min() < -LARGEST_EXACT)
