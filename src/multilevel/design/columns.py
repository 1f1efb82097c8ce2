"""What do the columns of the data hold in the rows used?"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.contrasts import chosen_contrasts
from multilevel.design.expressions import Value
from multilevel.design.factor import Factor, as_factor, drop_unused, with_levels
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.arrays import all_finite
from multilevel.frames.table import Categorical, Column, Numeric, Table

INTERCEPT = "Intercept"  # what formulaic calls the column of ones
MOST_ROWS_SHOWN = 5


def read_columns(table: Table, names: Iterable[str]) -> dict[str, Column]:
    """Columns by name; infinite numbers are refused."""
    columns = {name: table.column(name) for name in names}
    for name, column in columns.items():
        if isinstance(column, Numeric) and not column.finite:
            refuse_infinite(f"Column {name!r}", column.values)
    return columns


def read_labels(table: Table, names: Iterable[str]) -> dict[str, Column]:
    """Columns by name, of which only the labels matter."""
    return {name: table.labels(name) for name in names}


def missing_in(columns: Mapping[str, Column]) -> dict[str, Mask | None]:
    """The rows in which each column is missing."""
    return {name: missing_rows(column) for name, column in columns.items()}


def missing_rows(column: Column) -> Mask | None:
    """Rows in which the column is missing; None when there are none."""
    if isinstance(column, Numeric):
        return column.missing
    return column.codes < 0 if column.codes.min(initial=0) < 0 else None


def usable(column: Column, rows: Mask | None) -> Value:
    """What expressions compute with: numbers, truth values or labels, in the rows used."""
    if isinstance(column, Numeric):
        return column.values if rows is None else column.values[rows]
    codes = column.codes if rows is None else column.codes[rows]
    if column.levels and all(isinstance(level, bool | np.bool_) for level in column.levels):
        truth: Mask = np.array(column.levels, dtype=np.bool_)[codes]
        return truth
    return drop_unused(Factor(codes, column.levels, column.ordered, ranked=column.ranked))


def with_contrasts(columns: dict[str, Value], contrasts: Mapping[str, Any] | None) -> dict[str, Value]:
    """The columns, with the user's contrasts on the factors they name."""
    if contrasts is not None and not isinstance(contrasts, Mapping):
        raise DataError(
            "contrasts= maps columns to codings, as in {'g': 'sum'}; "
            f"this is of type {type(contrasts).__name__}."
        )
    recoded = {name: _recoded(name, columns, given) for name, given in (contrasts or {}).items()}
    return columns | recoded


def recode(name: str, column: Column, rows: Mask | None, known: tuple[object, ...] | None) -> Value:
    """A column of new data as the fit had it: `known` are the levels it had there, None for numbers."""
    value = usable(column, rows)
    if known is not None:
        return value if _are_truth(value, known) else with_levels(as_factor(value), known)
    if not isinstance(value, Factor):
        return value
    if isinstance(column, Categorical) and (column.codes >= 0).any():
        raise DataTypeError(f"Column {name!r} holds labels here; the model was fitted to numbers.")
    return np.full(len(value), np.nan)


def known_levels(value: Value) -> tuple[object, ...] | None:
    """The levels of a column, for coding new data; None when it holds numbers."""
    if isinstance(value, Factor):
        return value.levels
    return (False, True) if value.dtype == np.bool_ else None


def refuse_infinite(what: str, values: Array, rows: Mask | None = None) -> None:
    """An error naming the rows, should any value be infinite."""
    if not all_finite(values):  # NaN is for others to judge
        _refuse(what, "infinite", np.isinf(values), rows)


def refuse_not_finite(what: str, values: Array, rows: Mask | None) -> None:
    """An error naming the rows, should any value computed be NaN or infinite."""
    if not all_finite(values):
        _refuse(what, "not finite", ~np.isfinite(values), rows)


def refuse_columns_not_finite(
    names: Sequence[str], matrix: Array, read: Container[str], rows: Mask | None
) -> None:
    """The same for the columns (n, k) of a model matrix, but for those looked at when they were read."""
    for name, column in zip(names, matrix.T, strict=True):
        if name not in read and name != INTERCEPT:
            refuse_not_finite(f"'{name}'", column, rows)


def row_list(where: Mask, rows: Mask | None) -> str:
    """Positions in the user's data of some of the rows used, for messages."""
    positions = np.flatnonzero(where) if rows is None else np.flatnonzero(rows)[where]
    shown = ", ".join(str(position) for position in positions[:MOST_ROWS_SHOWN].tolist())
    more = f" and {len(positions) - MOST_ROWS_SHOWN} more" if len(positions) > MOST_ROWS_SHOWN else ""
    return f"row{'s' if len(positions) > 1 else ''} {shown}{more} (counted from 0)"


def _refuse(what: str, problem: str, where: Mask, rows: Mask | None) -> None:
    if where.any():
        raise DataError(f"{what} is {problem} in {row_list(where, rows)}; correct or remove these rows.")


def _recoded(name: str, columns: Mapping[str, Value], given: Any) -> Value:
    value = columns.get(name)
    if value is None:
        raise DataError(f"contrasts= names {name!r}, which is no predictor of this formula.")
    if not isinstance(value, Factor) and value.dtype != np.bool_:
        raise DataTypeError(f"contrasts= names {name!r}, which is numeric; make it categorical first.")
    factor = as_factor(value)
    return replace(factor, contrasts=chosen_contrasts(name, given, factor.levels))


def _are_truth(value: Value, known: tuple[object, ...]) -> bool:
    """Whether a column is true or false here as it was in the fit."""
    return known == (False, True) and not isinstance(value, Factor) and value.dtype == np.bool_
