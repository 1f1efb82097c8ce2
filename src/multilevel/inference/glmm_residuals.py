"""How far is each response from what a generalized mixed model expects of it?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import expit, xlog1py, xlogy

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.families.links import one_minus_mean
from multilevel.families.moments import RowParameters, response_variance, share_variance
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
        return pearson(design, record, y)
    if kind == "working":
        return (y - record.mu) / record.family.link.slope(record.eta)
    if record.eta_zi is not None or record.family.density.startswith("truncated"):
        raise ModelError(
            'deviance residuals are of a family alone, without zi= or truncation; use kind="pearson", '
            'or "scaled".'
        )
    size = np.ones_like(y) if design.trials is None else design.trials
    weights = size if design.main.weights is None else size * design.main.weights
    if record.family.response == "trials":
        complement = one_minus_mean(record.family.link, record.eta)
        deviance = share_deviance(y, record.mu, complement)
        difference = share_difference(y, record.mu, complement)
    else:
        deviance, difference = record.family.unit_deviance(y, record.mu), y - record.mu
    return np.asarray(np.sign(difference) * np.sqrt(weights * np.maximum(deviance, 0.0)))


def pearson(design: GLMMDesign, record: GLMMRecord, y: Array) -> Array:
    """Residuals (n,) over their standard deviations; NaN where the fitted mean has no variance."""
    rows = row_parameters(design, record)
    if record.family.response == "trials" and record.eta_zi is None:
        complement = one_minus_mean(record.family.link, record.eta)
        spread = np.sqrt(share_variance(record.family.density, rows))
        return share_difference(y, record.mu, complement) / spread
    variance = response_variance(record.family.density, rows)
    return np.asarray((y - record.fitted) / np.sqrt(np.where(variance > 0.0, variance, np.nan)))


def share_difference(y: Array, mu: Array, complement: Array) -> Array:
    """(y - mu) / sqrt(mu (1 - mu)) of shares, where 1 - mu may be below the rounding of mu; NaN outside.

    >>> share_difference(np.array([1.0, 0.0]), np.array([1.0, 1.0]), np.array([1e-20, 1e-20]))
    array([ 1.e-10, -1.e+10])
    """
    inside = (mu >= 0.0) & (complement >= 0.0)
    p, q = (np.where(inside, each, np.nan) for each in (mu, complement))
    with np.errstate(divide="ignore"):
        above = np.sqrt(q / np.where(y > 0.0, p, 1.0))
        below = np.sqrt(p / np.where(y < 1.0, q, 1.0))
    return np.asarray(np.where(y > 0.0, y * above, 0.0 * p) - np.where(y < 1.0, (1.0 - y) * below, 0.0))


def share_deviance(y: Array, mu: Array, complement: Array) -> Array:
    """Deviance of a share in one trial, where 1 - mu may be below the rounding of mu; NaN outside.

    >>> share_deviance(np.array([1.0, 0.0]), np.array([1.0, 1.0]), np.array([1e-20, 1e-20])).round(1)
    array([ 0. , 92.1])
    """
    inside = (mu >= 0.0) & (complement >= 0.0)
    p, q = (np.where(inside, each, np.nan) for each in (mu, complement))
    successes = np.where(q < 0.5, xlog1py(y, -q), xlogy(y, p))
    failures = np.where(p < 0.5, xlog1py(1.0 - y, -p), xlogy(1.0 - y, q))
    return np.asarray(2.0 * (xlogy(y, y) + xlogy(1.0 - y, 1.0 - y) - successes - failures))


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
