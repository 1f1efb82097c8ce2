"""How large is the residual of a new observation? The variance functions of a fit, at new rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes, Frame
from multilevel.covariance.residual.variance_functions import (
    OfCovariate,
    VarConstPower,
    VarExp,
    VarFixed,
    VarianceFunction,
    VarIdent,
    factors_of,
)
from multilevel.design.design import Grouping
from multilevel.errors import NewLevelsError
from multilevel.estimation.residual.problem import ResidualModel
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.estimation.residual.scale_of_columns import crossed
from multilevel.frames.column import Numeric
from multilevel.frames.labels import group_codes
from multilevel.frames.table import read_table


@dataclass(frozen=True, slots=True)
class NewColumns:
    """What the variance functions ask of k new rows."""

    labels: Mapping[str, Sequence[str]]
    covariates: Mapping[str, Array]  # (k,) NaN where missing
    fitted: Array  # (k,)


def new_relative_sd(rows: ResidualRows, model: ResidualModel, phi: Array, new: Frame, fitted: Array) -> Array:
    """Standard deviations (k,) of new residuals over sigma, weights apart."""
    columns = read_new(rows, new, fitted)
    functions: list[VarianceFunction] = list(factors_of(rows.residual.var))
    by = rows.by
    if by is not None and not any(isinstance(each, VarIdent) for each in functions):
        functions.insert(0, VarIdent(by.name))
    log_g = np.zeros(len(fitted))
    parts = model.scale.split(phi[: model.n_scale])
    for function, factor, delta in zip(functions, model.scale.factors, parts, strict=False):
        log_g = log_g + log_factor(function, factor.natural(delta), by, rows, columns)
    return np.exp(log_g)


def read_new(rows: ResidualRows, new: Frame, fitted: Array) -> NewColumns:
    """Columns of the new rows, by name."""
    table = read_table(new)
    labels = {}
    for name in rows.columns.strata:
        column = group_codes(table.column(name))
        labels[name] = [str(column.levels[code]) if code >= 0 else "" for code in column.codes]
    covariates = {}
    for name in rows.columns.covariates:
        numbers = table.column(name)
        covariates[name] = numbers.values if isinstance(numbers, Numeric) else np.full(len(fitted), np.nan)
    return NewColumns(labels, covariates, fitted)


def log_factor(
    function: VarianceFunction, natural: Array, by: Grouping | None, rows: ResidualRows, new: NewColumns
) -> Array:
    """log g (k,) of one function, from its natural parameters."""
    match function:
        case VarFixed(x=name):
            return np.asarray(0.5 * np.log(new.covariates[name]))
        case VarIdent(by=name):
            ratios = np.concatenate([[1.0], natural])
            return np.asarray(np.log(ratios)[places(by, rows.columns.strata[name], new)])
        case OfCovariate(x=name, by=own):
            strata = None if own is None else rows.columns.strata[own]
            code = places(by, strata, new)
            x = new.fitted if name is None else new.covariates[name]
            if isinstance(function, VarExp):
                return np.asarray(natural[code] * x)
            if isinstance(function, VarConstPower):
                constant, power = np.split(natural, 2)
                return np.asarray(np.log(constant[code] + np.abs(x) ** power[code]))
            return np.asarray(natural[code] * np.log(np.abs(x)))
    raise TypeError(f"{function!r} is no variance function.")


def places(by: Grouping | None, strata: Grouping | None, new: NewColumns) -> Codes:
    """Which stratum of the fit each new row (k,) is in."""
    cells = crossed(by, strata)
    if cells is None:
        return np.zeros(len(new.fitted), dtype=np.int32)
    named = [each for each in (by, strata) if each is not None]
    parts = list(dict.fromkeys(each.name for each in named))
    labels = [":".join(row) for row in zip(*(new.labels[name] for name in parts), strict=True)]
    number = {level: code for code, level in enumerate(cells.levels)}
    unknown = sorted({label for label in labels if label not in number})
    if unknown:
        raise NewLevelsError(
            f"the fit has not seen {cells.name} {unknown[0]!r}, whose variance is therefore not known; "
            'interval="confidence" of the mean needs none.'
        )
    return np.array([number[label] for label in labels], dtype=np.int32)
