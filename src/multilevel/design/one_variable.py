"""What are the columns of the random effects as one variable moves and the others stay where they are?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Frame
from multilevel.design.columns import read_columns, recode
from multilevel.design.design import Design
from multilevel.design.expressions import Value
from multilevel.design.factor import Factor
from multilevel.design.model_terms import columns_of_sides
from multilevel.design.sides import apply_sides
from multilevel.frames.table import read_table


@dataclass(frozen=True, slots=True)
class Moved:
    """Random-effect columns at m values of one variable."""

    values: npt.NDArray[Any]  # (m,) numbers, or the labels of a factor
    columns: tuple[Array, ...]  # for each term (m, q)


def random_variables(design: Design, data: Frame) -> dict[str, Value]:
    """The variables that the random-effect columns are computed from, in the rows used."""
    encoder, table = design.encoder, read_table(data)
    effects = [bar.effects for bar in encoder.formula.bars]
    source = read_columns(table, columns_of_sides(effects, table.names))
    return {
        name: recode(name, column, design.rows, encoder.levels.get(name)) for name, column in source.items()
    }


def move_variable(design: Design, variables: Mapping[str, Value], name: str, points: int) -> Moved:
    """Move one variable over its range in `points` steps, or a factor over its levels.

    Other numbers stay at their mean over observations, other factors at their first level.
    """
    values = grid(variables[name], points)
    m = len(values)
    typical = {other: at_rest(value, m, design.freq_weights) for other, value in variables.items()}
    moved: dict[str, Value] = {**typical, name: values}
    terms = range(1, len(design.terms) + 1)
    matrices = apply_sides(design.encoder.sides, terms, moved, m)
    return Moved(labels(values), tuple(matrix.values for matrix in matrices))


def move_column(design: Design, name: str, points: int) -> Moved:
    """Move one column of the random effects over its range; other columns stay at their means."""
    column = next(term.Z[:, term.names.index(name)] for term in design.terms if name in term.names)
    values = np.linspace(column.min(), column.max(), points)
    columns = []
    for term in design.terms:
        mean = np.average(term.Z, axis=0, weights=design.freq_weights)
        rows = np.tile(mean, (points, 1))
        rows[:, [k for k, each in enumerate(term.names) if each == name]] = values[:, None]
        columns.append(rows)
    return Moved(values, tuple(columns))


def grid(value: Value, points: int) -> Value:
    """Where a variable moves: steps over the range of numbers, or each level of a factor."""
    if isinstance(value, Factor):
        return replace(value, codes=np.arange(len(value.levels), dtype=np.int32))
    if value.dtype == np.bool_:
        return np.array([False, True])
    return np.linspace(value.min(), value.max(), points)


def at_rest(value: Value, m: int, counts: Array | None) -> Value:
    """A variable that stays where it is, m times: its mean, or the first level."""
    if isinstance(value, Factor):
        return replace(value, codes=np.zeros(m, dtype=np.int32))
    if value.dtype == np.bool_:
        return np.zeros(m, dtype=np.bool_)
    return np.full(m, np.average(value, weights=counts))


def labels(values: Value) -> npt.NDArray[Any]:
    """What a table calls the values."""
    if isinstance(values, Factor):
        return np.array([values.levels[code] for code in values.codes], dtype=object)
    return values
