"""The mean and covariance of a normal vector of which parts are missing: the EM algorithm.

Rows that miss the same columns share one regression of the missing on the observed, so an iteration works on
sums and cross-products of the patterns, and its cost does not depend on the number of rows.

Dempster, A. P., Laird, N. M. & Rubin, D. B. (1977). Maximum likelihood from incomplete data via the EM
algorithm. Journal of the Royal Statistical Society B 39, 1-38.
Little, R. J. A. & Rubin, D. B. (2019). Statistical Analysis with Missing Data, 3rd ed., section 11.2. Wiley.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array

MOST_STEPS = 20_000
CHANGE = 1e-11  # of a standardised mean or covariance in one iteration: EM is slow, so what is left is larger
SINGULAR = 1e-10  # smallest eigenvalue of the correlations, below which columns repeat each other


@dataclass(frozen=True, slots=True)
class PatternSums:
    """Rows that observe the same columns, in the units given; k of p columns."""

    columns: npt.NDArray[np.intp]  # (k,) observed
    n: float
    mean: Array  # (k,)
    products: Array  # (k, k) sum of products about zero


@dataclass(frozen=True, slots=True)
class NormalEstimate:
    """Maximum likelihood estimates; p columns."""

    mean: Array  # (p,)
    covariance: Array  # (p, p) divided by n
    iterations: int
    converged: bool
    singular: bool


def pattern_sums(values: Array, members: npt.NDArray[np.int64]) -> list[PatternSums]:
    """Sums by pattern, from values (n, p) with NaN where missing and the pattern of each row (n,)."""
    order = np.argsort(members, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(members))[:-1])
    found = []
    for rows in parts:
        columns = np.flatnonzero(~np.isnan(values[rows[0]]))
        seen = values[np.ix_(rows, columns)]
        found.append(PatternSums(columns, float(len(rows)), seen.mean(axis=0), seen.T @ seen))
    return found


def fit_normal(values: Array, members: npt.NDArray[np.int64]) -> NormalEstimate:
    """Maximum likelihood for rows (n, p) with NaN where missing; every row observes something.

    >>> rows = np.array([[1.0, 2.0], [3.0, 5.0], [2.0, np.nan], [0.0, 1.0]])
    >>> estimate = fit_normal(rows, np.array([0, 0, 1, 0]))
    >>> estimate.mean.round(4)
    array([1.5   , 2.8929])
    """
    centre, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    sums = pattern_sums((values - centre) / scale, members)
    p, n = values.shape[1], sum(each.n for each in sums)
    mean, covariance = np.zeros(p), np.eye(p)
    converged = singular = False
    step = 0
    while step < MOST_STEPS and not converged and not singular:
        step += 1
        new_mean, new_covariance = em_step(sums, mean, covariance, n)
        moved = max(np.abs(new_mean - mean).max(), np.abs(new_covariance - covariance).max())
        mean, covariance = new_mean, new_covariance
        converged = bool(moved < CHANGE)
        singular = bool(np.linalg.eigvalsh(covariance)[0] < SINGULAR)
    return NormalEstimate(
        centre + scale * mean, covariance * np.outer(scale, scale), step, converged, singular
    )


def em_step(sums: Sequence[PatternSums], mean: Array, covariance: Array, n: float) -> tuple[Array, Array]:
    """One iteration: expected sums and products of all columns given the observed, then their moments."""
    p = len(mean)
    total, products = np.zeros(p), np.zeros((p, p))
    for each in sums:
        seen = each.columns
        # row = constant + slopes (p, k) observed, with what the regression leaves uncertain
        slopes = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[seen]).T
        constant = mean - slopes @ mean[seen]
        first = slopes @ (each.n * each.mean)
        total += each.n * constant + first
        products += slopes @ each.products @ slopes.T + np.outer(constant, first) + np.outer(first, constant)
        products += each.n * (np.outer(constant, constant) + covariance - slopes @ covariance[seen])
    new_mean = total / n
    new = products / n - np.outer(new_mean, new_mean)
    return new_mean, 0.5 * (new + new.T)
