"""From bootstrap replicates to confidence limits: five ways.

    percentile   quantiles of the replicates
    basic        2 estimate - quantiles: the error of the estimate is taken to be distributed as the
    replicates' normal       estimate - bias -+ z SE
    bca          percentiles moved for median bias and skewness (Efron 1987)
    studentized  quantiles of (replicate - estimate) / its own standard error, by the standard error of the
    fit

Quantiles are those of Davison and Hinkley (1997): the k-th of B sorted replicates is at k / (B + 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from multilevel._typing import Array
from multilevel.errors import DataError

LimitMethod = Literal["percentile", "basic", "normal", "bca", "studentized"]
LIMIT_METHODS = ("percentile", "basic", "normal", "bca", "studentized")

TOO_FEW = "too few replicates could be fitted"
NO_ESTIMATE = "the fit has no estimate of it"
OFF_THE_END = "the adjusted percentile lies beyond the replicates; draw more of them"
ONE_SIDED = "all replicates lie on one side of the estimate"


@dataclass(frozen=True, slots=True)
class Limits:
    """Lower and upper limits; NaN with a reason where there is none."""

    low: Array  # (K,)
    high: Array  # (K,)
    reasons: tuple[str | None, ...]  # (K,)


def least_replicates(level: float, method: LimitMethod = "percentile") -> int:
    """How many replicates show the outer percentiles of a level; normal limits need two.

    >>> least_replicates(0.95), least_replicates(0.99)
    (39, 199)
    """
    return 2 if method == "normal" else ceil(round(2.0 / (1.0 - level), 9)) - 1


def refuse_few(count: int, level: float, method: LimitMethod) -> None:
    """Quantiles beyond the outermost replicates cannot be known."""
    least = least_replicates(level, method)
    if count < least:
        others = "" if method == "normal" else ', a lower level, or "normal" limits'
        raise DataError(
            f"{method} limits at level {level:g} need at least {least} replicates, and there are {count}; "
            f"use n={least} or more{others}."
        )


def quantiles(values: Array, shares: Array) -> Array:
    """Quantiles of one column at shares of the whole; NaN beyond 1 / (B + 1) at either end."""
    B = len(values)
    inside = (shares >= 1.0 / (B + 1) - 1e-12) & (shares <= B / (B + 1) + 1e-12)
    at = np.where(inside, np.clip(shares, 0.0, 1.0), 0.5)
    return np.where(inside, np.quantile(values, at, method="weibull"), np.nan)


def tails(level: float) -> Array:
    """Shares below the lower and below the upper limit."""
    return np.array([0.5 * (1.0 - level), 0.5 * (1.0 + level)])


@dataclass(frozen=True, slots=True)
class Sampled:
    """One parameter with its replicates."""

    index: int  # among the parameters asked for
    estimate: float
    values: Array  # (B',) those that are numbers


OneInterval = Callable[[Sampled], tuple[Array, str | None]]  # both limits, and why they are missing


def every_interval(
    estimates: Array, replicates: Array, least: int, interval: OneInterval, bounds: Array
) -> Limits:
    """Limits of each parameter from `least` or more of its replicates (B, K), within its range (K, 2)."""
    pairs, reasons = [], []
    for k, (estimate, column) in enumerate(zip(estimates, replicates.T, strict=True)):
        known = column[np.isfinite(column)]
        reason: str | None
        if np.isnan(estimate):
            pair, reason = np.full(2, np.nan), NO_ESTIMATE
        elif len(known) < least:
            pair, reason = np.full(2, np.nan), TOO_FEW
        else:
            pair, reason = interval(Sampled(k, float(estimate), known))
        pairs.append(np.clip(pair, *bounds[k]))
        reasons.append(reason)
    low, high = np.array(pairs).reshape(-1, 2).T
    return Limits(low, high, tuple(reasons))


def percentile(level: float) -> OneInterval:
    """Quantiles of the replicates."""
    return lambda sampled: (quantiles(sampled.values, tails(level)), None)


def basic(level: float) -> OneInterval:
    """The replicates turned over about the estimate."""
    return lambda sampled: (2.0 * sampled.estimate - quantiles(sampled.values, tails(level))[::-1], None)


def normal(level: float) -> OneInterval:
    """Estimate less bias, and the normal quantile times the standard deviation of the replicates."""

    def interval(sampled: Sampled) -> tuple[Array, str | None]:
        centre = 2.0 * sampled.estimate - sampled.values.mean()
        return centre + ndtri(tails(level)) * sampled.values.std(ddof=1), None

    return interval


def bca(level: float, accelerations: Array) -> OneInterval:
    """Percentiles moved for median bias z0 and acceleration a, (K,)."""

    def interval(sampled: Sampled) -> tuple[Array, str | None]:
        values, estimate = sampled.values, sampled.estimate
        below = ((values < estimate).mean() + (values <= estimate).mean()) / 2.0
        if not 0.0 < below < 1.0:
            return np.full(2, np.nan), ONE_SIDED
        z0, a = ndtri(below), accelerations[sampled.index]
        moved = z0 + ndtri(tails(level))
        pair = quantiles(values, ndtr(z0 + moved / (1.0 - a * moved)))
        return pair, None if np.isfinite(pair).all() else OFF_THE_END

    return interval


def accelerations(jackknife: Array) -> Array:
    """Efron's acceleration (K,) from estimates (m, K) with each cluster left out in turn."""
    influence = np.nanmean(jackknife, axis=0) - jackknife
    squares = np.nansum(influence**2, axis=0)
    cubes = np.nansum(influence**3, axis=0)
    return np.asarray(
        np.where(squares > 0.0, cubes / (6.0 * np.where(squares > 0.0, squares, 1.0) ** 1.5), 0.0)
    )


def studentized(level: float, std_errors: Array, t: Array) -> OneInterval:
    """Quantiles of the replicates' own t statistics (B, K), times the standard errors (K,) of the fit."""

    def interval(sampled: Sampled) -> tuple[Array, str | None]:
        own = t[:, sampled.index]
        pair = quantiles(own[np.isfinite(own)], tails(level))[::-1] * std_errors[sampled.index]
        return sampled.estimate - pair, None

    return interval
