"""Tidy columns of the tables that every fit has."""

from __future__ import annotations

from typing import Any

import numpy as np

from multilevel._typing import Array
from multilevel.inference.wald import CoefficientTable, wald_limits

Columns = dict[str, Any]  # name -> column, ready for frames.output.to_frame


def fixed_columns(table: CoefficientTable, conf_level: float | None, exponentiate: bool) -> Columns:
    """One row a coefficient, with confidence limits when `conf_level` is given.

    `exponentiate` transforms estimates and limits; standard errors follow by the delta method, while
    statistic and p-value stay those of the untransformed coefficient (as in broom).
    """
    with np.errstate(over="ignore"):  # of an estimate that stands for infinity
        return _fixed_columns(table, conf_level, exponentiate)


def _fixed_columns(table: CoefficientTable, conf_level: float | None, exponentiate: bool) -> Columns:
    scale = np.exp(table.estimate) if exponentiate else np.ones_like(table.estimate)
    columns: Columns = {
        "term": list(table.term),
        "estimate": scale if exponentiate else table.estimate,
        "std_error": scale * table.std_error,
        "statistic": table.statistic,
        **test_columns(table),
    }
    if conf_level is not None:
        low, high = wald_limits(table, conf_level)
        columns["conf_low"], columns["conf_high"] = (
            (np.exp(low), np.exp(high)) if exponentiate else (low, high)
        )
    return columns


def test_columns(table: CoefficientTable) -> dict[str, Array]:
    """Degrees of freedom and p-values, where the table has them."""
    tests = {"df": table.df, "p_value": table.p_value}
    return {name: column for name, column in tests.items() if column is not None}


def confint_columns(table: CoefficientTable, level: float) -> Columns:
    """Estimates between their confidence limits."""
    low, high = wald_limits(table, level)
    return {"term": list(table.term), "estimate": table.estimate, "conf_low": low, "conf_high": high}
