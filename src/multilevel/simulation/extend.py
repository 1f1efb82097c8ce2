"""The rows of a study with more groups, or fewer: groups of the data repeated in turn under new names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_count
from multilevel._typing import Codes, Frame
from multilevel.design.build import columns_needed
from multilevel.errors import DataError
from multilevel.formula.parse import parse_formula
from multilevel.frames.column import Categorical, Column, Numeric
from multilevel.frames.labels import label_text
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind, Table, read_table

Index = npt.NDArray[np.intp]


def extended(data: Frame, formula: str, sizes: Mapping[str, int], kind: FrameKind | None = None) -> Frame:
    """The columns that a formula needs, with as many levels of each grouping factor as `sizes` say.

    >>> data = {"x": [1.0, 2.0, 3.0], "g": ["a", "a", "b"]}
    >>> extended(data, "y ~ x + (1 | g)", {"g": 3})
         x      g
    0  1.0      a
    1  2.0      a
    2  3.0      b
    3  1.0  a (2)
    4  2.0  a (2)
    """
    parsed = parse_formula(formula)
    table = read_table(data)
    response = parsed.response.expressions[0]
    names = [name for name in dict.fromkeys(columns_needed(parsed, table.names)) if name != response]
    factors = list(dict.fromkeys(part for bar in parsed.bars for part in bar.factor))
    columns: dict[str, Column] = {
        name: table.labels(name) if name in factors else table.column(name) for name in names
    }
    for group, count in sizes.items():
        columns = with_levels_of(
            columns, refuse_no_group(table, factors, group), checked_count(group, count), factors
        )
    return to_frame(columns, kind or table.kind)


def with_levels_of(
    columns: Mapping[str, Column], group: str, count: int, factors: Sequence[str]
) -> dict[str, Column]:
    """Rows of `count` groups: those there are in turn, each time under a new name."""
    factor = columns[group]
    assert isinstance(factor, Categorical)
    order = np.argsort(factor.codes, kind="stable")
    present = order[factor.codes[order] >= 0]
    rows_of = np.split(
        present, np.cumsum(np.bincount(factor.codes[present], minlength=len(factor.levels)))[:-1]
    )
    filled = [rows for rows in rows_of if len(rows)]
    chosen = [filled[k % len(filled)] for k in range(count)]
    rows = np.concatenate(chosen)
    copy = np.repeat(np.arange(count) // len(filled), [len(each) for each in chosen])
    relabelled = [
        group,
        *(name for name in factors if name in columns and lies_within(columns[name], factor)),
    ]
    return {
        name: copied_labels(column, rows, copy) if name in relabelled else taken(column, rows)
        for name, column in columns.items()
    }


def lies_within(inner: Column, outer: Categorical) -> bool:
    """Whether each level of one factor has one level of the other, so that a copy needs levels of its own."""
    if not isinstance(inner, Categorical) or inner is outer:
        return False
    home = np.empty(len(inner.levels), dtype=outer.codes.dtype)
    home[inner.codes] = outer.codes
    return bool((home[inner.codes] == outer.codes).all()) and len(inner.levels) > len(outer.levels)


def copied_labels(column: Column, rows: Index, copy: npt.NDArray[np.intp]) -> Categorical:
    """Labels of rows, those of the second copy with "(2)" behind."""
    assert isinstance(column, Categorical)
    pairs = copy * len(column.levels) + column.codes[rows]
    distinct, codes = np.unique(pairs, return_inverse=True)
    labels = tuple(copy_name(column.levels, int(pair)) for pair in distinct)
    return Categorical(codes.astype(np.int32), labels, ordered=False)


def copy_name(levels: Sequence[Any], pair: int) -> str:
    """The name of a level's copy; the first keeps its own."""
    copy, level = divmod(pair, len(levels))
    name = label_text(levels[level])
    return name if copy == 0 else f"{name} ({copy + 1})"


def taken(column: Column, rows: Index) -> Column:
    """Some rows of a column."""
    if isinstance(column, Categorical):
        codes: Codes = column.codes[rows]
        return Categorical(codes, column.levels, column.ordered)
    missing = None if column.missing is None else column.missing[rows]
    return Numeric(column.values[rows], column.integer, missing)


def refuse_no_group(table: Table, factors: Sequence[str], group: str) -> str:
    """A grouping factor of the formula that is a column, or an error."""
    if group not in factors or group not in table.names:
        listed = ", ".join(name for name in factors if name in table.names) or "(none)"
        raise DataError(
            f"there is no grouping factor {group!r} to have another number of levels; there are {listed}. "
            "Other sizes need a plan: ml.Plan(...)."
        )
    return group
