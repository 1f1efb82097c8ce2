"""Which measurements were due, and which were made? Rows of groups over a common set of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Frame, Mask
from multilevel.design.clustered import group_parts
from multilevel.design.columns import missing_rows, row_list
from multilevel.design.design import Grouping
from multilevel.design.grouping import code_groups
from multilevel.design.times import order_of_labels, places
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.table import Categorical, FrameKind, Numeric, Table, read_table


@dataclass(frozen=True, slots=True)
class Visits:
    """n rows of K groups at T times; a time that a group has no row for counts as not observed."""

    grouping: Grouping  # codes (n,)
    time_name: str
    times: tuple[Any, ...]  # (T,) in order: numbers, or levels of a factor
    visit: npt.NDArray[np.intp]  # (n,) index into times
    complete: Mask  # (n,) whether the row has all the values asked for
    kind: FrameKind

    @property
    def n_groups(self) -> int:
        """Number of groups K."""
        return self.grouping.n_levels

    @property
    def observed(self) -> Mask:
        """Whether each group (K, T) was observed at each time."""
        table: Mask = np.zeros((self.n_groups, len(self.times)), dtype=np.bool_)
        table[self.grouping.codes[self.complete], self.visit[self.complete]] = True
        return table


def read_visits(data: Frame, groups: str, time: str, y: str | Sequence[str] | None) -> Visits:
    """The groups, times and gaps of long data: one row a group and time, or none where nothing was seen.

    `y` names the columns that must be there for a group to count as observed; without it every row counts.

    >>> data = {"id": [1, 1, 2], "week": [0, 1, 0], "y": [3.0, None, 5.0]}
    >>> read_visits(data, "id", "week", "y").observed
    array([[ True, False],
           [ True, False]])
    """
    table = read_table(data)
    parts = group_parts(groups, table)
    labels = [table.labels(part) for part in parts]
    for part, each in zip(parts, labels, strict=True):
        refuse_missing_labels("groups", part, each.codes < 0)
    grouping = code_groups(parts, labels)[0]
    times, visit = read_times(table, time)
    refuse_repeated(grouping, times, visit, time)
    complete = np.ones(table.n_rows, dtype=np.bool_)
    for name in column_names("y", y):
        missing = missing_rows(table.column(name))
        complete &= True if missing is None else ~missing
    return Visits(grouping, time, times, visit, complete, table.kind)


def read_times(table: Table, time: object) -> tuple[tuple[Any, ...], npt.NDArray[np.intp]]:
    """The times in order, and which of them each row has."""
    if not isinstance(time, str):
        raise DataTypeError(f'time= takes the name of a column, as in time="week"; got {time!r:.60}.')
    column = table.column(time)
    missing = missing_rows(column)
    if missing is not None:
        refuse_missing_labels("time", time, missing)
    if isinstance(column, Numeric):
        values, visit = np.unique(column.values, return_inverse=True)
        whole = column.integer or bool((values == np.floor(values)).all())
        return tuple(int(v) if whole else float(v) for v in values), visit.ravel()
    return used_levels(column)


def used_levels(column: Categorical) -> tuple[tuple[Any, ...], npt.NDArray[np.intp]]:
    """Levels that occur, in the order of the column."""
    order = order_of_labels("", column, order_matters=False)
    present, visit = np.unique(places(column.codes, order).astype(np.intp), return_inverse=True)
    return tuple(column.levels[order[k]] for k in present), visit.ravel()


def column_names(argument: str, given: str | Sequence[str] | None) -> list[str]:
    """Names of columns, one or several."""
    names = [] if given is None else [given] if isinstance(given, str) else list(given)
    for name in names:
        if not isinstance(name, str):
            raise DataTypeError(
                f'{argument}= takes names of columns, as in {argument}="score"; got {name!r:.60}.'
            )
    return names


def refuse_missing_labels(argument: str, name: str, missing: Mask) -> None:
    """A row of nobody, or at no time, can be placed nowhere."""
    if missing.any():
        raise DataError(
            f"'{name}', the column of {argument}=, is missing in {row_list(missing, None)}; remove these "
            "rows or fill them in."
        )


def refuse_repeated(grouping: Grouping, times: Sequence[Any], visit: npt.NDArray[np.intp], time: str) -> None:
    """One row a group and time."""
    place = grouping.codes.astype(np.int64) * len(times) + visit
    values, counts = np.unique(place, return_counts=True)
    if (counts > 1).any():
        group, at = divmod(int(values[np.argmax(counts > 1)]), len(times))
        raise DataError(
            f"{grouping.name} {grouping.levels[group]} has several rows at {time} {times[at]}; one row a "
            "group and time is needed. Check groups= and time=, or average the rows."
        )
