"""Do the rows, columns and responses that a user hands to a fit belong to it?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Frame
from multilevel.design.design import Design
from multilevel.errors import DataError
from multilevel.frames.table import read_table


def checked_response(y: npt.ArrayLike, design: Design) -> Array:
    """A new response over the rows used (n,), from one over those rows or over all rows of the data."""
    values = np.asarray(y, dtype=np.float64)
    if values.shape == (design.dropped.n_total,):
        values = values[design.rows]
    if values.shape != design.y.shape:
        raise DataError(
            f"refit needs one value for each of the {design.n_rows} rows used "
            f"(or of all {design.dropped.n_total} rows), got shape {values.shape}."
        )
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise DataError(
            f"the new response is missing or infinite in {count} of the rows used; fill them first."
        )
    return values


def checked_rows(data: Frame, design: Design) -> Frame:
    """Data with as many rows as those that were fitted, or an error that points to `predict`."""
    n_rows = read_table(data).n_rows
    if n_rows != design.dropped.n_total:
        raise DataError(
            f"the fit was made from {design.dropped.n_total} rows and these data have {n_rows}; "
            "augment() adds columns to the data of the fit, predict(new) serves other rows."
        )
    return data


def checked_columns(columns: dict[str, Array], data: Frame) -> dict[str, Array]:
    """Columns to add, none of which would overwrite one of the user's."""
    taken = sorted(set(columns) & set(read_table(data).names))
    if taken:
        raise DataError(f"augment() would overwrite the column '{taken[0]}' of the data; rename it first.")
    return columns
