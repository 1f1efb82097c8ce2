"""What are the levels of a grouping factor called in the user's own data?

Levels are coded as text. Where the data hold integers, real numbers or truth values, tables give these back,
so that they can be joined to the data.
"""

from __future__ import annotations

from collections.abc import Sequence

from multilevel._typing import Frame
from multilevel.design.design import Grouping
from multilevel.frames.column import Categorical, Column
from multilevel.frames.labels import label_text
from multilevel.frames.table import read_table

Levels = tuple[object, ...]  # (J,) labels, all of one type


def own_levels(groupings: Sequence[Grouping], data: Frame) -> list[Levels]:
    """The levels of each factor in the type of its column; all as text where the types differ."""
    table = read_table(data)
    own = [
        levels_in(table.column(grouping.name), grouping.levels) if grouping.name in table.names else None
        for grouping in groupings
    ]
    typed = [levels for levels in own if levels is not None]
    one_type = len({type(level) for levels in typed for level in levels}) == 1
    return typed if one_type and len(typed) == len(own) else [grouping.levels for grouping in groupings]


def levels_in(column: Column, levels: Sequence[str]) -> Levels | None:
    """The values that a column holds for levels written as text; None where it holds no such value."""
    known = {label_text(value): value for value in values_of(column, levels)}
    return tuple(known[level] for level in levels) if known.keys() >= set(levels) else None


def values_of(column: Column, levels: Sequence[str]) -> Sequence[object]:
    """What the levels may be in the column: its own labels, or numbers that read like them."""
    if isinstance(column, Categorical):
        return column.levels
    if column.exact is not None and column.exact.dtype.kind == "M":
        return ()
    kind = int if column.integer else float
    return [kind(level) for level in levels if is_number(level)]


def is_number(text: str) -> bool:
    """Whether a label reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
