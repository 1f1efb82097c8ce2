"""Any column as group labels: which level does each row belong to?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Mask
from multilevel.errors import DataError
from multilevel.frames.column import Categorical, Integers, Numeric, RawColumn
from multilevel.frames.distinct import distinct_values


def group_codes(column: RawColumn) -> Categorical:
    """Codes and text labels of a column that names groups.

    Numbers are ordered by value and written without a needless ".0", so that the integer 7 and the
    float 7.0 name the same group; categoricals keep their order and all their levels.
    """
    match column:
        case Integers(values, missing):
            return _number_codes(values, missing)
        case Numeric(values, missing=missing, exact=exact):
            return _number_codes(values if exact is None else exact, missing)
    labels = label_texts(column.levels)
    if len(set(labels)) < len(labels):
        repeated = next(label for label in labels if labels.count(label) > 1)
        raise DataError(f"Two levels of a grouping column read {repeated!r} when written out; rename one.")
    return Categorical(column.codes, labels, column.ordered)


def label_texts(levels: Sequence[Any]) -> tuple[str, ...]:
    """How levels are written in tables."""
    kinds = set(map(type, levels))
    if kinds <= {str}:
        return tuple(levels)
    return tuple(map(str if kinds == {int} else label_text, levels))


def label_text(value: Any) -> str:
    """How a level is written in tables: 7.0 as "7", dates in ISO form."""
    if isinstance(value, np.datetime64):
        return _moment_text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value)


def _number_codes(values: npt.NDArray[Any], missing: Mask | None) -> Categorical:
    if missing is None:
        codes, levels = distinct_values(values)
    else:
        codes = np.full(len(values), -1, dtype=np.int32)
        codes[~missing], levels = distinct_values(values[~missing])
    return Categorical(codes, label_texts(levels), ordered=False)


def _moment_text(moment: np.datetime64) -> str:
    """ISO form without trailing zeros: 2024-03-01, or 2024-03-01T08:30:00 when there is a time of day."""
    for unit in ("D", "s"):
        if moment == moment.astype(f"datetime64[{unit}]"):
            return str(moment.astype(f"datetime64[{unit}]"))
    return str(moment)
