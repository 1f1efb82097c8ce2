"""What do fits to m imputed data sets say together? Rubin's rules.

The pooled estimate is the mean of the estimates. Its variance has a part from within the data sets and one
from between them, which is what not knowing the missing values costs:

    T = W + (1 + 1/m) B.

The share lambda = (1 + 1/m) B / T of a coefficient gives its degrees of freedom. With nu those of complete
data (Barnard and Rubin),

    1/df = lambda^2 / (m - 1) + 1 / [ (1 - lambda) nu (nu + 1) / (nu + 3) ],

and the fraction of missing information (r + 2 / (df + 3)) / (r + 1), r = lambda / (1 - lambda). Several
coefficients are tested together with the mean r over the directions of W (Li, Raghunathan and Rubin's D1),
which takes the share of missing information for alike in all of them; B alone, from few data sets, would be
too poor a matrix to invert.

Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
Barnard, J. & Rubin, D. B. (1999). Small-sample degrees of freedom with multiple imputation. Biometrika 86,
948-955.
Li, K. H., Raghunathan, T. E. & Rubin, D. B. (1991). Large-sample significance levels from multiply imputed
data using moment-based statistics and an F reference distribution. Journal of the American Statistical
Association 86, 1065-1073.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.inference.coefficients import CoefficientInference, FTest, difference, f_result

ROUNDING = 1e-14  # of W: a variance between data sets below it is none
RANK = 1e-10  # of the largest direction, below which functions repeat others


@dataclass(frozen=True, slots=True)
class Pooled:
    """What is known of k linear functions of the coefficients; m data sets."""

    estimate: Array  # (k,)
    within: Array  # (k,) mean variance within data sets, W
    between: Array  # (k,) variance between them, B
    total: Array  # (k,) T
    df: Array  # (k,) infinite for the normal
    m: int

    @property
    def std_error(self) -> Array:
        """Root of the total variance (k,)."""
        return np.sqrt(self.total)

    @property
    def increase(self) -> Array:
        """Relative increase in variance r (k,)."""
        return (1.0 + 1.0 / self.m) * self.between / self.within

    @property
    def share_missing(self) -> Array:
        """Share lambda (k,) of the variance that is due to missing values."""
        return (1.0 + 1.0 / self.m) * self.between / self.total

    @property
    def missing_information(self) -> Array:
        """Fraction of missing information (k,)."""
        r = self.increase
        return np.where(r > 0.0, (r + 2.0 / (self.df + 3.0)) / (r + 1.0), 0.0)

    @property
    def efficiency(self) -> Array:
        """Variance with infinitely many data sets over that with m (k,)."""
        return 1.0 / (1.0 + self.missing_information / self.m)


@dataclass(frozen=True, slots=True)
class PooledInference:
    """The coefficients of m fits, each to a data set imputed anew; p coefficients."""

    fits: tuple[CoefficientInference, ...]  # (m,)

    @property
    def m(self) -> int:
        """Number of data sets."""
        return len(self.fits)

    @property
    def method(self) -> str:
        """Name of the method, with that of the fits where they have one."""
        return f"Rubin's rules, {self.fits[0].method}"

    @property
    def beta(self) -> Array:
        """Mean of the coefficients (p,)."""
        return np.asarray(np.mean([fit.beta for fit in self.fits], axis=0))

    def within(self, L: Array) -> Array:
        """Mean covariance (k, k) of L beta-hat within data sets."""
        return np.asarray(np.mean([fit.covariance(L) for fit in self.fits], axis=0))

    def between(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat between data sets."""
        first = self.fits[0].beta  # deviations from one of them keep their digits
        values = np.array([L @ (fit.beta - first) for fit in self.fits])
        return np.atleast_2d(np.cov(values, rowvar=False)) if len(L) else np.empty((0, 0))

    def covariance(self, L: Array) -> Array:
        """Total covariance (k, k) of L beta-hat."""
        return self.within(L) + (1.0 + 1.0 / self.m) * self.between(L)

    def df(self, L: Array) -> Array:
        """Barnard and Rubin's degrees of freedom (k,) of each row of L (k, p)."""
        return self.pooled(L).df

    def pooled(self, L: Array) -> Pooled:
        """All that Rubin's rules say of each row of L (k, p)."""
        parts = [self._pooled_row(row[None, :]) for row in L]
        within, between, df = np.array(parts).reshape(len(L), 3).T
        total = within + (1.0 + 1.0 / self.m) * between
        return Pooled(np.asarray(L @ self.beta), within, between, total, df, self.m)

    def _pooled_row(self, row: Array) -> tuple[float, float, float]:
        within, between = float(self.within(row)[0, 0]), float(self.between(row)[0, 0])
        between = between if between > ROUNDING * within else 0.0
        excess = (1.0 + 1.0 / self.m) * between
        complete = complete_df(self.fits, row)
        return (
            within,
            between,
            barnard_rubin_df(self.m, excess / (within + excess) if excess else 0.0, complete),
        )

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """Test L beta = at (k,) for all rows of L (k, p): D1, or the t test of a single function."""
        rows = independent_functions(self.within(L))  # (rank, k), of variance I within
        rank = len(rows)
        apart = rows @ difference(self.beta, L, at)
        spread = self.between(rows @ L)
        r = (1.0 + 1.0 / self.m) * float(np.trace(spread)) / rank
        statistic = float(apart @ apart) / (rank * (1.0 + r))
        complete = min(complete_df(self.fits, row[None, :]) for row in rows @ L)
        if rank == 1:
            return f_result(statistic, 1.0, barnard_rubin_df(self.m, r / (1.0 + r), complete))
        return f_result(statistic, float(rank), joint_df(rank, self.m, r, complete))


