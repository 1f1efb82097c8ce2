"""Do residuals look like independent draws of one variance? Statistics of arrays.

References:
    Koenker, R. (1981). A note on studentizing a test for heteroscedasticity. Journal of Econometrics 17.
    Levene, H. (1960). Robust tests for equality of variances; here on square roots of absolute residuals,
    which are nearly normal.
    D'Agostino, R. B. & Pearson, E. S. (1973). Tests for departure from normality. Biometrika 60.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import chdtrc, fdtrc, ndtr, stdtr

from multilevel._typing import Array, Codes, Mask

Rows = npt.NDArray[np.intp]

LEAST_ROWS = 20  # below this nothing can be said of the shape of a distribution
LEAST_EFFECTS = 8  # the same for random effects
SKEWED, HEAVY = 0.5, 1.0  # skewness and excess kurtosis that matter
SHAPIRO_MOST = 5000  # values up to which Shapiro and Wilk's coefficients are known


@dataclass(frozen=True, slots=True)
class Spread:
    """Whether the spread of residuals changes with something."""

    statistic: float
    p_value: float
    size: float  # SD of the highest third over that of the lowest; or the groups' SDs' own relative SD


def spread_over(z: Array, x: Array) -> Spread:
    """Koenker's test that the squares of residuals z (n,) do not change with x (n,)."""
    square = z * z
    if np.ptp(x) <= 1e-10 * np.abs(x).max(initial=0.0) or np.ptp(square) == 0.0:
        return Spread(0.0, 1.0, 1.0)
    r = np.corrcoef(square, x)[0, 1]
    statistic = float(len(z) * r * r)
    low, high = np.quantile(x, [1.0 / 3.0, 2.0 / 3.0])
    ratio = np.sqrt(square[x >= high].mean() / square[x <= low].mean())
    return Spread(statistic, float(chdtrc(1, statistic)), float(ratio))


def spread_between(z: Array, codes: Codes, used: Mask) -> tuple[Spread, Array]:
    """Levene's test of equal spread in groups, on sqrt |z| of the used rows; and each group's SD: (J,).

    Groups with fewer than three used rows say nothing of their spread and are left out (SD NaN).
    """
    J = int(codes.max()) + 1
    size = np.bincount(codes[used], minlength=J)
    rows = used & (size[codes] >= 3)
    groups, size = codes[rows], np.where(size >= 3, size, 0)
    value, k, n = np.sqrt(np.abs(z[rows])), int((size > 0).sum()), int(rows.sum())
    if k < 2 or n <= k:
        return Spread(np.nan, np.nan, np.nan), np.full(J, np.nan)
    safe = np.where(size > 0, size, 1)
    mean = np.bincount(groups, value, J) / safe
    between = float((size * (mean - value.mean()) ** 2).sum()) / (k - 1)
    within = float(((value - mean[groups]) ** 2).sum()) / (n - k)
    deviation = np.where(size > 0, np.sqrt(np.bincount(groups, z[rows] ** 2, J) / safe), np.nan)
    typical = (n - float(size @ size) / n) / (k - 1)
    variance = max(between - within, 0.0) / typical
    relative = 2.0 * float(np.sqrt(variance) / value.mean())  # sqrt|z| varies half as much as z, relatively
    return Spread(between / within, float(fdtrc(k - 1, n - k, between / within)), relative), deviation


@dataclass(frozen=True, slots=True)
class Lag:
    """How alike neighbouring residuals are."""

    statistic: float  # standard normal without autocorrelation
    p_value: float
    correlation: float
    n_pairs: int


def lag_one(z: Array, first: Rows, second: Rows) -> Lag:
    """Correlation of the whitened residuals of neighbours, with a test that does not assume equal spread."""
    product = z[first] * z[second]
    size = float(np.sqrt((product * product).sum()))
    if len(first) < LEAST_ROWS or size == 0.0:
        return Lag(np.nan, np.nan, np.nan, len(first))
    statistic = float(product.sum()) / size
    scale = np.sqrt((z[first] ** 2).sum() * (z[second] ** 2).sum())
    return Lag(statistic, float(2.0 * ndtr(-abs(statistic))), float(product.sum() / scale), len(first))


@dataclass(frozen=True, slots=True)
class Shape:
    """How far a distribution is from the normal."""

    statistic: float
    p_value: float
    skewness: float
    kurtosis: float  # in excess of the normal's


def shape_of(z: Array) -> Shape:
    """D'Agostino and Pearson's test of normality, with skewness and excess kurtosis."""
    if len(z) < LEAST_ROWS:
        return Shape(np.nan, np.nan, np.nan, np.nan)
    test = stats.normaltest(z)
    return Shape(float(test.statistic), float(test.pvalue), float(stats.skew(z)), float(stats.kurtosis(z)))


def effects_shape(z: Array) -> Shape:
    """Shapiro and Wilk's test of standardized random effects (J,), which are few."""
    if len(z) < LEAST_EFFECTS or np.ptp(z) == 0.0:
        return Shape(np.nan, np.nan, np.nan, np.nan)
    if len(z) > SHAPIRO_MOST:
        return shape_of(z)
    test = stats.shapiro(z)
    return Shape(float(test.statistic), float(test.pvalue), float(stats.skew(z)), float(stats.kurtosis(z)))


def outlier_p(z: Array, df: float, count: float) -> Array:
    """Bonferroni p-value (n,) of each studentized residual, one of `count`, by t with it left out."""
    square = np.minimum(z * z, df * (1.0 - 1e-12))
    external = np.sqrt(square * (df - 1.0) / (df - square))
    return np.asarray(np.minimum(1.0, 2.0 * count * stdtr(df - 1.0, -external)))
