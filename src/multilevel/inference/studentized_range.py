"""How far apart are the largest and the smallest of k estimates, by chance?

The studentized range Q of k independent standard normals over an independent s = chi_df / sqrt(df) has

    P(Q >= q) = E[ T(q s) ],     T(w) = k int phi(z) [ Phi(z)^(k - 1) - (Phi(z) - Phi(z - w))^(k - 1) ] dz.

Written so, no digits of a small T cancel. T is tabulated once for each k and the expectation taken by the
trapezoidal rule in log s, where the integrand is smooth and dies out at both ends, so that the rule converges
faster than any power of its step. A whole family of p-values costs little more than one.

References:
    Tukey (1953), The problem of multiple comparisons; Kramer (1956), Biometrics 12, for unequal variances.
    Copenhaver & Holland (1988), Journal of Statistical Computation and Simulation 30, for the integrals.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import gammainccinv, gammaincinv, gammaln, log_ndtr

from multilevel._typing import Array

WIDEST = 30.0  # of two normals, one in 10^98 pairs is farther apart
WIDTHS = np.linspace(0.0, WIDEST, 2401)  # where T is tabulated
NORMALS = np.arange(-8.5, 0.5 * WIDEST + 8.5, 0.1)  # trapezoidal nodes of z
TAIL = 1e-30  # probability of s left out at either end
SCALES = 121  # nodes in log s, at least
STEP = 0.06  # between them, at most: few df spread s over many powers of ten


def range_p_values(statistic: Array, k: int, df: Array) -> Array:
    """P(Q >= q) for studentized ranges q (m,) of k means, each with its own df (m,), maybe infinite."""
    p = np.empty(len(statistic))
    for each in np.unique(df):
        rows = df == each
        p[rows] = upper_tail(statistic[rows], k, float(each))
    return p


def upper_tail(q: Array, k: int, df: float) -> Array:
    """P(Q >= q) (m,) for one df."""
    if np.isinf(df):
        return beyond(q, k)
    scales, weights = scale_nodes(df)
    return np.asarray(beyond(np.multiply.outer(q, scales), k) @ weights)


@lru_cache(maxsize=256)
def range_quantile(share: float, k: int, df: float) -> float:
    """The q that the studentized range of k means exceeds with probability 1 - share."""
    high = 2.0
    while upper_tail(np.array([high]), k, df)[0] > 1.0 - share:
        high *= 2.0
    return float(brentq(lambda q: upper_tail(np.array([q]), k, df)[0] - (1.0 - share), 0.0, high, xtol=1e-12))


@lru_cache(maxsize=64)
def log_tail(k: int) -> CubicSpline:
    """Log T as a function of the width w."""
    below = log_ndtr(NORMALS)
    missed = np.exp(log_ndtr(NORMALS - WIDTHS[:, None]) - below)  # share of Phi(z) that lies below z - w
    with np.errstate(divide="ignore"):  # all of it where w is zero
        lost = -np.expm1((k - 1) * np.log1p(-np.minimum(missed, 1.0)))
    density = np.exp((k - 1) * below - 0.5 * NORMALS**2) * (NORMALS[1] - NORMALS[0]) / np.sqrt(2.0 * np.pi)
    return CubicSpline(WIDTHS, np.log(k * lost @ density))


def beyond(width: Array, k: int) -> Array:
    """T(w): zero beyond the table."""
    inside = np.exp(np.minimum(log_tail(k)(np.minimum(width, WIDEST)), 0.0))
    return np.where(width > WIDEST, 0.0, inside)


@lru_cache(maxsize=1024)
def scale_nodes(df: float) -> tuple[Array, Array]:
    """Nodes (r,) of s = chi_df / sqrt(df) and their weights (r,), which sum to one."""
    low, high = (2.0 * inverse(0.5 * df, TAIL) for inverse in (gammaincinv, gammainccinv))
    ends = 0.5 * np.log(max(low, 1e-280) / df), 0.5 * np.log(high / df)
    log_s = np.linspace(*ends, max(SCALES, int((ends[1] - ends[0]) / STEP)))
    squares = df * np.exp(2.0 * log_s)
    log_density = 0.5 * df * np.log(0.5 * squares) - 0.5 * squares - gammaln(0.5 * df)
    weights = np.exp(log_density)
    return np.exp(log_s), weights / weights.sum()
