"""Columns of pandas in its own terms: what narwhals would take longer over than a small fit takes."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from multilevel.frames.arrays import read_array
from multilevel.frames.column import Categorical, RawColumn, categorical_from_indices, categorical_sorted
from multilevel.frames.objects import read_objects

_KNOWN: dict[int, tuple[ref[Any], list[Any]]] = {}  # labels of pandas indexes that are alive, by their id


def read_plain(name: str, series: Any) -> RawColumn | None:
    """Column of a pandas series of NumPy numbers, objects, text or categories; None for any other dtype."""
    dtype = series.dtype
    if not isinstance(dtype, np.dtype):
        return _labels(series, dtype.name)
    if dtype.kind in "fiubmM":
        return read_array(name, series.to_numpy())
    return objects(name, series) if dtype.kind == "O" else None


def objects(name: str, series: Any) -> RawColumn:
    """Column of a series of Python objects; when all are strings, pandas' own hashing is fastest."""
    try:
        codes, labels = series.factorize()
    except TypeError:  # unhashable objects: the slow way says which
        labels = ()
    if set(map(type, labels)) == {str}:
        return categorical_sorted(codes, list(labels))
    return read_objects(name, series.to_numpy(), np.asarray(series.isna(), dtype=np.bool_))


def strings(series: Any) -> Categorical:
    """Labels of a series of strings, by pandas' own hashing."""
    codes, labels = series.factorize()
    return categorical_sorted(np.asarray(codes), labels.tolist())


def _labels(series: Any, dtype: str) -> Categorical | None:
    if dtype == "category":
        return categories(series.array)
    return strings(series) if dtype in ("str", "string") else None


def categories(values: Any) -> Categorical:
    """Labels of a pandas categorical array, in its order of categories."""
    return categorical_from_indices(
        np.asarray(values.codes), index_labels(values.categories), ordered=bool(values.ordered)
    )


def index_labels(index: Any) -> list[Any]:
    """The labels of a pandas index, which never change, as Python objects; not to be written to.

    They are kept as long as the index is: of a frame that is fitted again and again, names of columns and
    categories are read once, which takes pandas a tenth of a small fit.
    """
    key = id(index)
    known = _KNOWN.get(key)
    if known is not None and known[0]() is index:
        return known[1]
    labels: list[Any] = index.tolist()
    _KNOWN[key] = (ref(index, lambda _: _KNOWN.pop(key, None)), labels)
    return labels
