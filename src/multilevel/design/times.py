"""When was each row measured? A column of numbers, or of labels in their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Frame
from multilevel.design.design import Design
from multilevel.errors import DataError
from multilevel.frames.table import Numeric, read_table


@dataclass(frozen=True, slots=True)
class Times:
    """When each of the rows used was measured."""

    name: str
    value: Array  # (n,) numbers; of labels, their places in the order of the levels
    labels: tuple[str, ...] | None  # of the levels; None for numbers


def read_times(time: str | npt.ArrayLike, data: Frame, design: Design) -> Times:
    """Times of the rows used, from a column or from one value for each row of the data."""
    name, source = (time, data) if isinstance(time, str) else ("time", {"time": _one_a_row(time, design)})
    column = read_table(source).column(name)
    if isinstance(column, Numeric):
        value, labels = column.values[design.rows], None
        missing = int(np.isnan(value).sum())
    else:
        codes = column.codes[design.rows]
        value, labels = codes.astype(np.float64), tuple(str(level) for level in column.levels)
        missing = int((codes < 0).sum())
    if missing:
        raise DataError(
            f"'{name}' is missing in {missing} of the rows used; fill it first, or drop these rows."
        )
    return Times(name, value, labels)


def _one_a_row(time: npt.ArrayLike, design: Design) -> npt.NDArray[np.generic]:
    values = np.asarray(time)
    if values.shape != (design.dropped.n_total,):
        raise DataError(
            f"time= needs the name of a column or one value for each of the {design.dropped.n_total} rows of "
            f"the data, got an array of shape {values.shape}."
        )
    return values
