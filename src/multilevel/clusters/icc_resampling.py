"""How certain is an intraclass correlation, whatever the distribution? Limits from resampling whole groups.

Groups are the independent units, so groups are left out one at a time (jackknife) or drawn with replacement
(bootstrap). Both work on the scale

    z(rho) = log[(1 + (n0 - 1) rho) / (1 - rho)] / 2,

half the logarithm of F, on which the sampling variance hardly depends on rho. Bootstrap limits are those of
the studentised bootstrap with jackknife standard errors; quantiles of the estimates themselves lie too low.

Arvesen, J. N. (1969). Jackknifing U-statistics. Annals of Mathematical Statistics 40, 2076-2100.
Ukoumunne, O. C., Davison, A. C., Gulliford, M. C. and Chinn, S. (2003). Non-parametric bootstrap confidence
intervals for the intraclass correlation coefficient. Statistics in Medicine 22, 3805-3821.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.icc_estimators import Estimator, sums_of
from multilevel.inference.wald import critical_value

FEWEST_GROUPS = 3  # that leave a variance when one is left out
EDGE = 1e-10  # how near the ends of its range an estimate may come on the scale of z
LARGEST_Z = 100.0  # its correlation is 1 to rounding


@dataclass(frozen=True, slots=True)
class ZScale:
    """The scale on which limits are formed, for groups of size n0."""

    n0: float

    def z(self, icc: Array) -> Array:
        """From the correlation, kept inside its range."""
        inside = np.clip(icc, -1.0 / (self.n0 - 1.0) + EDGE, 1.0 - EDGE)
        return np.asarray(0.5 * np.log((1.0 + (self.n0 - 1.0) * inside) / (1.0 - inside)))

    def icc(self, z: Array) -> Array:
        """Back to the correlation, -1 or more."""
        f_less_one = np.expm1(2.0 * np.minimum(z, LARGEST_Z))
        return np.asarray(np.maximum(1.0 - self.n0 / (f_less_one + self.n0), -1.0))


def jackknife_se(rows: Array, estimators: Sequence[Estimator], scale: ZScale) -> Array:
    """Standard error of z for each estimator (K,), from leaving out each group in `rows` (J, 10)."""
    without = sums_of(rows.sum(axis=0) - rows)
    with np.errstate(divide="ignore", invalid="ignore"):  # one group may hold all that varies: NaN
        z = scale.z(np.array([estimator(without) for estimator in estimators]))
    n_groups = len(rows)
    deviations = z - z.mean(axis=1, keepdims=True)
    return np.asarray(np.sqrt((n_groups - 1.0) / n_groups * (deviations**2).sum(axis=1)))


def estimates(rows: Array, estimators: Sequence[Estimator]) -> Array:
    """Each estimator (K,) on the sample of groups in `rows` (J, 10)."""
    sums = sums_of(rows.sum(axis=0))
    return np.array([float(estimator(sums)) for estimator in estimators])


def jackknife_limits(rows: Array, estimators: Sequence[Estimator], scale: ZScale, level: float) -> Array:
    """Limits (K, 2) by t with as many degrees of freedom as groups less one."""
    if len(rows) < FEWEST_GROUPS:
        return np.full((len(estimators), 2), np.nan)
    half = critical_value(level, np.array(len(rows) - 1.0)) * jackknife_se(rows, estimators, scale)
    z = scale.z(estimates(rows, estimators))
    return np.column_stack([scale.icc(z - half), scale.icc(z + half)])


def bootstrap_limits(
    rows: Array,
    estimators: Sequence[Estimator],
    scale: ZScale,
    level: float,
    streams: Iterable[np.random.Generator],
) -> Array:
    """Studentised limits (K, 2), from one sample of groups a random stream."""
    if len(rows) < FEWEST_GROUPS:
        return np.full((len(estimators), 2), np.nan)
    z, se = scale.z(estimates(rows, estimators)), jackknife_se(rows, estimators, scale)
    with np.errstate(all="ignore"):  # a sample may hold one group only, again and again
        statistics = np.array([studentised(rows, estimators, scale, z, stream) for stream in streams])
    tails = [0.5 * (1.0 + level), 0.5 * (1.0 - level)]
    quantiles = np.array([quantiles_of_finite(column, tails) for column in statistics.T])
    return scale.icc(z[:, None] - quantiles * se[:, None])


def studentised(
    rows: Array, estimators: Sequence[Estimator], scale: ZScale, z: Array, stream: np.random.Generator
) -> Array:
    """How many standard errors the estimates (K,) of one sample of groups lie above those of the data."""
    sample = rows[stream.integers(len(rows), size=len(rows))]
    return (scale.z(estimates(sample, estimators)) - z) / jackknife_se(sample, estimators, scale)


def quantiles_of_finite(values: Array, tails: Sequence[float]) -> Array:
    """Quantiles of the samples that gave a number; NaN if most gave none."""
    finite = values[np.isfinite(values)]
    return np.quantile(finite, tails) if 2 * len(finite) > len(values) else np.full(len(tails), np.nan)
