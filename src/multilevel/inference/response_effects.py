"""By how much does the mean response change, on average over the data, when one variable changes?

As `marginal_effects`, but through the link: in each row the mean at another value of the variable, or its
slope along it, everything else staying as it is, and the average over rows. Standard errors are by the delta
method, from the gradient of each average in the parameters.

Reference: Bartus (2005), The Stata Journal 5, 309-329.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from multilevel._typing import Array, Frame, Mask
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.derivatives import derivative, stencil
from multilevel.inference.emmeans import value_text
from multilevel.inference.estimability import estimable
from multilevel.inference.grid_variables import Variable, as_column
from multilevel.inference.linear_functions import Estimated, standard_errors
from multilevel.inference.marginal_effects import averaging, constant, observed, row_groups, used_variables
from multilevel.inference.reference_grid import Population, checked_variable, code_rows
from multilevel.inference.specs import Names, names_of

STEP = 1e-4  # of a linear predictor, for the second derivative of the mean


class MeanOfRows(NamedTuple):
    """Means (n,) at linear predictors, and their derivatives in these and in e further parameters."""

    mean: Array  # (n,)
    slopes: Array  # (n, 1 + e)


MeanFunction = Callable[[Array], MeanOfRows]


class Average(NamedTuple):
    """Averages over the rows of each of G groups."""

    mean: Array  # (G,)
    gradient: Array  # (G, p + e) in the coefficients and the further parameters
    known: Mask  # (G,) whether the data say anything of it


@dataclass(frozen=True, slots=True)
class ResponseEffects:
    """Average effects on the mean response, variable by variable, and group by group for each contrast."""

    term: list[str]  # (k,)
    contrast: list[str]  # (k,) "slope", or "b - a"
    groups: dict[str, list[object]]  # (k,) by column
    estimate: Array  # (k,)
    gradient: Array  # (k, p + e)
    known: Mask  # (k,)


def response_effects(
    source: Population, data: Frame, variables: Names, by: Names, beta: Array, mean: MeanFunction
) -> ResponseEffects:
    """Average effects of the variables (all by default) in each group (all rows by default)."""
    names = names_of(variables, frozenset(source.variables), "variables") or used_variables(source)
    for name in names:
        checked_variable(name, source, "variables")
    groups = row_groups(source.design, data, by)
    rows = observed_rows(source, beta, mean, averaging(source.design, groups))
    found = [
        (name, contrast, effect)
        for name in names
        for contrast, effect in effects(rows, source.variables[name])
    ]
    return ResponseEffects(
        term=[name for name, *_ in found for _ in range(groups.n_groups)],
        contrast=[contrast for _, contrast, _ in found for _ in range(groups.n_groups)],
        groups={name: values * len(found) for name, values in groups.labels.items()},
        estimate=np.concatenate([np.empty(0), *(effect.mean for *_, effect in found)]),
        gradient=np.vstack([effect.gradient for *_, effect in found]) if found else np.empty((0, len(beta))),
        known=np.concatenate([np.empty(0, np.bool_), *(effect.known for *_, effect in found)]),
    )


def with_errors(effects: ResponseEffects, inference: CoefficientInference) -> Estimated:
    """The effects with standard errors and degrees of freedom."""
    known = effects.known
    estimate, std_error, df = (np.full(len(known), np.nan) for _ in range(3))
    estimate[known] = effects.estimate[known]
    std_error[known] = standard_errors(effects.gradient[known], inference)
    moving = known & (std_error > 0.0)
    df[moving] = inference.df(effects.gradient[moving])
    return Estimated(estimate, std_error, df, known)


# Effects ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ObservedRows:
    """The rows used, and how their means are found and averaged."""

    source: Population
    beta: Array  # (p,)
    mean: MeanFunction
    average: Callable[[Array], Array]  # columns (n, q) -> (G, q)
    columns: Mapping[str, Any]  # of all variables, as they are
    offset: Array  # (n,) that no variable makes: an array that the user gave

    def coded(self, name: str, column: Any) -> tuple[Array, Array]:
        """All p + d columns (n, p + d) and offset (n,) of the rows, where one variable has other values."""
        design = self.source.design
        X, offset = code_rows(self.source, {**self.columns, name: column}, design.n_rows)
        return X, offset + self.offset

    def kept(self, X: Array) -> Array:
        """Columns that have coefficients."""
        return np.asarray(X[:, list(self.source.columns.kept)])

    def averaged(self, mean: Array, gradient: Array, known: Mask) -> Average:
        """Averages in each group; unknown where a row of the group is."""
        unknown = self.average((~known).astype(np.float64)[:, None])[:, 0]
        return Average(self.average(mean[:, None])[:, 0], self.average(gradient), unknown == 0.0)

    def estimable(self, X: Array) -> Mask:
        """Which rows (n,) the data say something about; all where no column was dropped."""
        if not self.source.columns.null.shape[1]:
            return np.ones(len(X), dtype=np.bool_)
        return estimable(X, self.source.columns)


def observed_rows(
    source: Population, beta: Array, mean: MeanFunction, average: Callable[[Array], Array]
) -> ObservedRows:
    """The rows used as they are, each with its own offset."""
    design = source.design
    columns = {v.name: as_column(v, observed(v)) for v in source.variables.values()}
    known = code_rows(source, columns, design.n_rows)[1]
    offset = -known if design.offset is None else design.offset - known
    return ObservedRows(source, beta, mean, average, columns, np.asarray(offset))


def effects(rows: ObservedRows, variable: Variable) -> Iterator[tuple[str, Average]]:
    """Contrasts of one variable with their averages."""
    if variable.levels is None:
        yield "slope", average_slope(rows, variable)
        return
    first = average_mean(rows, variable, 0)
    for code in range(1, len(variable.levels)):
        contrast = f"{value_text(variable.levels[code])} - {value_text(variable.levels[0])}"
        other = average_mean(rows, variable, code)
        yield (
            contrast,
            Average(other.mean - first.mean, other.gradient - first.gradient, other.known & first.known),
        )


def average_mean(rows: ObservedRows, variable: Variable, code: int) -> Average:
    """Mean response where a factor has one level in all rows."""
    full, offset = rows.coded(variable.name, constant(variable, code, rows.source.design.n_rows))
    X = rows.kept(full)
    mean, slopes = rows.mean(X @ rows.beta + offset)
    return rows.averaged(mean, np.hstack([slopes[:, :1] * X, slopes[:, 1:]]), rows.estimable(full))


def average_slope(rows: ObservedRows, variable: Variable) -> Average:
    """Mean derivative along a covariate: that of the mean in eta, times that of eta."""
    values = variable.values
    assert values is not None

    def coded(points: Array) -> Array:
        return np.column_stack(rows.coded(variable.name, points))

    full, offset = rows.coded(variable.name, values)
    change = derivative(coded, stencil(values, values))
    X, D = rows.kept(full), rows.kept(change[:, :-1])
    eta, moved = X @ rows.beta + offset, D @ rows.beta + change[:, -1]
    slopes = rows.mean(eta).slopes
    second = (rows.mean(eta + STEP).slopes - rows.mean(eta - STEP).slopes) / (2.0 * STEP)
    by_beta = slopes[:, :1] * D + (second[:, 0] * moved)[:, None] * X
    gradient = np.hstack([by_beta, second[:, 1:] * moved[:, None]])
    known = rows.estimable(full) & rows.estimable(change[:, :-1])
    return rows.averaged(slopes[:, 0] * moved, gradient, known)
