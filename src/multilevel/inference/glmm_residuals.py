"""How far is each response from what a generalized mixed model expects of it?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import expit

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.families.moments import RowParameters, response_variance
from multilevel.fitted.glmm import GLMMRecord

ResidualKind = Literal["response", "pearson", "deviance", "working"]
KINDS = ("response", "pearson", "deviance", "working")


def glmm_residuals(design: GLMMDesign, record: GLMMRecord, kind: str) -> Array:
    """Residuals (n,) from the fitted values, random effects included."""
    checked_choice("kind", kind, KINDS)
    refuse_categories(record)
    y = observed(design)
    if kind == "response":
        return y - record.fitted
    if kind == "pearson":
        return (y - record.fitted) / np.sqrt(
            response_variance(record.family.density, row_parameters(design, record))
        )
    if kind == "working":
        return (y - record.mu) / record.family.link.slope(record.eta)
    if record.eta_zi is not None or record.family.density.startswith("truncated"):
        raise ModelError(
            'deviance residuals are of a family alone, without zi= or truncation; use kind="pearson", '
            'or "scaled".'
        )
    size = np.ones_like(y) if design.trials is None else design.trials
    weights = size if design.main.weights is None else size * design.main.weights
    deviance = np.maximum(record.family.unit_deviance(y, record.mu), 0.0)
    return np.asarray(np.sign(y - record.mu) * np.sqrt(weights * deviance))


def observed(design: GLMMDesign) -> Array:
    """The response as its mean is measured: shares where there are trials."""
    return design.main.y if design.trials is None else design.main.y / design.trials


def row_parameters(design: GLMMDesign, record: GLMMRecord) -> RowParameters:
    """Parameters of each row's distribution given the random effects."""
    phi, weights = record.dispersion, design.main.weights
    if phi is not None and weights is not None and record.family.weights_divide_dispersion:
        phi = phi / weights
    zeros = None if record.eta_zi is None else expit(record.eta_zi)
    return RowParameters(record.mu, phi, record.shape, design.trials, zeros)


def refuse_categories(record: GLMMRecord) -> None:
    """Ordered categories have no distance from a mean."""
    if record.family.response == "ordered":
        raise ModelError(
            "ordered categories have no residuals in units of a response; residuals('scaled') are "
            "uniform where the model holds."
        )
