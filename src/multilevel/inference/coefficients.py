"""What does a fit say about linear functions of its coefficients?

Summaries, tests, marginal means and intervals all ask the same of a fit: the uncertainty of L beta, degrees
of freedom for each row of L, and an F test of all rows at once. A `CoefficientInference` answers; how (by
Satterthwaite, by Kenward and Roger, from a sandwich, with degrees of freedom known beforehand) is its own
affair, so that those who ask need not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import chdtrc, fdtrc

from multilevel._typing import Array


@dataclass(frozen=True, slots=True)
class FTest:
    """A test that several linear functions of the coefficients have given values."""

    statistic: float
    df_num: float
    df_den: float  # infinite where the statistic times df_num is a chi-square
    p_value: float


class CoefficientInference(Protocol):
    """Coefficients with the uncertainty that one method gives them."""

    @property
    def method(self) -> str:
        """The method's name, as a table says it: "Satterthwaite", "Kenward-Roger", "CR2, Satterthwaite"."""

    @property
    def beta(self) -> Array:
        """Coefficients (p,)."""

    def covariance(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat, with L (k, p)."""

    def df(self, L: Array) -> Array:
        """Degrees of freedom (k,) of the t statistic of each row of L (k, p); infinite for the normal."""

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """Test L beta = at (k,), zero if not given, for all rows of L (k, p) together.

        Rows that repeat what others say are not counted: df_num is the rank of L.
        """


@dataclass(frozen=True, slots=True)
class KnownDf:
    """A covariance of the coefficients with degrees of freedom that do not depend on the question."""

    method: str
    beta: Array  # (p,)
    root: Array  # (p, r) with root root' the covariance of beta-hat
    known_df: float  # infinite for the normal

    def covariance(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat."""
        half = L @ self.root
        return np.asarray(half @ half.T)

    def df(self, L: Array) -> Array:
        """The same degrees of freedom for each row of L (k, p)."""
        return np.full(len(L), self.known_df)

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """Wald's test, as F with the known degrees of freedom below."""
        return wald_test(difference(self.beta, L, at), self.covariance(L), self.known_df)


def difference(beta: Array, L: Array, at: Array | None) -> Array:
    """L beta - at: (k,)."""
    return np.asarray(L @ beta if at is None else L @ beta - at)


def wald_test(estimate: Array, covariance: Array, df_den: float) -> FTest:
    """F test that `estimate` (k,), of covariance (k, k) and maybe of lower rank, is zero."""
    sd = np.sqrt(covariance.diagonal())
    unit = np.where(sd > 0.0, sd, 1.0)  # which functions repeat others must not depend on their units
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    kept = values > 1e-10 * max(values.max(initial=0.0), 0.0)  # rounding of a rank that is lower
    rank = float(np.count_nonzero(kept))
    statistic = float(((vectors[:, kept].T @ (estimate / unit)) ** 2 / values[kept]).sum() / rank)
    return f_result(statistic, rank, df_den)


def f_result(statistic: float, df_num: float, df_den: float) -> FTest:
    """An F statistic with its p-value; by chi-square where the denominator's df are infinite."""
    if np.isinf(df_den):
        return FTest(statistic, df_num, df_den, float(chdtrc(df_num, statistic * df_num)))
    return FTest(statistic, df_num, df_den, float(fdtrc(df_num, df_den, statistic)))
