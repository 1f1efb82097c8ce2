"""How far is each row from the fit, and how much does it pull? Residuals, leverage, Cook's distance."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.inference.sandwich import LEVERAGE_ONE, ScoredRows, leverage

ResidualKind = Literal["response", "pearson", "scaled", "studentized"]


def residuals_of_kind(rows: ScoredRows, sigma: float, kind: ResidualKind) -> Array:
    """Residuals (n,) of the kind asked for."""
    match kind:
        case "response":
            return rows.residuals
        case "pearson":
            return pearson_residuals(rows)
        case "scaled":
            return pearson_residuals(rows) / sigma
        case "studentized":
            return studentized_residuals(rows, sigma)
    raise ModelError(
        f"residuals of kind {kind!r} do not exist; choose response, pearson, scaled or studentized."
    )


def pearson_residuals(rows: ScoredRows) -> Array:
    """Residuals times the square roots of the precision weights: all have variance sigma^2 (1 - h)."""
    return rows.residuals if rows.precision is None else np.sqrt(rows.precision) * rows.residuals


def studentized_residuals(rows: ScoredRows, sigma: float) -> Array:
    """Residuals over their standard errors; NaN in a row that has a coefficient of its own."""
    share = 1.0 - leverage(rows)
    return pearson_residuals(rows) / (sigma * np.sqrt(np.where(share < LEVERAGE_ONE, np.nan, share)))


def cooks_distance(rows: ScoredRows, sigma: float) -> Array:
    """How far the fitted values move without one copy of a row, in units of p sigma^2 (Cook 1977)."""
    h = leverage(rows)
    return studentized_residuals(rows, sigma) ** 2 * h / (1.0 - h) / rows.n_coefficients
