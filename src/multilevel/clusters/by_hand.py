"""The variance of raw data taken apart by hand: grand mean, deviation of the group, what is left.

Every value is grand mean + deviation of its group + residual. The variance of the means of the groups, and
the sum of squared residuals over N - 1, are naive: the first holds what sampling members adds to a mean, and
the second forgets that k means were estimated. Corrected are the analysis of variance's: (MSB - MSW) / n0
between groups, and MSW, the sum of squared residuals over N - k, within.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.clusters.one_way import GroupMoments, OneWay


@dataclass(frozen=True, slots=True)
class Parts:
    """Every value of the rows used as a sum of three."""

    grand_mean: Array  # (n,)
    group_deviation: Array  # (n,)
    residual: Array  # (n,)


@dataclass(frozen=True, slots=True)
class TwoVariances:
    """A variance between groups and one within."""

    between: float
    within: float

    @property
    def shares(self) -> tuple[float, float]:
        """Their shares of the sum."""
        total = self.between + self.within
        return self.between / total, self.within / total


def parts(y: Array, moments: GroupMoments, codes: Codes) -> Parts:
    """The three parts of y (n,)."""
    grand_mean = np.full(len(y), moments.grand_mean)
    return Parts(grand_mean, moments.deviation[codes], y - moments.mean[codes])


def naive_variances(moments: GroupMoments, anova: OneWay) -> TwoVariances:
    """Variance of the means of the groups, and residual sum of squares over N - 1."""
    return TwoVariances(float(np.var(moments.deviation, ddof=1)), anova.ss_within / (anova.n_obs - 1.0))


def corrected_variances(anova: OneWay) -> TwoVariances:
    """The analysis of variance's estimates."""
    return TwoVariances(anova.var_between, anova.ms_within)
