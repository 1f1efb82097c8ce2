"""Weights and offset that come beside the formula: a column's name or an array, one number a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Mask
from multilevel.design.columns import refuse_infinite, row_list
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.table import Numeric, Table

RowNumbers: TypeAlias = str | npt.ArrayLike  # what a user may give


@dataclass(frozen=True, slots=True)
class Given:
    """The three arguments as they came, over all rows of the data."""

    weights: Numeric | None
    freq_weights: Numeric | None
    offset: Numeric | None

    @property
    def counts(self) -> Array | None:
        """The frequency weights."""
        return None if self.freq_weights is None else self.freq_weights.values

    def missing(self) -> dict[str, Mask | None]:
        """Rows in which an argument has no value."""
        given = {"weights=": self.weights, "freq_weights=": self.freq_weights, "offset=": self.offset}
        return {name: numbers.missing for name, numbers in given.items() if numbers is not None}


@dataclass(frozen=True, slots=True)
class GivenInRows:
    """The three arguments in the rows used, checked."""

    weights: Array | None  # (n,) positive
    freq_weights: Array | None  # (n,) 1, 2, ...
    offset: Array | None  # (n,)


def read_given(
    table: Table, weights: RowNumbers | None, freq_weights: RowNumbers | None, offset: RowNumbers | None
) -> Given:
    """Read the arguments, and check what does not depend on the rows used."""
    given = Given(
        read_numbers("weights", weights, table),
        read_numbers("freq_weights", freq_weights, table),
        read_numbers("offset", offset, table),
    )
    if given.freq_weights is not None:
        _check_counts(given.freq_weights.values)
    return given


def in_rows(given: Given, rows: Mask | None) -> GivenInRows:
    """The arguments in the rows used."""
    weights = _select(given.weights, rows)
    if weights is not None:
        _check_precision(weights, rows)
    return GivenInRows(weights, _select(given.freq_weights, rows), _select(given.offset, rows))


def read_numbers(argument: str, given: RowNumbers | None, table: Table) -> Numeric | None:
    """The numbers of an argument such as `weights=`, one a row of the data."""
    if given is None:
        return None
    numbers = _read_column(argument, given, table) if isinstance(given, str) else _read_array(argument, given)
    if len(numbers.values) != table.n_rows:
        n = len(numbers.values)
        raise DataError(f"{argument}= has {n} values and the data {table.n_rows} rows; give one a row.")
    refuse_infinite(f"{argument}=", numbers.values)
    return numbers


def _check_precision(weights: Array, rows: Mask | None) -> None:
    if not (weights > 0).all():
        where = row_list(~(weights > 0), rows)
        raise DataError(
            f"weights= must be positive, and is not in {where}; leave out rows that do not count."
        )


def _check_counts(counts: Array) -> None:
    wrong = (counts < 0) | (counts != np.floor(counts)) & ~np.isnan(counts)
    if wrong.any():
        raise DataError(
            f"freq_weights= counts how often each row stands (0, 1, 2, ...), and does not in "
            f"{row_list(wrong, None)}. For weights that say how precise a row is, use weights=."
        )


def _select(numbers: Numeric | None, rows: Mask | None) -> Array | None:
    if numbers is None:
        return None
    return numbers.values.copy() if rows is None else numbers.values[rows]


def _read_column(argument: str, name: str, table: Table) -> Numeric:
    column = table.column(name)
    if not isinstance(column, Numeric):
        raise DataTypeError(f"{argument}= names column {name!r}, which holds labels, not numbers.")
    return column


def _read_array(argument: str, given: npt.ArrayLike) -> Numeric:
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataTypeError(f"{argument}= must be numbers or the name of a column.") from None
    if values.ndim != 1:
        raise DataError(f"{argument}= has {values.ndim} dimensions; give one number a row.")
    missing = np.isnan(values)
    return Numeric(values, integer=False, missing=missing if missing.any() else None)
