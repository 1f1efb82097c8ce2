"""Columns of raw data beside the group that each row belongs to, without a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Frame, Mask
from multilevel.design.arguments import RowNumbers, in_rows, read_given
from multilevel.design.columns import missing_in, read_columns, usable
from multilevel.design.design import Grouping
from multilevel.design.factor import Factor
from multilevel.design.grouping import code_groups
from multilevel.design.rows import UsedRows, choose_rows
from multilevel.design.scale import refuse_extreme_columns
from multilevel.design.text_numbers import read_as_numbers
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.frames.column import Categorical
from multilevel.frames.table import FrameKind, Table, read_table


@dataclass(frozen=True, slots=True)
class Values:
    """One column as numbers, and what they were."""

    numbers: Array  # (n,)
    one: str | None = None  # the label that the number 1 stands for, if the column held two labels


@dataclass(frozen=True, slots=True)
class ClusteredRows:
    """The rows used of some columns, by group; n rows in all."""

    grouping: Grouping
    columns: Mapping[str, Values]
    counts: Array | None  # (n,) how often each row stands
    rows: UsedRows
    kind: FrameKind

    @property
    def n_obs(self) -> float:
        """Observations: rows, each as often as it counts."""
        return float(self.rows.n_used if self.counts is None else self.counts.sum())


def read_clustered(
    data: Frame, groups: str, columns: Sequence[str], freq_weights: RowNumbers | None, missing: str
) -> ClusteredRows:
    """Read columns as numbers and `groups` as labels, in the rows where none of them is missing.

    `groups` names a column, or several that are to be crossed, as "batch:cask".

    >>> clustered = read_clustered({"y": [1.0, 2.0, 4.0], "g": ["a", "a", "b"]}, "g", ["y"], None, "drop")
    >>> clustered.grouping.levels, clustered.columns["y"].numbers
    (('a', 'b'), array([1., 2., 4.]))
    """
    table = read_table(data)
    parts = group_parts(groups, table)
    given = read_given(table, None, freq_weights, None)
    numbers = read_columns(table, columns)
    labels = {part: table.labels(part) for part in parts}
    rows = choose_rows(
        table.n_rows, missing_in(numbers) | missing_in(labels) | given.missing(), given.counts, missing
    )
    return ClusteredRows(
        grouping=code_groups(parts, [labels_in_rows(labels[part], rows.mask) for part in parts])[0],
        columns={name: as_numbers(name, usable(column, rows.mask)) for name, column in numbers.items()},
        counts=in_rows(given, rows.mask).freq_weights,
        rows=rows,
        kind=table.kind,
    )


def group_parts(groups: object, table: Table, argument: str = "groups") -> list[str]:
    """The columns that make the groups."""
    if not isinstance(groups, str):
        raise DataTypeError(
            f'{argument}= takes the name of a column, as in {argument}="school"; got {groups!r:.60}.'
        )
    return [groups] if groups in table.names else groups.split(":")


def labels_in_rows(labels: Categorical, rows: Mask | None) -> Categorical:
    """Labels of the rows used."""
    return labels if rows is None else Categorical(labels.codes[rows], labels.levels, labels.ordered)


def as_numbers(name: str, value: Factor | Array | Mask) -> Values:
    """A column as numbers: truth values, and one of two labels, are 0 and 1."""
    if isinstance(value, Factor):
        if len(value.levels) != 2:
            raise DataTypeError(not_numeric(name, value))
        return Values(value.codes.astype(np.float64), str(value.levels[1]))
    numbers = np.asarray(value, dtype=np.float64)
    refuse_extreme_columns([name], numbers[:, None])
    return Values(numbers, "True" if value.dtype == np.bool_ else None)


def not_numeric(name: str, factor: Factor) -> str:
    """Why labels cannot be used, and what can be."""
    if read_as_numbers(factor.levels):
        return f"'{name}' holds text that reads as numbers; convert it to numbers first."
    n = len(factor.levels)
    if n == 1:
        return f"'{name}' is {factor.levels[0]!r} in every row used; nothing varies."
    return (
        f"'{name}' holds {n} labels, not numbers; ask about one of them, as a column that is "
        f"true where '{name}' is {factor.levels[0]!r}, or give ordered labels numbers."
    )


def refuse_no_clusters(clustered: ClusteredRows) -> None:
    """Likeness within groups needs several groups, and one with several members."""
    name, n_groups = clustered.grouping.name, clustered.grouping.n_levels
    if n_groups < 2:
        raise ModelError(
            f"'{name}' has one group, so nothing can be said of differences between groups; "
            "check groups=, or the rows that are left."
        )
    if clustered.n_obs <= n_groups:
        raise ModelError(
            f"each of the {n_groups} groups of '{name}' has one row, so variance within groups cannot be "
            "told from variance between them, by any estimator; at least one group needs two rows. "
            "Check that groups= names the groups and not the rows."
        )


def refuse_constant_column(name: str, values: Array) -> None:
    """What does not vary has no variance to share out."""
    if (values == values[0]).all():
        raise DataError(f"'{name}' is {values[0]:g} in every row used, so it has no variance to share out.")
