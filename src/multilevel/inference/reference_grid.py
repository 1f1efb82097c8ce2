"""At which combinations of the predictors are means estimated, and what is their model matrix there?

The reference grid crosses all levels of the factors with the covariates at their means, or at values that the
user gives. A covariate with two distinct values keeps both, as a factor would.

Reference: Searle, Speed & Milliken (1980), The American Statistician 34, 216-221.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import prod
from typing import Any

import numpy as np

from multilevel._typing import Array, Codes, Frame
from multilevel.design.design import Design
from multilevel.design.encoder import NewRows
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.frames.labels import label_text
from multilevel.frames.output import to_frame
from multilevel.inference.contrast_sets import listed, numbers
from multilevel.inference.derivatives import derivative, stencil
from multilevel.inference.estimability import FullColumns, full_columns, full_encoder
from multilevel.inference.grid_variables import (
    Terms,
    Variable,
    as_column,
    known_levels,
    model_variables,
    term_variables,
)

ROUNDING = 1e-13  # of the largest value, that the mean of a centred variable may be off zero
MOST_NUMBERS = 10**8  # in the grid's model matrix


@dataclass(frozen=True, slots=True)
class Axis:
    """A variable with its values on the grid."""

    variable: Variable
    codes: Codes | None  # (d,) which levels of a factor
    values: Array | None  # (d,) values of a covariate
    observed: (
        Codes | None
    )  # (n,) which of the d each row used has, -1 for none; None for values of the user's

    @property
    def name(self) -> str:
        """The variable's name."""
        return self.variable.name

    @property
    def size(self) -> int:
        """Number of values d."""
        column = self.codes if self.values is None else self.values
        return 0 if column is None else len(column)


@dataclass(frozen=True, slots=True)
class Population:
    """What the grid is made from: a fit's variables in its rows used."""

    design: Design
    variables: Mapping[str, Variable]
    terms: Terms
    columns: FullColumns
    offset: float  # mean of an offset that is not a function of the variables


@dataclass(frozen=True, slots=True)
class ReferenceGrid:
    """The model matrix at every combination of the axes' values."""

    axes: tuple[Axis, ...]  # m of them, with d1, ..., dm values
    X: Array  # (d1, ..., dm, p + d) the columns of the fixed part, or their derivative
    offset: Array  # (d1, ..., dm)


def population(design: Design, data: Frame) -> Population:
    """The variables of a fit, and how its columns depend on one another."""
    return Population(
        design=design,
        variables=model_variables(design, data),
        terms=term_variables(design, data),
        columns=full_columns(design, data),
        offset=mean_of_given_offset(design, data),
    )


def mean_of_given_offset(design: Design, data: Frame) -> float:
    """Mean of an offset= that was an array; zero for any other, which is computed from its columns."""
    if design.encoder.offset is not True or design.offset is None:
        return 0.0
    encoded = replace(design.encoder, offset=False).encode(data, ()) if design.formula.offsets else None
    known = 0.0 if encoded is None or encoded.offset is None else encoded.offset[design.rows[encoded.rows]]
    return mean(design.offset - known, design)


def mean(values: Array, design: Design) -> float:
    """Mean over the observations: each row counted as often as its frequency weight says."""
    return float(np.average(values, weights=design.freq_weights))


# Axes ------------------------------------------------------------------------------------------------


def grid_axes(source: Population, at: Mapping[str, Any] | None) -> tuple[Axis, ...]:
    """Every variable with its values on the grid: those in `at`, else levels or the mean."""
    if at is not None and not isinstance(at, Mapping):
        raise DataTypeError(f"at={at!r:.60} maps no variable to values; write at={{'x': [0, 10]}}.")
    given = dict(at or {})
    for name in given:
        checked_variable(name, source, "at")
    return tuple(
        given_axis(variable, given[name]) if name in given else usual_axis(variable, source.design)
        for name, variable in source.variables.items()
    )


def usual_axis(variable: Variable, design: Design) -> Axis:
    """All levels of a factor; both values of a covariate that has two; the mean of any other."""
    if variable.levels is not None:
        return Axis(variable, np.arange(len(variable.levels), dtype=np.int32), None, variable.codes)
    values = variable.values
    assert values is not None
    low, high = float(values.min()), float(values.max())
    if low < high and bool(((values == low) | (values == high)).all()):
        return Axis(variable, None, np.array([low, high]), (values == high).astype(np.int32))
    centre = mean(values, design)
    if abs(centre) <= ROUNDING * np.abs(values).max():  # of a variable that was centred before
        centre = 0.0
    return Axis(variable, None, np.array([centre]), None)


