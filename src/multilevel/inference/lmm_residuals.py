"""How far is each row from the fit of a mixed model?"""

from __future__ import annotations

from typing import Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord

ResidualKind = Literal["response", "pearson", "scaled", "fixed"]


def lmm_residuals(design: Design, record: LMMRecord, kind: ResidualKind) -> Array:
    """Residuals (n,) of the kind asked for."""
    checked_choice("kind", kind, ("response", "pearson", "scaled", "fixed"))
    match kind:
        case "response":
            return design.y - record.fitted
        case "fixed":
            return design.y - record.fitted_fixed
        case "pearson":
            return weighted_residuals(design, record)
        case "scaled":
            if (
                record.sigma == 0.0
            ):  # no residual term: the random effects hold all that the fixed part leaves
                return (design.y - record.fitted_fixed) / marginal_sd(design, record)
            return weighted_residuals(design, record) / record.sigma


def weighted_residuals(design: Design, record: LMMRecord) -> Array:
    """Conditional residuals times the square roots of the precision weights, on one scale sigma."""
    residual = design.y - record.fitted
    return residual if design.weights is None else np.sqrt(design.weights) * residual


def marginal_sd(design: Design, record: LMMRecord) -> Array:
    """Standard deviation (n,) of each row's random part."""
    variance = np.zeros(design.n_rows)
    for term, found in zip(design.terms, record.terms, strict=True):
        variance += ((term.Z @ found.root) ** 2).sum(axis=1)
    return np.sqrt(variance)
