"""What are estimated marginal means as functions of the coefficients? Averages over a reference grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import numpy as np

from multilevel._options import checked_choice
from multilevel.errors import DataError
from multilevel.frames.labels import label_text
from multilevel.inference.contrast_sets import Levels, listed
from multilevel.inference.grid_averages import WEIGHTS, averaged, cell_counts
from multilevel.inference.linear_functions import Functions
from multilevel.inference.reference_grid import (
    Axis,
    Population,
    ReferenceGrid,
    checked_variable,
    grid_axes,
    reference_grid,
    trend_grid,
)
from multilevel.inference.specs import Names, Specs, read_specs


@dataclass(frozen=True, slots=True)
class Cells:
    """The combinations of levels that have a mean: those of the specs within those of the groups.

    Rows come group by group; within a group the first variable varies fastest.
    """

    specs: Specs
    values: dict[str, tuple[object, ...]]  # for each variable of the specs, its values on the grid

    @property
    def n_groups(self) -> int:
        """Number of groups G."""
        return prod(len(self.values[name]) for name in self.specs.by)

    @property
    def n_means(self) -> int:
        """Number of means in a group."""
        return prod(len(self.values[name]) for name in self.specs.names)


@dataclass(frozen=True, slots=True)
class Averaging:
    """How the means were made, for those who read them."""

    weights: str
    averaged_over: tuple[str, ...]  # factors, and covariates with several values
    held: dict[str, object]  # variable -> the one value it is held at
    interacting: tuple[str, ...]  # of what is averaged over or held, what the specs interact with


@dataclass(frozen=True, slots=True)
class Means:
    """Means (or slopes) as linear functions: one for each combination of levels."""

    cells: Cells
    functions: Functions  # G * m of them
    averaging: Averaging


def marginal_means(
    source: Population, specs: Names, by: Names, at: Mapping[str, Any] | None, weights: str
) -> Means:
    """Means at the levels of `specs`, within those of `by`, over all others."""
    axes, asked = checked_request(source, specs, by, at, weights)
    return averaged_means(source, reference_grid(source, axes), asked, weights)


def marginal_trends(
    source: Population, specs: Names, var: str, by: Names, at: Mapping[str, Any] | None, weights: str
) -> Means:
    """Slopes along `var` at the levels of `specs`."""
    axes, asked = checked_request(source, specs, by, at, weights)
    checked_variable(var, source, "var")
    if source.variables[var].is_factor:
        raise DataError(f"var='{var}' is a factor, which has no slope; compare its means with emmeans().")
    trends = averaged_means(source, trend_grid(source, axes, var), asked, weights)
    held = dict(trends.averaging.held)
    if var in held and is_straight(source, axes, asked, weights, var):
        del held[var]
    beside = tuple(name for name in trends.averaging.interacting if name != var)
    return replace(trends, averaging=replace(trends.averaging, held=held, interacting=beside))


def is_straight(source: Population, axes: tuple[Axis, ...], asked: Specs, weights: str, var: str) -> bool:
    """Whether slopes along a covariate are the same at its least and its largest value."""
    values = source.variables[var].values
    assert values is not None
    least, most = [
        averaged_means(
            source,
            trend_grid(source, [at_value(axis, end) if axis.name == var else axis for axis in axes], var),
            asked,
            weights,
        ).functions.L
        for end in (float(values.min()), float(values.max()))
    ]
    return bool(np.allclose(least, most, rtol=1e-6, atol=1e-9))


def at_value(axis: Axis, value: float) -> Axis:
    """A covariate held at another value."""
    return replace(axis, values=np.array([value]), observed=None)


def checked_request(
    source: Population, specs: Names, by: Names, at: Mapping[str, Any] | None, weights: str
) -> tuple[tuple[Axis, ...], Specs]:
    """The axes of the grid and what is asked of it."""
    checked_choice("weights", weights, WEIGHTS)
    asked = read_specs(specs, by, source.variables)
    for name in asked.names:
        checked_variable(name, source, "specs")
    for name in asked.by:
        checked_variable(name, source, "by")
    return grid_axes(source, at), asked


def averaged_means(source: Population, grid: ReferenceGrid, asked: Specs, weights: str) -> Means:
    """Average a grid over all axes that the specs do not name."""
    counts = None if weights == "equal" else cell_counts(source, grid.axes)
    L, constant = averaged(grid, asked.all, weights, counts)
    values = {axis.name: axis_values(axis) for axis in grid.axes if axis.name in asked.all}
    return Means(Cells(asked, values), Functions(L, constant), averaging(source, grid, asked, weights))


def axis_values(axis: Axis) -> tuple[object, ...]:
    """Values of an axis, levels as they are in the data."""
    if axis.values is not None:
        return tuple(axis.values.tolist())
    levels = axis.variable.levels
    assert levels is not None
    assert axis.codes is not None
    return tuple(levels[code] for code in axis.codes)


def averaging(source: Population, grid: ReferenceGrid, asked: Specs, weights: str) -> Averaging:
    """What is averaged over and what is held, and whether the specs interact with it."""
    others = [axis for axis in grid.axes if axis.name not in asked.all]
    beside = {axis.name for axis in others}
    interacting = {
        name
        for term in source.terms
        if beside.intersection(term) and set(term).intersection(asked.names)
        for name in term
        if name in beside
    }
    return Averaging(
        weights=weights,
        averaged_over=tuple(axis.name for axis in others if axis.size > 1),
        held={axis.name: axis_values(axis)[0] for axis in others if axis.size == 1},
        interacting=tuple(axis.name for axis in others if axis.name in interacting),
    )


def regrouped(means: Means, by: Names) -> Means:
    """The same means within other groups, in the order that these ask for."""
    cells = means.cells
    within = read_specs(None, by, cells.specs.all).by
    for name in within:
        if name not in cells.specs.all:
            raise DataError(
                f"by names '{name}', which these means do not have; they have {listed(cells.specs.all)}."
            )
    specs = Specs(tuple(name for name in cells.specs.all if name not in within), within)
    sizes = [len(cells.values[name]) for name in reversed(cells.specs.all)]
    place = np.arange(prod(sizes)).reshape(sizes)
    order = place.transpose([cells.specs.all[::-1].index(name) for name in reversed(specs.all)]).ravel()
    functions = Functions(means.functions.L[order], means.functions.constant[order])
    return Means(Cells(specs, cells.values), functions, means.averaging)


# What the means are called -------------------------------------------------------------------------------


def combinations_of(cells: Cells, names: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Every combination of the values of some variables, the first varying fastest."""
    backwards = product(*(cells.values[name] for name in reversed(names)))
    return [combination[::-1] for combination in backwards]


