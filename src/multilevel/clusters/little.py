"""Do means differ between patterns of missing values? Little's test of missing completely at random.

If values are missing completely at random, the rows of each pattern j are a random sample of all, and

    d^2 = sum_j n_j (ybar_j - mu_j)' S_j^-1 (ybar_j - mu_j),    S = Sigma n / (n - 1),

with mu and Sigma by maximum likelihood and the parts that pattern j observes, is about chi-square on
sum_j p_j - p degrees of freedom.

Little, R. J. A. (1988). A test of missing completely at random for multivariate data with missing values.
Journal of the American Statistical Association 83, 1198-1202.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from multilevel._typing import Array
from multilevel.estimation.normal_em import NormalEstimate, PatternSums


@dataclass(frozen=True, slots=True)
class LittleStatistic:
    """The statistic, and what each of P patterns adds to it."""

    parts: Array  # (P,)
    n_observed: Array  # (P,) columns that each pattern observes
    df: float

    @property
    def statistic(self) -> float:
        """d^2."""
        return float(self.parts.sum())

    @property
    def p_value(self) -> float:
        """Probability of so large a statistic if missing completely at random (normal rows)."""
        return float(chdtrc(self.df, self.statistic))


def little_statistic(sums: Sequence[PatternSums], estimate: NormalEstimate) -> LittleStatistic:
    """d^2 from the means of the patterns, in the units of the estimates."""
    n = sum(each.n for each in sums)
    S = estimate.covariance * n / (n - 1.0)
    parts = [distance(each, estimate.mean, S) for each in sums]
    k = np.array([float(len(each.columns)) for each in sums])
    return LittleStatistic(np.array(parts), k, float(k.sum()) - len(estimate.mean))


def distance(pattern: PatternSums, mean: Array, covariance: Array) -> float:
    """n_j (ybar_j - mu_j)' S_j^-1 (ybar_j - mu_j)."""
    seen = pattern.columns
    apart = pattern.mean - mean[seen]
    return float(pattern.n * apart @ np.linalg.solve(covariance[np.ix_(seen, seen)], apart))
