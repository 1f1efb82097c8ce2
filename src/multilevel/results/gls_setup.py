"""From what a user asks of `ml.gls` to rows whose residuals have a structure."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from multilevel._typing import Frame
from multilevel.covariance.residual.specification import Residual
from multilevel.covariance.working.arma import ARMA
from multilevel.covariance.working.autoregressive import AR1
from multilevel.design.design import Design, Grouping
from multilevel.design.residual_columns import read_residual_columns
from multilevel.design.times import Times, read_times
from multilevel.errors import FormulaError, ModelError, MultilevelWarning
from multilevel.estimation.residual.rows import ResidualRows, residual_rows
from multilevel.formula.terms import Formula
from multilevel.results.gee_setup import clusters_of

Column = str | npt.ArrayLike | None


def refuse_bars(formula: Formula) -> None:
    """Random effects are of a mixed model."""
    if formula.bars:
        raise FormulaError(
            f"'{formula.text}' has random effects, {formula.bars[0].text}, and ml.gls has none: it describes "
            "the correlation of residuals itself. Use ml.lmm for random effects."
        )


def groups_and_time(residual: Residual, groups: Column, time: Column) -> tuple[Column, Column]:
    """The columns that the residual names, or else those given."""
    return (
        groups if residual.groups is None else residual.groups,
        time if residual.time is None else residual.time,
    )


def columns_of(residual: Residual, groups: Column, time: Column) -> tuple[str, ...]:
    """Columns beside the formula's that rows must not miss."""
    if isinstance(groups, list | tuple) and all(isinstance(each, str) for each in groups):
        raise ModelError(
            "groups= names one column, the independent units; residuals correlate within the innermost "
            "groups."
        )
    var = residual.var
    own = () if var is None else (*var.labels, *var.covariates)
    named = [name for name in (groups, time, residual.by) if isinstance(name, str)]
    return tuple(dict.fromkeys([*named, *own]))


def rows_of(residual: Residual, groups: Column, time: Column, data: Frame, design: Design) -> ResidualRows:
    """Rows in the order of estimation, with what whitens them."""
    times = None if time is None else read_times(time, data, design)
    grouping = groups_of(residual, groups, times, data, design)
    return rows_in_groups(residual, grouping, time, data, design)


def rows_in_groups(
    residual: Residual, grouping: Grouping | None, time: Column, data: Frame, design: Design
) -> ResidualRows:
    """The same, for groups that are known."""
    times = None if time is None else read_times(time, data, design)
    strata = () if residual.var is None else residual.var.labels
    covariates = () if residual.var is None else residual.var.covariates
    columns = read_residual_columns(
        dict.fromkeys([*strata, *([] if residual.by is None else [residual.by])]),
        dict.fromkeys(covariates),
        data,
        design,
    )
    rows = residual_rows(residual, grouping, times, columns, design.n_rows)
    warn_of_order(residual, rows)
    return rows


def groups_of(
    residual: Residual, groups: Column, times: Times | None, data: Frame, design: Design
) -> Grouping | None:
    """The independent units; all rows are one series where an order is given and no groups are."""
    if groups is not None:
        return clusters_of(groups, data, design)
    if not residual.correlated:
        return None
    if times is None or not isinstance(residual.corr, AR1 | ARMA):
        raise ModelError(
            f"residual='{residual.corr.name}' is a correlation of rows of one group: name the column of "
            'groups, as in groups="Subject". (A single series has no groups, but then time= puts its rows in '
            "order, and the correlation is 'ar1' or ml.ARMA(...).)"
        )
    if len(np.unique(times.value)) < len(times.value):
        raise ModelError(
            f"without groups= all rows are one series, and '{times.name}' repeats; name the column of "
            'groups, as in groups="Subject".'
        )
    return Grouping("rows", np.zeros(len(times.value), dtype=np.int32), ("all",))


def warn_of_order(residual: Residual, rows: ResidualRows) -> None:
    """Without times, gaps cannot be seen."""
    layout = rows.layout
    if layout is None or not residual.corr.ordered or layout.time_name is not None:
        return
    if len(set(layout.sizes.tolist())) > 1:
        warnings.warn(
            f"residual='{residual.corr.name}' depends on when rows were measured, groups of '{layout.name}' "
            "differ in size, and there is no time=: rows are taken one step apart in the order of the data. "
            "Name the column of times as time=.",
            MultilevelWarning,
            stacklevel=5,
        )
