"""`Table`: a read-only view of the user's data, one column at a time, whatever frame they came in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
from narwhals.exceptions import DuplicateError

from multilevel._typing import Frame
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError
from multilevel.frames.arrays import numbers_of, read_array
from multilevel.frames.column import Categorical, Column, Integers, Numeric, RawColumn
from multilevel.frames.labels import group_codes
from multilevel.frames.pandas_columns import index_labels
from multilevel.frames.series import read_native, read_of_library

__all__ = ["Categorical", "Column", "FrameKind", "Numeric", "Table", "eager_frame", "read_table"]

FrameKind = str  # "pandas", "polars", "pyarrow", ...: the kind of frame tables go back in


@dataclass(frozen=True, slots=True)
class Table:
    """The user's data, read one column at a time and only when asked for."""

    names: tuple[str, ...]  # columns, in order
    n_rows: int
    kind: FrameKind
    _read: Callable[[str], RawColumn] = field(repr=False)
    index: tuple[Any, ...] = ()  # names in a pandas index, where no column is looked for
    _seen: dict[str, RawColumn] = field(default_factory=dict, repr=False, compare=False)
    _labels: dict[str, Categorical] = field(default_factory=dict, repr=False, compare=False)

    def column(self, name: str) -> Column:
        """One column as numbers or labels; read once, then remembered."""
        column = self._raw(name)
        if isinstance(column, Integers):
            column = self._seen[name] = numbers_of(column)
        return column

    def labels(self, name: str) -> Categorical:
        """One column as group labels in text; integers are coded without being made real numbers."""
        if name not in self._labels:
            self._labels[name] = group_codes(self._raw(name))
        return self._labels[name]

    def _raw(self, name: str) -> RawColumn:
        if name not in self._seen:
            if name not in self.names:
                raise ColumnNotFoundError(_not_found(name, self))
            self._seen[name] = self._read(name)
        return self._seen[name]


def read_table(data: Frame | Table) -> Table:
    """View of a data frame, or of a mapping of equally long columns, by column; of a view, itself.

    Reads pandas, polars (eager and lazy), pyarrow and anything else that narwhals reads, mappings of names
    to arrays, lists or series, and NumPy structured arrays. Only rows and columns count: a pandas index
    never does.

    >>> table = read_table({"y": [1.0, 2.5], "g": ["b", "a"]})
    >>> table.column("g").levels
    ('a', 'b')
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, Mapping):
        return _from_mapping(data)
    if isinstance(data, np.ndarray) and data.dtype.names is not None and data.ndim == 1:
        return _from_mapping({name: data[name] for name in data.dtype.names})
    return _from_native(data) or _from_narwhals(eager_frame(data))


def eager_frame(data: Frame) -> nw.DataFrame[Any]:
    """The narwhals frame of the user's data, collected when lazy."""
    try:
        frame = nw.from_native(data)
    except DuplicateError:
        raise DataError(_repeated(map(str, getattr(data, "column_names", data.columns)))) from None
    except TypeError:
        raise DataTypeError(_not_a_frame(data)) from None
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


def _from_native(data: Any) -> Table | None:
    """A frame of the libraries that are read without narwhals."""
    if nw.dependencies.is_pandas_dataframe(data):
        names = index_labels(data.columns)
        return _by_name("pandas", names, len(data), data.__getitem__, tuple(data.index.names))
    if nw.dependencies.is_polars_dataframe(data):
        return _by_name("polars", data.columns, data.height, data.get_column)
    if nw.dependencies.is_pyarrow_table(data):
        return _by_name("pyarrow", data.column_names, data.num_rows, data.column)
    return None


def _from_narwhals(frame: nw.DataFrame[Any]) -> Table:
    table = _from_native(frame.to_native())
    if table is not None:  # a lazy frame, collected
        return table

    def native_column(name: Any) -> Any:
        return frame.get_column(name).to_native()

    return _by_name(frame.implementation.value, frame.columns, len(frame), native_column)


def _by_name(
    kind: FrameKind,
    names: Sequence[Any],
    n_rows: int,
    column: Callable[[Any], Any],
    index: tuple[Any, ...] = (),
) -> Table:
    """Table of columns that are fetched by the frame's own names: pandas allows names that are not text."""
    named = {str(name): name for name in names}
    if len(named) < len(names):
        raise DataError(_repeated(map(str, names)))

    def read(name: str) -> RawColumn:
        return read_of_library(kind, name, column(named[name]))

    return Table(tuple(named), n_rows, kind, read, index)


def _from_mapping(data: Mapping[Any, Any]) -> Table:
    columns = {str(name): values for name, values in data.items()}
    if len(columns) < len(data):
        raise DataError(_repeated(map(str, data)))
    return Table(tuple(columns), _common_length(columns), "pandas", partial(_read_from, columns))


def _read_from(columns: Mapping[str, Any], name: str) -> RawColumn:
    values = columns[name]
    if type(values) is np.ndarray:
        return _read_ndarray(name, values)
    if not nw.dependencies.is_into_series(values):
        values = nw.new_series(name, values, backend="pandas").to_native()
    return read_native(name, values)


def _read_ndarray(name: str, values: npt.NDArray[Any]) -> RawColumn:
    if values.ndim != 1:
        raise DataTypeError(f"Column {name!r} has {values.ndim} dimensions; a column has one.")
    if values.dtype.kind not in "OUS":
        return read_array(name, values)
    pandas = nw.Implementation.PANDAS.to_native_namespace()  # hashes text faster than NumPy sorts it
    objects = pandas.Series(values.astype(object), dtype=object)
    return read_native(name, objects)


def _common_length(columns: Mapping[str, Any]) -> int:
    lengths = {name: _length(name, values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r} has {n}" for name, n in lengths.items())
        raise DataError(f"The columns are not equally long: {listed}.")
    return next(iter(lengths.values()), 0)


def _length(name: str, values: Any) -> int:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise DataTypeError(
            f"Column {name!r} is of type {type(values).__name__}, not an array, list or series."
        )
    return len(values)


def _not_found(name: str, table: Table) -> str:
    message, names = f"There is no column {name!r} in the data.", table.names
    folded = {known.casefold(): known for known in names}
    close = get_close_matches(name.casefold(), folded, n=1)
    if name in table.index:
        message += " It is in the index, which is not read: use data.reset_index()."
    elif close:
        message += f" Did you mean {folded[close[0]]!r}?"
    if 0 < len(names) <= 20:
        message += f" The columns are: {', '.join(names)}."
    return message


def _repeated(names: Iterable[str]) -> str:
    twice = [name for name, count in Counter(names).items() if count > 1]
    return f"Column names must be unique, but these are repeated: {', '.join(twice)}. Rename or drop some."


def _not_a_frame(data: object) -> str:
    message = (
        f"The data are of type {type(data).__name__}; expected a data frame (pandas, polars, pyarrow or any "
        "other that narwhals reads) or a mapping of column names to equally long arrays."
    )
    if isinstance(data, str):
        message += " To use a file, read it first, for example with pandas.read_csv."
    return message
