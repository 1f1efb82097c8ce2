"""Columns of polars in its own terms."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from multilevel._typing import Codes
from multilevel.frames.arrays import floats
from multilevel.frames.column import Categorical, Integers, RawColumn, categorical_sorted


def read_plain(series: Any) -> RawColumn | None:
    """Column of a polars series of complete numbers, of text or of categories; None for any other dtype."""
    polars: Any = nw.dependencies.get_polars()
    dtype = series.dtype  # asked once: an Enum's is made anew each time
    if dtype.is_float():
        return floats(series.to_numpy())
    if dtype.is_integer() and series.null_count() == 0:
        return Integers(series.to_numpy(), None)
    if dtype == polars.String:
        return strings(series, polars.Enum)
    if dtype == polars.Categorical:
        return categorical(series)
    return enumeration(series, dtype) if isinstance(dtype, polars.Enum) else None


def strings(series: Any, enum: Any) -> Categorical:
    """Labels of a series of strings in sorted order; `enum` is polars' type of that name."""
    levels = _distinct(series).sort()
    return Categorical(_codes(series.cast(enum(levels))), tuple(levels.to_list()), ordered=False)


def enumeration(series: Any, dtype: Any) -> Categorical:
    """Labels of a polars `Enum`, in its own order: a rank where one is asked for, no polynomial of levels."""
    return Categorical(_codes(series), tuple(dtype.categories.to_list()), ordered=False, ranked=True)


def categorical(series: Any) -> Categorical:
    """Labels of a polars `Categorical` in sorted order: its own is that in which polars met them."""
    distinct = _distinct(series)
    numbers = _codes(distinct)
    place = np.full(numbers.max(initial=-1) + 2, -1, dtype=np.int32)  # the last is for the code -1
    place[numbers] = np.arange(len(numbers), dtype=np.int32)
    return categorical_sorted(place.take(_codes(series), mode="wrap"), distinct.cast(str).to_list())


def _distinct(series: Any) -> Any:
    return series.unique(maintain_order=True).drop_nulls()  # in their order: cheaper than without


def _codes(series: Any) -> Codes:
    """Number that polars gave each row's label (n,); -1 where missing."""
    physical = series.to_physical()
    if physical.null_count():
        physical = physical.cast(int).fill_null(-1)
    codes: Codes = physical.to_numpy().astype(np.int32)
    return codes
