"""When was each row measured? A column of numbers, or of labels in their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes, Frame
from multilevel.design.design import Design
from multilevel.design.text_numbers import natural_order
from multilevel.errors import DataError
from multilevel.frames.table import Categorical, Numeric, read_table


@dataclass(frozen=True, slots=True)
class Times:
    """When each of the rows used was measured."""

    name: str
    value: Array  # (n,) numbers; of labels, their places in the order of the levels
    labels: tuple[str, ...] | None  # of the levels; None for numbers


def read_times(
    time: str | npt.ArrayLike, data: Frame, design: Design, *, order_matters: bool = False
) -> Times:
    """Times of the rows used, from a column or from one value for each row of the data.

    Labels are in their order where the column has one, else in the order of the numbers in them; text without
    either is refused where the order matters.
    """
    name, source = (time, data) if isinstance(time, str) else ("time", {"time": _one_a_row(time, design)})
    column = read_table(source).column(name)
    if isinstance(column, Numeric):
        value, labels = column.values[design.rows], None
        missing = int(np.isnan(value).sum())
    else:
        codes = column.codes[design.rows]
        order = order_of_labels(name, column, order_matters=order_matters)
        value, labels = places(codes, order), tuple(str(column.levels[k]) for k in order)
        missing = int((codes < 0).sum())
    if missing:
        raise DataError(
            f"'{name}' is missing in {missing} of the rows used; fill it first, or drop these rows."
        )
    return Times(name, value, labels)


def order_of_labels(name: str, column: Categorical, *, order_matters: bool) -> list[int]:
    """The levels (L,) in order of time."""
    labels = [str(level) for level in column.levels]
    own = list(range(len(labels)))
    if column.ordered or column.ranked or labels != sorted(labels) or len(labels) < 2:
        return own
    order = natural_order(labels)
    if order is None and order_matters and len(labels) > 2:
        raise DataError(
            f"'{name}' holds labels whose order in time cannot be known ({', '.join(labels[:4])}"
            f"{', ...' if len(labels) > 4 else ''}); make it numbers, or an ordered categorical with the "
            "first visit first."
        )
    return own if order is None else order


def places(codes: Codes, order: list[int]) -> Array:
    """The place (n,) of each row's level in the order; -1 where missing."""
    place = np.empty(len(order) + 1)
    place[order] = np.arange(len(order))
    place[-1] = -1.0
    return place[codes]


def _one_a_row(time: npt.ArrayLike, design: Design) -> npt.NDArray[np.generic]:
    values = np.asarray(time)
    if values.shape != (design.dropped.n_total,):
        raise DataError(
            f"time= needs the name of a column or one value for each of the {design.dropped.n_total} rows of "
            f"the data, got an array of shape {values.shape}."
        )
    return values
