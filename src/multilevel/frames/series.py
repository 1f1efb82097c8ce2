"""A column of any data frame as numbers or labels: in its library's own terms, or by way of narwhals."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from multilevel._typing import Mask
from multilevel.errors import DataTypeError
from multilevel.frames import arrow_columns, pandas_columns, polars_columns
from multilevel.frames.arrays import all_missing, booleans, durations, floats, read_array, times
from multilevel.frames.column import (
    Categorical,
    Integers,
    Numeric,
    RawColumn,
    missing_mask,
)
from multilevel.frames.objects import read_objects, text

Series = nw.Series[Any]


def read_native(name: str, column: Any) -> RawColumn:
    """Column of any library's own series or chunked array."""
    if nw.dependencies.is_pandas_series(column):
        return read_of_library("pandas", name, column)
    if nw.dependencies.is_polars_series(column):
        return read_of_library("polars", name, column)
    if nw.dependencies.is_pyarrow_chunked_array(column):
        return read_of_library("pyarrow", name, column)
    return read_of_library("another", name, column)


def read_of_library(library: str, name: str, column: Any) -> RawColumn:
    """Column that a frame of this library holds.

    The kinds of column that data mostly hold are read without narwhals, which takes longer over them than
    a small fit takes.
    """
    plain = None
    if library == "pandas":
        plain = pandas_columns.read_plain(name, column)
    elif library == "polars":
        plain = polars_columns.read_plain(column)
    elif library == "pyarrow":
        plain = arrow_columns.read_plain(column)
    return read_series(name, nw.from_native(column, series_only=True)) if plain is None else plain


def read_series(name: str, series: Series) -> RawColumn:
    """Column of a narwhals series.

    Numbers stay numbers; dates and durations become days; truth values, strings and categoricals become
    labels. Strings are sorted, categoricals keep their own order (a polars `Categorical`, which has none
    that means anything, is sorted; an `Enum` keeps its own).
    """
    dtype = series.dtype
    if _holds_objects(series):
        return _objects(name, series)
    if dtype.is_integer():
        return _integers(series)
    if dtype.is_numeric():
        return floats(series.cast(nw.Float64).to_numpy() if dtype.is_decimal() else series.to_numpy())
    if dtype == nw.Boolean:
        return booleans(series.fill_null(False).to_numpy(), missing_mask(_nulls(series)))
    if dtype == nw.String:
        return _strings(series)
    if isinstance(dtype, nw.Categorical | nw.Enum):
        return _categories(series)
    if isinstance(dtype, nw.Date | nw.Datetime | nw.Duration):
        return _moments(series)
    return _unnamed_dtype(name, series)


def _holds_objects(series: Series) -> bool:
    # Asked of pandas itself: narwhals looks at the first rows only and may answer "String".
    return series.dtype == nw.Object or (
        series.implementation.is_pandas_like() and str(series.to_native().dtype) == "object"
    )


def _nulls(series: Series) -> Mask:
    return np.asarray(series.is_null().to_numpy(), dtype=np.bool_)


def _objects(name: str, series: Series) -> RawColumn:
    if series.implementation.is_pandas_like():
        return pandas_columns.objects(name, series.to_native())
    return read_objects(name, series.to_numpy(), _nulls(series))


def _integers(series: Series) -> Integers:
    if series.null_count() == 0:
        return Integers(series.to_numpy(), None)
    return Integers(series.fill_null(0).to_numpy(), _nulls(series))


def _moments(series: Series) -> Numeric:
    dtype = series.dtype
    if dtype == nw.Duration:
        return durations(series.to_numpy())
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return times(series.to_numpy())


def _strings(series: Series) -> Categorical:
    """The library's own hashing where it is pandas': a loop over strings costs three times as much."""
    if series.implementation.is_pandas_like():
        return pandas_columns.strings(series.to_native())
    return text(np.array(series.to_list(), dtype=object), _nulls(series))


def _categories(series: Series) -> Categorical:
    if series.implementation.is_pandas_like():
        return pandas_columns.categories(series.to_native().cat)
    return _strings(series.cast(nw.String))


def _unnamed_dtype(name: str, series: Series) -> RawColumn:
    """What narwhals has no name for: columns of nulls, sparse numbers, and what no model can use."""
    if series.null_count() == len(series):
        return all_missing(len(series))
    values = series.to_numpy()
    if values.dtype.kind in "fiu":
        return read_array(name, values)
    held = getattr(series.to_native(), "dtype", series.dtype)
    raise DataTypeError(
        f"Column {name!r} holds {held} values, which are neither numbers nor labels. "
        "Convert it to numbers, strings or a categorical."
    )
