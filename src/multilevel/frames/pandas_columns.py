"""Columns of pandas in its own terms: what narwhals would take longer over than a small fit takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from multilevel.frames.arrays import read_array
from multilevel.frames.column import Categorical, RawColumn, categorical_from_indices, categorical_sorted


def read_plain(name: str, series: Any) -> RawColumn | None:
    """Column of a pandas series of NumPy numbers, of text or of categories; None for any other dtype."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return read_array(name, series.to_numpy()) if dtype.kind in "fiubmM" else None
    if dtype.name == "category":
        return categories(series.array)
    return strings(series) if dtype.name in ("str", "string") else None


def strings(series: Any) -> Categorical:
    """Labels of a series of strings, by pandas' own hashing."""
    codes, labels = series.factorize()
    return categorical_sorted(np.asarray(codes), labels.tolist())


def categories(values: Any) -> Categorical:
    """Labels of a pandas categorical array, in its order of categories."""
    return categorical_from_indices(
        np.asarray(values.codes), values.categories.tolist(), ordered=bool(values.ordered)
    )
