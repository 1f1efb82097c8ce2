"""Estimators of the intraclass correlation that are functions of sums over groups.

With mean squares MSB and MSW, n0 as in clusters/one_way.py, and s2 the variance of all N values with divisor
N (which is p (1 - p) for values 0 and 1 with mean p):

anova          (MSB - MSW) / (MSB + (n0 - 1) MSW)
fleiss_cuzick  1 - MSW / s2
moments        (MSB / s2 - 1) / (n0 - 1): Kleinman's, with weights n_j / N
pairwise       the correlation over all pairs of members of one group, each pair counting alike

All four estimate the correlation of two members of one group, and may be negative.

Fleiss, J. L. and Cuzick, J. (1979). The reliability of dichotomous judgments: unequal numbers of judges per
subject. Applied Psychological Measurement 3, 537-542.
Karlin, S., Cameron, E. C. and Williams, P. T. (1981). Sibling and parent-offspring correlation estimation
with variable family size. Proceedings of the National Academy of Sciences 78, 2664-2668.
Kleinman, J. C. (1973). Proportions with extraneous variance: single and independent samples. Journal of the
American Statistical Association 68, 46-54.
Ridout, M. S., Demétrio, C. G. B. and Firth, D. (1999). Estimating intraclass correlation for binary data.
Biometrics 55, 137-148.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.one_way import GroupMoments


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over groups, for any number of samples of groups at once; every field has their shape."""

    groups: Array  # number of groups
    n: Array  # members
    n_squared: Array
    deviation: Array  # of n d, with d the group's deviation from a fixed centre
    deviation_squared: Array  # of n d^2
    within: Array  # squares about the groups' own means
    pairs: Array  # of n (n - 1)
    pair_deviation: Array  # of n (n - 1) d
    pair_deviation_squared: Array  # of n (n - 1) d^2
    pair_within: Array  # of (n - 1) times the squares within

    @property
    def mean_deviation(self) -> Array:
        """Mean of all values, less the centre."""
        return self.deviation / self.n

    @property
    def between(self) -> Array:
        """Sum of squares between groups."""
        return self.deviation_squared - self.n * self.mean_deviation**2

    @property
    def ms_between(self) -> Array:
        """Mean square between groups."""
        return self.between / (self.groups - 1.0)

    @property
    def ms_within(self) -> Array:
        """Mean square within groups."""
        return self.within / (self.n - self.groups)

    @property
    def n0(self) -> Array:
        """Size of a group that stands for all."""
        return (self.n - self.n_squared / self.n) / (self.groups - 1.0)

    @property
    def variance(self) -> Array:
        """Variance of all values, with divisor N."""
        return (self.between + self.within) / self.n


Estimator = Callable[[Sums], Array]


def contributions(moments: GroupMoments) -> Array:
    """What each group adds to the sums: (J, 10), in the order of the fields of `Sums`."""
    n, d, within = moments.size, moments.deviation, moments.square
    pairs = n * (n - 1.0)
    return np.column_stack(
        [
            np.ones_like(n),
            n,
            n * n,
            n * d,
            n * d * d,
            within,
            pairs,
            pairs * d,
            pairs * d * d,
            (n - 1.0) * within,
        ]
    )


def sums_of(totals: Array) -> Sums:
    """Totals (..., 10) by name."""
    return Sums(*np.moveaxis(totals, -1, 0))


def anova_icc(sums: Sums) -> Array:
    """From mean squares."""
    between, within = sums.ms_between, sums.ms_within
    return (between - within) / (between + (sums.n0 - 1.0) * within)


def fleiss_cuzick(sums: Sums) -> Array:
    """By how much values within groups disagree, beside values at large."""
    return 1.0 - sums.ms_within / sums.variance


def moment_icc(sums: Sums) -> Array:
    """By how much groups differ, beside what chance would let them."""
    return (sums.ms_between / sums.variance - 1.0) / (sums.n0 - 1.0)


def pairwise_icc(sums: Sums) -> Array:
    """Correlation over all pairs of one group, about the mean over these pairs."""
    mean = sums.pair_deviation / sums.pairs
    about_mean = sums.pair_deviation_squared - sums.pairs * mean**2
    return (about_mean - sums.within) / (about_mean + sums.pair_within)


ESTIMATORS: Final[dict[str, Estimator]] = {
    "anova": anova_icc,
    "fleiss_cuzick": fleiss_cuzick,
    "moments": moment_icc,
    "pairwise": pairwise_icc,
}
