"""Intraclass correlations of raw data: which estimators and which limits does a kind of variable have?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.clusters.icc_estimators import ESTIMATORS, Estimator, contributions
from multilevel.clusters.icc_latent import log_scale_icc, logistic_icc
from multilevel.clusters.icc_resampling import ZScale, bootstrap_limits, estimates, jackknife_limits
from multilevel.clusters.one_way import GroupMoments, OneWay, f_limits
from multilevel.clusters.one_way_reml import one_way_reml, reml_limits
from multilevel.estimation.lmm import PERFECT_FIT

Kind = Literal["continuous", "binary", "count"]
LimitMethod = Literal["exact", "delta", "jackknife", "bootstrap"]

METHODS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "continuous": ("anova", "reml", "pairwise"),
    "binary": ("anova", "fleiss_cuzick", "pairwise", "moments", "latent"),
    "count": ("anova", "pairwise", "latent"),
}
USUAL_METHODS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "continuous": ("anova", "reml"),
    "binary": ("anova", "fleiss_cuzick", "latent"),
    "count": ("anova", "latent"),
}
USUAL_LIMITS: Final[Mapping[Kind, LimitMethod]] = {
    "continuous": "exact",
    "binary": "jackknife",
    "count": "jackknife",
}
NO_LIMITS = (np.nan, np.nan)


@dataclass(frozen=True, slots=True)
class Sample:
    """One variable of n rows in J groups."""

    y: Array  # (n,)
    codes: Codes  # (n,)
    counts: Array | None  # (n,)
    kind: Kind
    moments: GroupMoments
    anova: OneWay


@dataclass(frozen=True, slots=True)
class Estimate:
    """An intraclass correlation by one method; NaN where the method has no such number."""

    method: str
    icc: float
    var_between: float = np.nan
    var_within: float = np.nan
    low: float = np.nan
    high: float = np.nan


def limits_of_method(kind: Kind, method: str) -> tuple[str, ...]:
    """The kinds of limits that a method has."""
    if method == "reml":
        return ("exact", "delta")
    resampled = ("jackknife", "bootstrap")
    return ("exact", *resampled) if (method, kind) == ("anova", "continuous") else resampled


def raw_iccs(
    sample: Sample,
    methods: Sequence[str],
    limits: LimitMethod | None,
    level: float,
    streams: Iterable[np.random.Generator],
) -> list[Estimate]:
    """An estimate for each method, with limits where the method has them."""
    resampled = [method for method in methods if method != "reml"]
    found = {each.method: each for each in by_sums(sample, resampled, limits, level, streams)}
    if "reml" in methods:
        found["reml"] = by_reml(sample, limits, level)
    return [found[method] for method in methods]


def by_sums(
    sample: Sample,
    methods: Sequence[str],
    limits: LimitMethod | None,
    level: float,
    streams: Iterable[np.random.Generator],
) -> list[Estimate]:
    """Estimates that are functions of sums over groups."""
    rows, scale = contributions(sample.moments), ZScale(sample.anova.n0)
    estimators = [estimator_of(sample, method) for method in methods]
    icc = estimates(rows, estimators)
    bounds = np.full((len(methods), 2), np.nan)
    if limits == "exact" and sample.kind == "continuous":
        exact = f_limits(sample.anova, level)
        bounds = np.array([exact if method == "anova" else NO_LIMITS for method in methods])
    elif sample.anova.ss_within > 0.0 and sample.anova.ss_between > 0.0:
        if limits == "jackknife":
            bounds = jackknife_limits(rows, estimators, scale, level)
        elif limits == "bootstrap":
            bounds = bootstrap_limits(rows, estimators, scale, level, streams)
    return [
        on_own_scale(sample, Estimate(method, *with_variances(sample, method, value), *pair))
        for method, value, pair in zip(methods, icc.tolist(), bounds.tolist(), strict=True)
    ]


def estimator_of(sample: Sample, method: str) -> Estimator:
    """What is estimated; the latent correlation of binary values is converted from the ANOVA's."""
    if method != "latent":
        return ESTIMATORS[method]
    if sample.kind == "count":
        return partial(log_scale_icc, centre=sample.moments.grand_mean)
    return ESTIMATORS["anova"]


def with_variances(sample: Sample, method: str, icc: float) -> tuple[float, float, float]:
    """An estimate, and the variances between and within groups that the ANOVA has."""
    if method == "anova":
        return icc, sample.anova.var_between, sample.anova.ms_within
    return icc, np.nan, np.nan


def on_own_scale(sample: Sample, estimate: Estimate) -> Estimate:
    """The latent correlation of binary values, its limits converted at the mean of the data."""
    if (sample.kind, estimate.method) != ("binary", "latent"):
        return estimate
    convert = partial(logistic_icc, sample.moments.grand_mean)
    return replace(
        estimate, icc=convert(estimate.icc), low=convert(estimate.low), high=convert(estimate.high)
    )


def by_reml(sample: Sample, limits: LimitMethod | None, level: float) -> Estimate:
    """Variances by REML, or what they tend to as (nearly) all variance lies between groups."""
    within, between = sample.anova.ms_within, float(np.var(sample.moments.deviation, ddof=1))
    if sample.anova.ss_within <= PERFECT_FIT * sample.anova.ss_between:
        return Estimate("reml", between / (between + within), between, within)
    fit = one_way_reml(sample.moments)
    plain = Estimate("reml", fit.icc, fit.var_between, fit.var_within)
    if limits not in ("exact", "delta"):
        return plain
    found = reml_limits(fit, limits, level)
    return replace(plain, low=float(found.low[0]), high=float(found.high[0]))