def given_axis(variable: Variable, given: Any) -> Axis:
    """The values that the user gives."""
    listed_values = [given] if isinstance(given, str | bool) or np.ndim(given) == 0 else list(given)
    if not listed_values:
        raise DataError(f"at= gives no value for '{variable.name}'; name one at least, or leave it out.")
    if variable.levels is None:
        return Axis(variable, None, np.unique(numbers(f"at= for '{variable.name}'", listed_values)), None)
    names = [label_text(level) for level in variable.levels]
    codes = np.array([level_code(value, variable.name, names) for value in listed_values], dtype=np.int32)
    if len(np.unique(codes)) < len(codes):
        raise DataError(f"at= names a level of '{variable.name}' twice; name each once.")
    place = np.full(len(names), -1, dtype=np.int32)
    place[codes] = np.arange(len(codes), dtype=np.int32)
    assert variable.codes is not None
    return Axis(variable, codes, None, place[variable.codes])


def level_code(value: object, name: str, levels: Sequence[str]) -> int:
    """Which level a value is."""
    text = label_text(value)
    if text not in levels:
        raise DataError(f"'{name}' has no level {text!r}; its levels are {listed(levels)}.")
    return levels.index(text)


def checked_variable(name: str, source: Population, where: str) -> None:
    """A variable of the fixed part, or an error that says what there is."""
    if name in source.variables:
        return
    groups = [grouping.name for grouping in source.design.groupings]
    if name in groups:
        why = "is a grouping factor of the random effects (its levels are in coef() and ranef())"
    elif name == source.design.response_name:
        why = "is the response"
    else:
        why = "the fixed part does not have"
    near = get_close_matches(name, source.variables, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(source.variables) or 'none'}."
    raise DataError(f"{where} names '{name}', which {why}; {hint}")


# The model matrix ------------------------------------------------------------------------------------


def reference_grid(source: Population, axes: Sequence[Axis]) -> ReferenceGrid:
    """The model matrix at every combination."""
    X, offset = code_cells(source, axes, {})
    return shaped(axes, X, offset)


def trend_grid(source: Population, axes: Sequence[Axis], var: str) -> ReferenceGrid:
    """The derivative of the model matrix by one covariate at every combination."""
    axis = next(axis for axis in axes if axis.name == var)
    assert axis.values is not None
    place = cell_indices(axes)[axes.index(axis)]
    points = stencil(axis.values[place], axis.variable.values)

    def coded(values: Array) -> Array:
        X, offset = code_cells(source, axes, {var: values})
        return np.column_stack([X, offset])

    slope = derivative(coded, points)
    return shaped(axes, slope[:, :-1], slope[:, -1])


def shaped(axes: Sequence[Axis], X: Array, offset: Array) -> ReferenceGrid:
    """Cells in their places."""
    sizes = tuple(axis.size for axis in axes)
    return ReferenceGrid(tuple(axes), X.reshape(*sizes, X.shape[1]), offset.reshape(sizes))


def cell_indices(axes: Sequence[Axis]) -> list[Codes]:
    """For each axis, which of its values each of the K cells has (K,); the last axis varies fastest."""
    mesh = np.indices(tuple(axis.size for axis in axes), dtype=np.int32)
    return [index.ravel() for index in mesh]


def code_cells(source: Population, axes: Sequence[Axis], instead: Mapping[str, Array]) -> tuple[Array, Array]:
    """Model matrix (K, p + d) and offset (K,) of all cells, with other values `instead` of some."""
    refuse_huge(source, axes)
    columns: dict[str, Any] = {}
    for axis, place in zip(axes, cell_indices(axes), strict=True):
        here = axis.codes if axis.values is None else axis.values
        assert here is not None
        columns[axis.name] = as_column(axis.variable, instead.get(axis.name, here[place]))
    return code_rows(source, columns, prod(axis.size for axis in axes))


def code_rows(source: Population, columns: Mapping[str, Any], n: int) -> tuple[Array, Array]:
    """Model matrix (n, p + d) and offset (n,) of rows given by the values of all variables."""
    encoded = encode_rows(source, columns, n)
    offset = np.zeros(n) if encoded.offset is None else encoded.offset
    return encoded.X, offset + source.offset


def encode_rows(
    source: Population, columns: Mapping[str, Any], n: int, *, every_term: bool = False
) -> NewRows:
    """Rows given by the values of all variables, coded; with `every_term` the columns left of bars too."""
    design = source.design
    encoder = full_encoder(design)
    encoder = replace(
        encoder,
        offset=False if encoder.offset is True else encoder.offset,
        weights=False,
        levels={**encoder.levels, **known_levels(source.variables.values())},
    )
    frame = to_frame({**columns, "number of the row": np.arange(n)}, "pandas")
    return encoder.encode(frame, (), every_term=every_term)


def refuse_huge(source: Population, axes: Sequence[Axis]) -> None:
    """A grid that would not fit is refused, and told how to be made smaller."""
    cells = prod(axis.size for axis in axes)
    if cells * len(source.columns.centre) > MOST_NUMBERS:
        widest = max(axes, key=lambda axis: axis.size)
        raise ModelError(
            f"the reference grid would have {cells:,} cells; '{widest.name}' alone has {widest.size:,} "
            f"values. Name fewer with at={{'{widest.name}': [...]}}."
        )