def complete_df(fits: Sequence[CoefficientInference], row: Array) -> float:
    """Degrees of freedom that complete data would have: the mean over the fits."""
    return float(np.mean([fit.df(row)[0] for fit in fits]))


def barnard_rubin_df(m: int, share: float, complete: float) -> float:
    """Degrees of freedom of a pooled coefficient with a share of its variance due to missing values.

    Where nothing is missing they are those of complete data.

    >>> round(barnard_rubin_df(5, 0.3, 50.0), 2), round(barnard_rubin_df(5, 0.3, np.inf), 2)
    (19.16, 44.44)
    """
    if share == 0.0:
        return complete
    return combined(share**2 / (m - 1.0), complete, share)


def joint_df(k: int, m: int, r: float, complete: float) -> float:
    """Denominator degrees of freedom of D1 for k functions with a mean increase in variance r.

    Li, Raghunathan and Rubin's (1991) are for large samples; degrees of freedom of complete data bound them
    as Barnard and Rubin have it for one coefficient.
    """
    if r == 0.0:
        return complete
    t = k * (m - 1.0)
    if t > 4.0:
        large = 4.0 + (t - 4.0) * (1.0 + (1.0 - 2.0 / t) / r) ** 2
    else:
        large = 0.5 * t * (1.0 + 1.0 / k) * (1.0 + 1.0 / r) ** 2
    return combined(1.0 / large, complete, r / (1.0 + r))


def combined(inverse: float, complete: float, share: float) -> float:
    """Degrees of freedom 1 / `inverse` of the imputations together with those that complete data have "
    "left."""
    if np.isinf(complete):
        return 1.0 / inverse
    observed = (1.0 - share) * complete * (complete + 1.0) / (complete + 3.0)
    return 1.0 / (inverse + 1.0 / observed)


def independent_functions(covariance: Array) -> Array:
    """Combinations (rank, k) of the rows of L, of unit variance and uncorrelated under a covariance (k, "
    "k)."""
    sd = np.sqrt(covariance.diagonal())
    unit = np.where(sd > 0.0, sd, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    kept = values > RANK * values.max(initial=0.0)
    return np.asarray((vectors[:, kept] / np.sqrt(values[kept])).T / unit)
