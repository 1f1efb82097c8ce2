"""The rows of a study that is planned: which units they belong to, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes
from multilevel.errors import DataError
from multilevel.frames.column import Categorical

PlannedColumn = Array | npt.NDArray[np.int64] | Categorical
Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PlannedRows:
    """n rows. Units of a level are numbered over the whole study, so that no two schools share a pupil."""

    n: int
    units: Mapping[str, Codes]  # level -> unit (n,) of each row, 0 .. J-1, in the order of the plan
    columns: Mapping[str, PlannedColumn]  # name -> (n,)
    assigned: Mapping[str, tuple[str, ...]]  # level -> columns that were assigned to its units

    def count(self, level: str) -> int:
        """Units of a level."""
        return int(self.units[level].max(initial=-1)) + 1

    def taken(self, rows: Index) -> PlannedRows:
        """Some rows, or all of them several times."""
        return PlannedRows(
            len(rows),
            {name: codes[rows] for name, codes in self.units.items()},
            {name: column_rows(column, rows) for name, column in self.columns.items()},
            self.assigned,
        )

    def with_level(self, name: str, codes: Codes) -> PlannedRows:
        """The same rows with the units of one more level."""
        return PlannedRows(self.n, {**self.units, name: codes}, self.columns, self.assigned)

    def with_column(self, name: str, values: PlannedColumn) -> PlannedRows:
        """The same rows with one more column."""
        return PlannedRows(self.n, self.units, {**self.columns, name: values}, self.assigned)

    def with_assigned(self, level: str, name: str, values: PlannedColumn) -> PlannedRows:
        """The same rows with a column that was assigned to the units of a level."""
        assigned = {**self.assigned, level: (*self.assigned.get(level, ()), name)}
        return PlannedRows(self.n, self.units, {**self.columns, name: values}, assigned)

    def first_rows(self, level: str) -> Index:
        """One row of each unit of a level: (J,)."""
        return np.unique(self.units[level], return_index=True)[1]

    def frame_columns(self) -> dict[str, PlannedColumn]:
        """All columns as a data set has them, units counted from 1."""
        levels = {name: codes.astype(np.int64) + 1 for name, codes in self.units.items()}
        return {**levels, **self.columns}


NOTHING = PlannedRows(1, {}, {}, {})


class Step(Protocol):
    """One sentence of a plan."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it adds."""

    @property
    def random(self) -> bool:
        """Whether it makes data sets that differ by more than the names of their units."""

    def apply(self, rows: PlannedRows, rng: np.random.Generator) -> PlannedRows:
        """The rows with what the sentence adds."""

    def words(self) -> str:
        """The sentence."""


def column_rows(column: PlannedColumn, rows: Index) -> PlannedColumn:
    """A column in some of its rows."""
    if isinstance(column, Categorical):
        return Categorical(column.codes[rows], column.levels, column.ordered)
    return column[rows]


def codes_of(column: PlannedColumn) -> Codes:
    """Which of its values a column has in each row: (n,) from 0."""
    if isinstance(column, Categorical):
        return column.codes
    return np.unique(column, return_inverse=True)[1].astype(np.int32)


def known_level(rows: PlannedRows, level: str, what: str) -> str:
    """A level of the plan so far, or an error that lists them."""
    if level not in rows.units:
        raise DataError(
            f"{what} names the level {level!r}, which the plan does not have there; its levels are "
            f"{', '.join(rows.units)}."
        )
    return level
