"""How certain is an intraclass correlation? Limits that are exact, by the delta method, or from a bootstrap.

An intraclass correlation is a ratio part / whole of variances that depends on theta alone, since sigma^2
cancels. Three ways to limits:

exact      for a model with one random column: from the F distribution, see inference/variance_ratio.py;
delta      normal limits of the logit, log(part / (whole - part)), from the covariance of theta-hat;
bootstrap  quantiles of the ratio in refits to simulated responses.

Donner, A. (1986). A review of inference procedures for the intraclass correlation coefficient in the one-way
random effects model. International Statistical Review 54, 67-82.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from multilevel._typing import Array
from multilevel.clusters.variance_forms import (
    VarianceForms,
    covariances_at,
    group_forms,
    joined_forms,
    point_forms,
    residual_form,
    slopes_in_theta,
)
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.refits import ResponseFits
from multilevel.inference.variance_ratio import exact_theta_limits
from multilevel.inference.wald import critical_value

STEP, LEAST_SIZE = 1e-4, 0.1  # of theta, for differences of the criterion's exact gradient


@dataclass(frozen=True, slots=True)
class Limits:
    """Confidence limits of K quantities."""

    low: Array  # (K,)
    high: Array  # (K,)


@dataclass(frozen=True, slots=True)
class Ratios:
    """K shares of variances: part / whole."""

    part: VarianceForms
    whole: VarianceForms

    def at(self, design: Design, theta: Array, sigma: Array) -> Array:
        """The shares (B, K) at internal theta (B, k) and sigma (B,)."""
        covariances = covariances_at(design, theta, sigma)
        return self.part.at(covariances) / self.whole.at(covariances)


def icc_ratios(design: Design) -> Ratios:
    """Those of `icc()`: the share of each grouping factor, and of all together if there are several."""
    groups, residual = group_forms(design), residual_form(design)
    between = groups.total()
    part = groups if len(design.groupings) == 1 else joined_forms([groups, between])
    return Ratios(part, repeated(between + residual, len(part.residual)))


def point_ratios(design: Design, columns: Sequence[Array]) -> Ratios:
    """The share of all groups together at given columns of each term (m, q): m shares."""
    between = sum_of(point_forms(design, columns).split(len(design.groupings)))
    return Ratios(between, between + residual_form(design))


def group_point_ratios(design: Design, columns: Sequence[Array]) -> Ratios:
    """The same by grouping factor, m shares each, and then for all together if there are several."""
    by_group = point_forms(design, columns).split(len(design.groupings))
    between = sum_of(by_group)
    parts = by_group if len(by_group) == 1 else [*by_group, between]
    whole = between + residual_form(design)
    return Ratios(joined_forms(parts), joined_forms([whole] * len(parts)))


def sum_of(forms: Sequence[VarianceForms]) -> VarianceForms:
    """Sums of lists of variances, entry by entry."""
    first, *others = forms
    for form in others:
        first += form
    return first


def repeated(form: VarianceForms, count: int) -> VarianceForms:
    """One variance, as often as `count` says."""
    return joined_forms([form] * count)


def exact_limits(design: Design, model: WorkingModel, ratios: Ratios, level: float) -> Limits:
    """Limits by the exact F of the variance ratio, of which the shares are increasing functions."""
    refuse_several_columns(design)
    theta = np.array(exact_theta_limits(design, model, level))
    finite = np.where(np.isfinite(theta), theta, 0.0)[:, None]
    low, high = np.where(np.isfinite(theta)[:, None], ratios.at(design, finite, np.ones(2)), 1.0)
    return Limits(low, high)


def refuse_several_columns(design: Design) -> None:
    """With two variances to estimate no exact interval is known."""
    columns = sum(term.n_columns for term in design.terms)
    if columns > 1:
        raise ModelError(
            f'conf_int="exact" is for models with one random column, as (1 | g), and this has {columns}; '
            'use "delta" or "bootstrap".'
        )


def delta_limits(
    design: Design, model: WorkingModel, theta: Array, ratios: Ratios, *, reml: bool, level: float
) -> Limits:
    """Normal limits on the logit scale, back on that of the share."""
    covariance = theta_covariance(model, theta, reml=reml)
    at = covariances_at(design, theta[None], np.ones(1))
    part, whole = ratios.part.at(at)[0], ratios.whole.at(at)[0]
    rest = whole - part
    part_slopes, whole_slopes = (slopes_in_theta(design, f, theta) for f in (ratios.part, ratios.whole))
    gradient = part_slopes / part[:, None] - (whole_slopes - part_slopes) / rest[:, None]
    half = critical_value(level, None) * np.sqrt(np.einsum("kp,pq,kq->k", gradient, covariance, gradient))
    logit = np.log(part / rest)
    return Limits(expit(logit - half), expit(logit + half))


def theta_covariance(model: WorkingModel, theta: Array, *, reml: bool) -> Array:
    """Covariance (k, k) of the internal theta-hat: twice the inverse Hessian of the profiled criterion."""
    steps = STEP * np.maximum(np.abs(theta), LEAST_SIZE)
    hessian = np.array(
        [
            (
                model.kernel.derivatives(theta + step, reml=reml)[1]
                - model.kernel.derivatives(theta - step, reml=reml)[1]
            )
            / (2.0 * size)
            for size, step in zip(steps, np.diag(steps), strict=True)
        ]
    )
    try:
        half = np.linalg.inv(np.linalg.cholesky(0.25 * (hessian + hessian.T)))
    except np.linalg.LinAlgError:
        raise ModelError(
            "the criterion is flat at the estimates, so the delta method has no covariance to go by; "
            'use conf_int="bootstrap".'
        ) from None
    return np.asarray(half.T @ half)


def bootstrap_limits(design: Design, refits: ResponseFits, ratios: Ratios, level: float) -> Limits:
    """Quantiles of the shares over the refits that converged."""
    return percentile_limits(ratios.at(design, refits.theta, refits.sigma)[refits.converged], level)


def percentile_limits(values: Array, level: float) -> Limits:
    """Quantiles of each column of `values` (B, K) that leave out (1 - level) / 2 on either side.

    Values that are not defined (NaN) are left out, unless they are most of a column: it has no limits then.
    """
    tails = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    defined = ~np.isnan(values)
    low, high = np.array(
        [
            np.quantile(column[there], tails) if 2 * there.sum() > len(column) else (np.nan, np.nan)
            for column, there in zip(values.T, defined.T, strict=True)
        ]
    ).T
    return Limits(low, high)
