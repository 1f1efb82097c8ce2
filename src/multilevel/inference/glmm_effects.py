"""By how much does the expected response change, on average over the data, when one variable changes?

In each row the variable is given other values, everything else staying as it is; the expected response,
random effects averaged over (or zero), is compared and averaged. So a logistic coefficient becomes a
difference of probabilities in the population. Standard errors are by the delta method from the joint
covariance of all coefficients and covariance parameters.

Bartus, T. (2005). Estimation of marginal effects using margeff. The Stata Journal 5, 309-329.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from multilevel._typing import Array, Codes, Frame
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.design.model_terms import columns_of_sides
from multilevel.errors import ModelError
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.term_theta import covariance_at, split_theta
from multilevel.frames.table import read_table
from multilevel.inference.emmeans import value_text
from multilevel.inference.glmm_prediction import above_zero, side_estimates
from multilevel.inference.grid_variables import Variable, as_column, read_variable
from multilevel.inference.marginal_effects import Groups, averaging, observed, row_groups, used_variables
from multilevel.inference.matrices import effect_variance
from multilevel.inference.normal_average import normal_average
from multilevel.inference.population_averaged import THETA_STEP
from multilevel.inference.reference_grid import Population, checked_variable, encode_rows, population
from multilevel.inference.specs import Names, names_of

STEP = 1e-3  # of the spread of a covariate, for its slope
ETA_STEP = 1e-4  # of a linear predictor, for derivatives of averages


@dataclass(frozen=True, slots=True)
class SideSource:
    """One side of the model with the variables that its columns are made of."""

    design: Design
    source: Population
    variables: Mapping[str, Variable]  # of the fixed part, and of the columns left of bars


@dataclass(frozen=True, slots=True)
class ResponseEffects:
    """Average effects on the response: k of them, with their covariance."""

    term: list[str]
    contrast: list[str]
    groups: dict[str, list[object]]
    estimate: Array  # (k,)
    vcov: Array  # (k, k)


@dataclass(frozen=True, slots=True)
class Averages:
    """Mean responses (G,) and their derivatives in all parameters (G, k)."""

    mean: Array
    slope: Array

    def __sub__(self, other: Averages) -> Averages:
        """Differences."""
        return Averages(self.mean - other.mean, self.slope - other.slope)

    def over(self, number: float) -> Averages:
        """Both over a number."""
        return Averages(self.mean / number, self.slope / number)


def response_effects(
    design: GLMMDesign, record: GLMMRecord, data: Frame, variables: Names, by: Names, *, integrate: bool
) -> ResponseEffects:
    """Average effects of the variables (all of the fixed parts by default) in each group of rows."""
    if record.family.response == "ordered":
        raise ModelError(
            "categories have no mean whose change could be averaged; compare predict() at the values wanted."
        )
    sides = [side_source(side, data) for side in design.sides]
    known = {name: v for side in reversed(sides) for name, v in side.variables.items()}
    fixed = [name for side in sides for name in used_variables(side.source)]
    names = names_of(variables, frozenset(known), "variables") or tuple(dict.fromkeys(fixed))
    for name in names:
        if name not in known:
            checked_variable(name, replace(sides[0].source, variables=known), "variables")
    groups = row_groups(design.main, data, by)
    respond = responder(design, record, sides, groups, integrate=integrate)
    found = [
        (name, contrast, effect)
        for name in names
        for contrast, effect in effects_of(known[name], design.main.n_rows, respond)
    ]
    slope = np.vstack([effect.slope for *_, effect in found])
    return ResponseEffects(
        term=[name for name, *_ in found for _ in range(groups.n_groups)],
        contrast=[contrast for _, contrast, _ in found for _ in range(groups.n_groups)],
        groups={name: values * len(found) for name, values in groups.labels.items()},
        estimate=np.concatenate([effect.mean for *_, effect in found]),
        vcov=slope @ record.joint_vcov @ slope.T,
    )


def side_source(side: Design, data: Frame) -> SideSource:
    """A side with all variables that its columns need."""
    source, table = population(side, data), read_table(data)
    left = columns_of_sides([bar.effects for bar in side.formula.bars], table.names)
    more = {name: read_variable(name, side, table) for name in left if name not in source.variables}
    return SideSource(side, source, {**source.variables, **more})


def effects_of(
    variable: Variable, n: int, respond: Callable[[str, Any], Averages]
) -> Iterator[tuple[str, Averages]]:
    """Contrasts of one variable with their averages."""
    if variable.levels is None:
        values = observed(variable).astype(np.float64)
        h = STEP * max(float(np.std(values)), 1e-8 * max(1.0, float(np.abs(values).max())))
        yield "slope", (respond(variable.name, values + h) - respond(variable.name, values - h)).over(2.0 * h)
        return
    first = respond(variable.name, level_column(variable, 0, n))
    for code in range(1, len(variable.levels)):
        contrast = f"{value_text(variable.levels[code])} - {value_text(variable.levels[0])}"
        yield contrast, respond(variable.name, level_column(variable, code, n)) - first


def level_column(variable: Variable, code: int, n: int) -> Any:
    """A column (n,) of one level."""
    codes: Codes = np.full(n, code, dtype=np.int32)
    return as_column(variable, codes)


def responder(
    design: GLMMDesign, record: GLMMRecord, sides: list[SideSource], groups: Groups, *, integrate: bool
) -> Callable[[str, Any], Averages]:
    """What the mean response of each group is where one variable has other values."""
    average = averaging(design.main, groups)

    def respond(name: str, column: Any) -> Averages:
        parts = [
            side_average(record, side, number, name, column, integrate=integrate)
            for number, side in enumerate(sides)
        ]
        mean, slope = parts[0]
        if len(parts) > 1:
            zeros, zero_slope = parts[1]
            slope = (1.0 - zeros)[:, None] * slope - mean[:, None] * zero_slope
            mean = (1.0 - zeros) * mean
        return Averages(average(mean[:, None])[:, 0], average(slope))

    return respond


def side_average(
    record: GLMMRecord, side: SideSource, number: int, name: str, column: Any, *, integrate: bool
) -> tuple[Array, Array]:
    """Expected response (n,) (or probability of an excess zero), and its derivatives (n, k)."""
    estimates, n = side_estimates(record, number), side.design.n_rows
    columns = {v.name: as_column(v, observed(v)) for v in side.variables.values()}
    if name in columns:
        columns[name] = column
    coded = encode_rows(side.source, columns, n, every_term=True)
    X = coded.X[:, list(side.source.columns.kept)]
    offset = side.source.offset if coded.offset is None else coded.offset + side.source.offset
    eta = X @ estimates.beta + offset
    pairs = list(zip(coded.Z, estimates.terms, strict=True))
    variance = np.zeros(n)
    for Z, term in pairs if integrate else ():
        variance += effect_variance(Z, term)
    sd = np.sqrt(variance)
    mean, by_eta, by_sd = average_with_slopes(function_of_side(record, number), eta, sd)
    slope = np.zeros((n, len(record.joint_vcov)))
    part = next(p for p in record.parts if p.component == ("zi" if number else "cond"))
    first = sum(len(p.names) for p in record.parts[: record.parts.index(part)])
    slope[:, first : first + X.shape[1]] = by_eta[:, None] * X
    at = len(record.joint_vcov) - len(record.theta)
    thetas = split_theta((*record.terms, *record.zi_terms), record.theta)
    if number:
        at += sum(len(own) for own in thetas[: len(record.terms)])
        thetas = thetas[len(record.terms) :]
    relative = by_sd / np.where(sd > 0.0, 2.0 * sd, np.inf)
    for (Z, term), own in zip(pairs, thetas, strict=False):
        for k in range(len(own)):
            step = np.zeros(len(own))
            step[k] = THETA_STEP * max(1.0, abs(float(own[k])))
            change = (covariance_at(term, own + step) - covariance_at(term, own - step)) / (2.0 * step[k])
            slope[:, at] = relative * np.einsum("ni,ij,nj->n", Z, change, Z)
            at += 1
    return mean, slope


def function_of_side(record: GLMMRecord, number: int) -> Callable[[Array], Array]:
    """What the linear predictor of a side stands for."""
    if number:
        return lambda eta: np.asarray(expit(eta))
    if record.family.density.startswith("truncated"):
        phi = None if record.dispersion is None else float(np.exp(np.log(record.dispersion).mean()))
        return above_zero(record, phi)
    return record.family.link.inverse


def average_with_slopes(
    function: Callable[[Array], Array], eta: Array, sd: Array
) -> tuple[Array, Array, Array]:
    """E function(eta + s Z), and its derivatives in eta and in s (where s is above zero)."""
    h = ETA_STEP
    by_eta = (normal_average(function, eta + h, sd) - normal_average(function, eta - h, sd)) / (2.0 * h)
    low = np.maximum(sd - h, 0.5 * sd)
    by_sd = (normal_average(function, eta, sd + h) - normal_average(function, eta, low)) / (sd + h - low)
    return normal_average(function, eta, sd), by_eta, by_sd
