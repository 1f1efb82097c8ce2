"""How does a variable vary between and within groups? The one-way analysis of variance.

With k groups of n_j members, N in all, the mean squares between and within groups have the expectations

    E(MSB) = sigma^2 + n0 tau^2,    E(MSW) = sigma^2,    n0 = (N - sum n_j^2 / N) / (k - 1),

tau^2 being the variance between groups and sigma^2 that within. n0 is the common size of equal groups, and a
little less than the mean size of unequal ones.

Searle, S. R., Casella, G. and McCulloch, C. E. (1992). Variance Components, ch. 3. Wiley.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, fdtri

from multilevel._typing import Array, Codes

ROUNDING = 4.0 * np.finfo(np.float64).eps  # of the largest value: a deviation below it is none


@dataclass(frozen=True, slots=True)
class GroupMoments:
    """Size, mean and sum of squares of each of J groups: all that the analysis of variance needs."""

    size: Array  # (J,)
    grand_mean: float  # of all rows
    mean: Array  # (J,)
    deviation: Array  # (J,) mean less the grand mean, with the digits that the difference of the two may lack
    square: Array  # (J,) sum of squares about the group's own mean

    @property
    def sd(self) -> Array:
        """Standard deviation within each group (J,); NaN for groups of one."""
        df = np.where(self.size > 1.0, self.size - 1.0, np.nan)
        return np.asarray(np.sqrt(self.square / df))


def group_moments(y: Array, codes: Codes, counts: Array | None = None) -> GroupMoments:
    """Sizes, means and sums of squares by group, from y (n,), a row counting as often as `counts` says."""
    size = np.bincount(codes, weights=counts).astype(np.float64)
    shift = float(np.rint(np.average(y, weights=counts)))  # whole, so that whole numbers stay exact
    centred = y - shift
    sums = np.bincount(codes, weights=centred if counts is None else counts * centred)
    rest = float(sums.sum() / size.sum())  # the grand mean less the shift
    own = sums / size
    within = centred - own[codes]
    squares = within * within
    square = np.bincount(codes, weights=squares if counts is None else counts * squares)
    none = size * (ROUNDING * np.abs(y).max()) ** 2
    return GroupMoments(size, shift + rest, shift + own, own - rest, np.where(square > none, square, 0.0))


@dataclass(frozen=True, slots=True)
class OneWay:
    """The analysis of variance of one variable by groups."""

    n_obs: float
    n_groups: int
    n0: float
    ss_between: float
    ss_within: float

    @property
    def df_between(self) -> float:
        """Groups less one."""
        return self.n_groups - 1.0

    @property
    def df_within(self) -> float:
        """Observations less groups."""
        return self.n_obs - self.n_groups

    @property
    def ms_between(self) -> float:
        """Mean square between groups."""
        return self.ss_between / self.df_between

    @property
    def ms_within(self) -> float:
        """Mean square within groups, which estimates the variance within groups."""
        return self.ss_within / self.df_within

    @property
    def f(self) -> float:
        """Ratio of the mean squares; infinite when nothing varies within groups."""
        return self.ms_between / self.ms_within if self.ss_within > 0.0 else np.inf

    @property
    def p_value(self) -> float:
        """Probability of so large an F if groups did not differ (normal values of one variance)."""
        return float(fdtrc(self.df_between, self.df_within, self.f)) if np.isfinite(self.f) else 0.0

    @property
    def var_between(self) -> float:
        """Variance between groups: equates mean squares to their expectations, and may be negative."""
        return (self.ms_between - self.ms_within) / self.n0

    @property
    def icc(self) -> float:
        """Share of the variance that lies between groups, ICC(1); may be negative."""
        return (self.ms_between - self.ms_within) / (self.ms_between + (self.n0 - 1.0) * self.ms_within)

    @property
    def icc_k(self) -> float:
        """Reliability of the mean of a group, ICC(k) or ICC(2): (MSB - MSW) / MSB."""
        return mean_reliability(self.icc, self.n0)

    @property
    def r_squared(self) -> float:
        """Share of the sum of squares between groups, eta squared."""
        return self.ss_between / (self.ss_between + self.ss_within)

    @property
    def expected_r_squared(self) -> float:
        """What eta squared is on average when groups do not differ at all."""
        return self.df_between / (self.n_obs - 1.0)

    @property
    def omega_squared(self) -> float:
        """Eta squared, less what it has by chance, by estimated variances."""
        total = self.ss_between + self.ss_within
        return (self.ss_between - self.df_between * self.ms_within) / (total + self.ms_within)

    @property
    def epsilon_squared(self) -> float:
        """Eta squared, less what it has by chance: the adjusted R squared."""
        return (self.ss_between - self.df_between * self.ms_within) / (self.ss_between + self.ss_within)


def one_way(moments: GroupMoments) -> OneWay:
    """The analysis of variance from moments by group."""
    n_obs, n_groups = float(moments.size.sum()), len(moments.size)
    return OneWay(
        n_obs=n_obs,
        n_groups=n_groups,
        n0=(n_obs - float((moments.size**2).sum()) / n_obs) / (n_groups - 1),
        ss_between=float((moments.size * moments.deviation**2).sum()),
        ss_within=float(moments.square.sum()),
    )


def icc_from_f(f: float, n0: float) -> float:
    """The intraclass correlation as a function of F: (F - 1) / (F - 1 + n0)."""
    return 1.0 - n0 / (f - 1.0 + n0)


def mean_reliability(icc: float, size: float) -> float:
    """Reliability of the mean of `size` members (Spearman and Brown); NaN where it has no meaning."""
    denominator = 1.0 + (size - 1.0) * icc
    return size * icc / denominator if denominator > 0.0 else np.nan


def f_limits(anova: OneWay, level: float) -> tuple[float, float]:
    """Limits of the intraclass correlation from the F distribution.

    Exact for normal values in groups of one size (Searle); n0 stands for the size of unequal groups. None
    (NaN) where nothing varies within groups, or between them.
    """
    if anova.ss_within == 0.0 or anova.ss_between == 0.0:
        return np.nan, np.nan
    tails = 0.5 * (1.0 + level), 0.5 * (1.0 - level)
    quantiles = (float(fdtri(anova.df_between, anova.df_within, tail)) for tail in tails)
    low, high = (max(icc_from_f(anova.f / quantile, anova.n0), -1.0) for quantile in quantiles)
    return low, high
