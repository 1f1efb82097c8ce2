"""Columns of arrow in its own terms."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from multilevel.frames.arrays import floats
from multilevel.frames.column import (
    Categorical,
    Integers,
    RawColumn,
    categorical_from_indices,
    categorical_sorted,
)


def read_plain(column: Any) -> RawColumn | None:
    """Column of a chunked array of complete numbers, text or dictionaries; None for any other type."""
    types: Any = nw.dependencies.get_pyarrow().types
    if types.is_floating(column.type):
        return floats(column.to_numpy())
    if types.is_integer(column.type) and column.null_count == 0:
        return Integers(column.to_numpy(), None)
    if types.is_string(column.type) or types.is_large_string(column.type):
        return strings(column)
    return dictionary(column) if types.is_dictionary(column.type) else None


def strings(column: Any) -> Categorical:
    """Labels of a chunked array of strings, in sorted order."""
    encoded = column.dictionary_encode().combine_chunks()
    return categorical_sorted(_indices(encoded), encoded.dictionary.to_pylist())


def dictionary(column: Any) -> Categorical:
    """Labels of a chunked array of dictionaries, in the dictionary's order."""
    encoded = column.unify_dictionaries().combine_chunks()
    labels = encoded.dictionary.to_pylist()
    return categorical_from_indices(_indices(encoded), labels, ordered=bool(column.type.ordered))


def _indices(encoded: Any) -> npt.NDArray[Any]:
    """Position of each row's label in the dictionary (n,); -1 where missing."""
    indices = encoded.indices
    if indices.null_count:
        indices = indices.cast("int64").fill_null(-1)  # indices may be unsigned
    return np.asarray(indices.to_numpy(zero_copy_only=False))