def label_columns(cells: Cells) -> dict[str, list[object]]:
    """A column of values for each variable of the specs, over all means."""
    rows = combinations_of(cells, cells.specs.all)
    return {name: [row[k] for row in rows] for k, name in enumerate(cells.specs.all)}


def group_columns(cells: Cells, repeat: int) -> dict[str, list[object]]:
    """A column of values for each variable of the groups, `repeat` rows a group."""
    rows = combinations_of(cells, cells.specs.by)
    return {name: [row[k] for row in rows for _ in range(repeat)] for k, name in enumerate(cells.specs.by)}


def levels_of(cells: Cells, names: tuple[str, ...]) -> Levels:
    """How the combinations of some variables are written in contrasts.

    Values that read as numbers are preceded by the variable's name: "Days2 - Days1", not "2 - 1".
    """
    written = [written_values(name, cells.values[name]) for name in names]
    rows = [combination[::-1] for combination in product(*reversed(written))]
    scores = scores_of(cells.values[names[0]]) if len(names) == 1 else None
    return Levels(tuple(" ".join(row) for row in rows), scores)


def written_values(name: str, values: tuple[object, ...]) -> list[str]:
    """Values as text that says what they are."""
    texts = [value_text(value) for value in values]
    return [f"{name}{text}" for text in texts] if scores_of(values) is not None else texts


def value_text(value: object) -> str:
    """A level as tables write it; numbers with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else label_text(value)


def scores_of(values: tuple[object, ...]) -> tuple[Fraction, ...] | None:
    """Values as exact numbers; None unless all read as numbers."""
    if any(isinstance(value, bool | np.bool_) for value in values):
        return None
    try:
        scores = tuple(Fraction(label_text(value)) for value in values)
    except (ValueError, ZeroDivisionError):
        return None
    return scores
