"""By how much does the response change, on average over the data, when one variable changes?

Average marginal effects: the derivative along a covariate, or the difference between a level of a factor and
its first, with everything else as it is in each row, averaged over the rows used.

Reference: Bartus (2005), The Stata Journal 5, 309-329.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel._typing import Array, Codes, Frame
from multilevel.design.columns import missing_rows
from multilevel.design.design import Design
from multilevel.errors import DataError
from multilevel.frames.distinct import distinct_values
from multilevel.frames.table import Categorical, Table, read_table
from multilevel.inference.derivatives import derivative, stencil
from multilevel.inference.emmeans import value_text
from multilevel.inference.grid_variables import Variable, as_column
from multilevel.inference.linear_functions import Functions
from multilevel.inference.reference_grid import Population, checked_variable, code_rows
from multilevel.inference.specs import Names, names_of


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of the rows used within which effects are averaged."""

    labels: dict[str, list[object]]  # (G,) values by column
    codes: Codes  # (n,)
    n_groups: int


@dataclass(frozen=True, slots=True)
class MarginalEffects:
    """Average effects as linear functions, variable by variable, and group by group for each contrast."""

    term: list[str]  # (k,)
    contrast: list[str]  # (k,) "slope", or "b - a"
    groups: dict[str, list[object]]  # (k,) by column
    functions: Functions  # k


def marginal_effects(source: Population, data: Frame, variables: Names, by: Names) -> MarginalEffects:
    """Average effects of the variables (all by default) in each group (all rows by default)."""
    names = names_of(variables, frozenset(source.variables), "variables") or used_variables(source)
    for name in names:
        checked_variable(name, source, "variables")
    groups = row_groups(source.design, data, by)
    mean = averaging(source.design, groups)
    rows = {v.name: as_column(v, observed(v)) for v in source.variables.values()}
    found = [
        (name, contrast, effect)
        for name in names
        for contrast, effect in effects(source, rows, source.variables[name], mean)
    ]
    nothing = np.empty((0, len(source.columns.centre) + 1))
    effect = np.concatenate([nothing, *(each for *_, each in found)])
    return MarginalEffects(
        term=[name for name, *_ in found for _ in range(groups.n_groups)],
        contrast=[contrast for _, contrast, _ in found for _ in range(groups.n_groups)],
        groups={name: values * len(found) for name, values in groups.labels.items()},
        functions=Functions(effect[:, :-1], effect[:, -1]),
    )


def used_variables(source: Population) -> tuple[str, ...]:
    """Variables of the fixed part; those of offsets alone have known effects."""
    return tuple(name for name in source.variables if any(name in term for term in source.terms))


def observed(variable: Variable) -> Array | Codes:
    """What the rows used hold: codes of a factor, numbers of a covariate."""
    values = variable.values if variable.levels is None else variable.codes
    assert values is not None
    return values


# Effects ---------------------------------------------------------------------------------------------


def effects(
    source: Population, rows: Mapping[str, Any], variable: Variable, mean: Callable[[Array], Array]
) -> Iterator[tuple[str, Array]]:
    """Contrasts of one variable with their averages (G, p + d + 1): columns of X, then the offset."""

    def average(column: Any) -> Array:
        X, offset = code_rows(source, {**rows, variable.name: column}, source.design.n_rows)
        return np.column_stack([mean(X), mean(offset[:, None])])

    if variable.levels is None:
        yield "slope", average_slope(source, rows, variable, mean)
        return
    first = average(constant(variable, 0, source.design.n_rows))
    for code in range(1, len(variable.levels)):
        contrast = f"{value_text(variable.levels[code])} - {value_text(variable.levels[0])}"
        yield contrast, average(constant(variable, code, source.design.n_rows)) - first


def constant(variable: Variable, code: int, n: int) -> Any:
    """A column (n,) of one level."""
    return as_column(variable, np.full(n, code, dtype=np.int32))


def average_slope(
    source: Population, rows: Mapping[str, Any], variable: Variable, mean: Callable[[Array], Array]
) -> Array:
    """Average derivative (G, p + d + 1) along a covariate."""
    assert variable.values is not None

    def coded(values: Array) -> Array:
        X, offset = code_rows(source, {**rows, variable.name: values}, source.design.n_rows)
        return np.column_stack([X, offset])

    return mean(derivative(coded, stencil(variable.values, variable.values)))


# Averages --------------------------------------------------------------------------------------------


def averaging(design: Design, groups: Groups) -> Callable[[Array], Array]:
    """Means of columns (n, q) over the observations of each group: (G, q)."""
    weights = np.ones(design.n_rows) if design.freq_weights is None else design.freq_weights
    total = np.bincount(groups.codes, weights, groups.n_groups)

    def mean(values: Array) -> Array:
        sums = [np.bincount(groups.codes, weights * column, groups.n_groups) for column in values.T]
        return np.asarray(np.column_stack(sums) / total[:, None])

    return mean


def row_groups(design: Design, data: Frame, by: Names) -> Groups:
    """Combinations of the labels in columns of the data, those that occur in the rows used."""
    table = read_table(data)
    names = names_of(by, frozenset(table.names), "by")
    if not names:
        return Groups({}, np.zeros(design.n_rows, dtype=np.int32), 1)
    columns = [labels_in_rows(name, table, design) for name in names]
    kinds, group = np.unique([codes for codes, _ in columns], axis=1, return_inverse=True)
    labels = {
        name: [levels[code] for code in row]
        for name, (_, levels), row in zip(names, columns, kinds, strict=True)
    }
    return Groups(labels, group.ravel().astype(np.int32), kinds.shape[1])


def labels_in_rows(name: str, table: Table, design: Design) -> tuple[Codes, Sequence[object]]:
    """Codes (n,) and levels of a column in the rows used, refused where it is missing in one of them."""
    column = table.column(name)
    missing = missing_rows(column)
    if missing is not None and missing[design.rows].any():
        count = int(missing[design.rows].sum())
        raise DataError(f"by: '{name}' is missing in {count} of the rows used; fill it, or choose another.")
    if isinstance(column, Categorical):
        return column.codes[design.rows], column.levels
    return distinct_values(column.values[design.rows])
