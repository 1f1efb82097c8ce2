"""Tables back to the user, in the user's own kind of frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import narwhals as nw
import numpy as np
import numpy.typing as npt

from multilevel._typing import Frame, Mask
from multilevel.errors import DataTypeError
from multilevel.frames.column import Categorical, Numeric
from multilevel.frames.labels import label_text
from multilevel.frames.table import FrameKind, eager_frame

Column = npt.ArrayLike | Categorical | Numeric  # (n,) what a new column may be given as

KINDS: Final = ("pandas", "polars", "pyarrow", "modin", "cudf")
_Backend = Any  # a FrameKind; narwhals types it as one of a list of literals
_KEEP = "rows that are kept"  # a column name that lives only inside `_null_outside`


def to_frame(columns: Mapping[str, Column], kind: FrameKind) -> Frame:
    """Frame of the given kind ("pandas", "polars", "pyarrow", ...) from equally long columns (n,).

    Strings stay strings and integers integers; a `Categorical` becomes the kind's own categorical
    with the same order of levels, and NaN and None become nulls.

    >>> to_frame({"term": ["Intercept"], "estimate": [251.4]}, "pandas")
            term  estimate
    0  Intercept     251.4
    """
    if kind not in KINDS:
        raise DataTypeError(f"No table can be made as {kind!r}; the kinds of frame are {', '.join(KINDS)}.")
    return _frame(columns, kind).to_native()


def with_columns(data: Frame, columns: Mapping[str, Column], rows: Mask | None = None) -> Frame:
    """The user's data with new columns; an old column of the same name is replaced.

    `rows` (n,) marks the rows that the new values belong to, and the others get nulls; None when the
    values cover all rows. Mappings come back as pandas, lazy frames collected; a pandas index is kept.
    """
    frame = _user_frame(data)
    kind = frame.implementation.value
    if rows is None or rows.all():
        new = _frame(columns, kind)
    else:
        spread = {name: _spread(column, rows) for name, column in columns.items()}
        new = _null_outside(_frame(spread, kind), rows)
    return frame.with_columns(*(new.get_column(name) for name in columns)).to_native()


def beside(data: Frame, columns: Mapping[str, Column], kind: FrameKind) -> Frame:
    """A frame of new columns alone, each value for one row of `data`, whose kind and pandas index it has.

    Mappings have neither: theirs is a frame of the given kind.
    """
    if isinstance(data, Mapping | np.ndarray):
        return to_frame(columns, kind)
    return _user_frame(with_columns(data, columns)).select(list(columns)).to_native()


def _user_frame(data: Frame) -> nw.DataFrame[Any]:
    if isinstance(data, np.ndarray) and data.dtype.names is not None:
        data = {name: data[name] for name in data.dtype.names}
    return _pandas_from_mapping(data) if isinstance(data, Mapping) else eager_frame(data)


def _pandas_from_mapping(data: Mapping[Any, Any]) -> nw.DataFrame[Any]:
    """The columns side by side, by position: series in a mapping may have indexes that do not agree."""
    pandas = nw.Implementation.PANDAS.to_native_namespace()
    columns = {str(name): pandas.Series(values).reset_index(drop=True) for name, values in data.items()}
    return nw.from_native(pandas.DataFrame(columns), eager_only=True)


def _frame(columns: Mapping[str, Column], kind: _Backend) -> nw.DataFrame[Any]:
    library = nw.Implementation.from_backend(kind).to_native_namespace()
    build = library.table if kind == "pyarrow" else library.DataFrame
    natives = {name: _series(name, column, kind).to_native() for name, column in columns.items()}
    return nw.from_native(build(natives), eager_only=True)


def _series(name: str, column: Column, kind: _Backend) -> nw.Series[Any]:
    if isinstance(column, Categorical):
        return _categorical_series(name, column, kind)
    if isinstance(column, Numeric):
        return _numeric_series(name, column, kind)
    values = np.asarray(column)
    if values.dtype.kind in "OUS":
        dtype = nw.String() if all(value is None for value in values) else None  # else told by the values
        return nw.new_series(name, values.tolist(), dtype, backend=kind)
    if values.dtype.kind == "f" and np.isnan(values).any():
        return _numeric_series(name, Numeric(values, integer=False, missing=np.isnan(values)), kind)
    return nw.new_series(name, values, backend=kind)


def _numeric_series(name: str, column: Numeric, kind: _Backend) -> nw.Series[Any]:
    values: npt.NDArray[Any] = column.values
    if column.integer:
        values = np.where(np.isnan(values), 0, values).astype(np.int64)
    series = nw.new_series(name, values, backend=kind)
    if column.missing is None:
        return series
    return _null_outside(series.to_frame(), ~column.missing).get_column(name)


def _categorical_series(name: str, column: Categorical, kind: _Backend) -> nw.Series[Any]:
    """The kind's own categorical: an Enum in polars, a dictionary in arrow; levels as text."""
    library = nw.Implementation.from_backend(kind).to_native_namespace()
    build = {"polars": _polars_enum, "pyarrow": _arrow_dictionary}.get(kind, _pandas_categorical)
    levels = [label_text(level) for level in column.levels]
    series: nw.Series[Any] = nw.from_native(build(library, column, levels), series_only=True)
    return series.alias(name)


def _polars_enum(polars: Any, column: Categorical, levels: list[str]) -> Any:
    labels = np.array([*levels, None], dtype=object)[column.codes]  # the code -1 finds the None
    return polars.Series(labels.tolist(), dtype=polars.Enum(levels))


def _arrow_dictionary(pyarrow: Any, column: Categorical, levels: list[str]) -> Any:
    indices = pyarrow.array(column.codes, mask=column.codes < 0)
    labels = pyarrow.array(levels, type=pyarrow.string())
    encoded = pyarrow.DictionaryArray.from_arrays(indices, labels, ordered=column.ordered)
    return pyarrow.chunked_array([encoded])


def _pandas_categorical(pandas: Any, column: Categorical, levels: list[str]) -> Any:
    return pandas.Series(pandas.Categorical.from_codes(column.codes, levels, ordered=column.ordered))


def _spread(column: Column, rows: Mask) -> Column:
    """Values of the marked rows in their places, with anything at all in the rows between."""
    source = np.maximum(np.cumsum(rows) - 1, 0)
    if isinstance(column, Categorical):
        return Categorical(_spread_array(column.codes, source), column.levels, column.ordered)
    if isinstance(column, Numeric):
        missing = None if column.missing is None else _spread_array(column.missing, source)
        return Numeric(_spread_array(column.values, source), column.integer, missing)
    return _spread_array(np.asarray(column), source)


def _spread_array(values: npt.NDArray[Any], source: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    return values[source] if len(values) else np.zeros(len(source), dtype=values.dtype)


def _null_outside(frame: nw.DataFrame[Any], rows: Mask) -> nw.DataFrame[Any]:
    marked = frame.with_columns(nw.new_series(_KEEP, rows, backend=frame.implementation))
    return marked.select(nw.when(nw.col(_KEEP)).then(nw.col(name)).alias(name) for name in frame.columns)
