"""A column of any data frame, by way of narwhals, as numbers or labels."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from multilevel._typing import Mask
from multilevel.errors import DataTypeError
from multilevel.frames.arrays import all_missing, booleans, durations, floats, integers, read_array, times
from multilevel.frames.column import (
    Categorical,
    Column,
    Numeric,
    categorical_from_indices,
    categorical_sorted,
    missing_mask,
)
from multilevel.frames.objects import read_objects, text

Series = nw.Series[Any]


def read_series(name: str, series: Series) -> Column:
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


def _objects(name: str, series: Series) -> Column:
    if series.implementation.is_pandas_like():
        try:
            codes, labels = series.to_native().factorize()
        except TypeError:  # unhashable objects: the slow way says which
            labels = ()
        if set(map(type, labels)) == {str}:
            return categorical_sorted(codes, list(labels))
    return read_objects(name, series.to_numpy(), _nulls(series))


def _integers(series: Series) -> Numeric:
    if series.null_count() == 0:
        return integers(series.to_numpy())
    return integers(series.fill_null(0).to_numpy(), _nulls(series))


def _moments(series: Series) -> Numeric:
    dtype = series.dtype
    if dtype == nw.Duration:
        return durations(series.to_numpy())
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return times(series.to_numpy())


def _strings(series: Series) -> Categorical:
    """Each library's own hashing: a Python loop over a million strings costs three times as much."""
    native = series.to_native()
    if series.implementation.is_pandas_like():
        codes, labels = native.factorize()
        return categorical_sorted(np.asarray(codes), [str(label) for label in labels])
    if series.implementation.is_polars():
        return _polars_strings(series)
    if series.implementation.is_pyarrow():
        encoded = native.dictionary_encode().combine_chunks()
        return categorical_sorted(_arrow_indices(encoded), encoded.dictionary.to_pylist())
    return text(np.array(series.to_list(), dtype=object), _nulls(series))


def _polars_strings(series: Series) -> Categorical:
    levels = series.drop_nulls().unique().sort().to_list()
    physical = series.cast(nw.Enum(levels)).to_native().to_physical()
    return Categorical(_polars_indices(physical), tuple(levels), ordered=False)


def _categories(series: Series) -> Categorical:
    native = series.to_native()
    if series.implementation.is_pandas_like():
        cat = native.cat
        return categorical_from_indices(
            cat.codes.to_numpy(), cat.categories.tolist(), ordered=bool(cat.ordered)
        )
    if series.implementation.is_pyarrow():
        encoded = native.unify_dictionaries().combine_chunks()
        labels = encoded.dictionary.to_pylist()
        return categorical_from_indices(_arrow_indices(encoded), labels, ordered=bool(native.type.ordered))
    if isinstance(series.dtype, nw.Enum):
        levels = series.dtype.categories
        return Categorical(_polars_indices(native.to_physical()), tuple(levels), ordered=False)
    return _strings(series.cast(nw.String))


def _polars_indices(physical: Any) -> Any:
    return nw.from_native(physical, series_only=True).cast(nw.Int32).fill_null(-1).to_numpy()


def _arrow_indices(encoded: Any) -> Any:
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)


def _unnamed_dtype(name: str, series: Series) -> Column:
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
