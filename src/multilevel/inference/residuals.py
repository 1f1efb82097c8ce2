"""How far is each row from the fit, and how much does it pull? Residuals, leverage, Cook's distance."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.sandwich import LEVERAGE_ONE, ScoredRows, leverage, scored_rows

ResidualKind = Literal["response", "pearson", "scaled", "studentized"]


def residuals_of_kind(design: Design, record: OLSRecord, kind: ResidualKind) -> Array:
    """Residuals (n,) of the kind asked for."""
    checked_choice("kind", kind, ("response", "pearson", "scaled", "studentized"))
    match kind:
        case "response":
            return record.residuals
        case "pearson":
            return pearson_residuals(record.residuals, design.weights)
        case "scaled":
            return pearson_residuals(record.residuals, design.weights) / record.sigma
        case "studentized":
            return studentized_residuals(scored_rows(design, record), record.sigma)


def pearson_residuals(residuals: Array, precision: Array | None) -> Array:
    """Residuals times the square roots of the precision weights: all have variance sigma^2 (1 - h)."""
    return residuals if precision is None else np.sqrt(precision) * residuals


def studentized_residuals(rows: ScoredRows, sigma: float) -> Array:
    """Residuals over their standard errors; NaN in a row that has a coefficient of its own."""
    share = 1.0 - leverage(rows)
    error = sigma * np.sqrt(np.where(share < LEVERAGE_ONE, np.nan, share))
    return pearson_residuals(rows.residuals, rows.precision) / error


def cooks_distance(rows: ScoredRows, sigma: float) -> Array:
    """How far the fitted values move without one copy of a row, in units of p sigma^2 (Cook 1977)."""
    h = leverage(rows)
    return studentized_residuals(rows, sigma) ** 2 * h / (1.0 - h) / rows.n_coefficients
