"""How many degrees of freedom has an estimated variance? Satterthwaite's answer, and Fai and Cornelius's.

The variance v = l'Var(beta-hat) l of an estimate is itself estimated. A chi-square over its degrees of
freedom with the same mean and variance has

    df = 2 v^2 / Var(v),      Var(v) = g' (2 H^-1) g,

with g the slope of v in the variance parameters and H the Hessian of minus twice the log-likelihood.

Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components. Biometrics
Bulletin 2, 110-114. Giesbrecht, F. G. & Burns, J. C. (1985). Two-stage analysis based on a mixed model.
Biometrics 41, 477-486. Fai, A. H.-T. & Cornelius, P. L. (1996). Approximate F-tests of multiple degree of
freedom hypotheses in generalized least squares analyses of unbalanced split-plot experiments. Journal of
Statistical Computation and Simulation 54, 363-378.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.inference.coefficients import FTest, difference, f_result
from multilevel.inference.information import FixedBasis, Information, inverse

ROWS = 1 << 20  # numbers in an array over rows and directions
INDEPENDENT = 1e-8  # singular value of rows of unit length, relative, below which one repeats the others


@dataclass(frozen=True, slots=True)
class Satterthwaite:
    """The model's covariance of the coefficients, with Satterthwaite's degrees of freedom."""

    beta: Array  # (p,)
    basis: FixedBasis
    slopes: Array  # (m, p, p) derivatives of the covariance in the basis
    inverse: Array  # (m, m) of the Hessian

    @property
    def method(self) -> str:
        """The name that tables show."""
        return "Satterthwaite"

    def covariance(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat."""
        rows = self.basis.rows(L)
        return np.asarray(rows @ rows.T)

    def df(self, L: Array) -> Array:
        """Degrees of freedom (k,) of each row of L (k, p)."""
        return degrees_of_freedom(self.basis.rows(L), self.slopes, self.inverse)

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """Test all rows of L together, with Fai and Cornelius's degrees of freedom."""
        rows, estimate = self.basis.rows(L), difference(self.beta, L, at)
        statistic, rank = mean_square(rows, estimate)
        contrasts = np.linalg.svd(rows, full_matrices=False)[2][:rank]  # whose estimates are uncorrelated
        df = degrees_of_freedom(contrasts, self.slopes, self.inverse)
        return f_result(statistic, float(rank), common_df(df))


def satterthwaite(beta: Array, basis: FixedBasis, information: Information) -> Satterthwaite:
    """From the Hessian of the criterion and the slopes of the covariance."""
    return Satterthwaite(beta, basis, information.slopes, inverse(information.matrix))


def degrees_of_freedom(rows: Array, slopes: Array, inverse: Array) -> Array:
    """v^2 / g'H^-1 g for each row (k, p) of a basis in which the covariance is the identity: (k,)."""
    step = max(1, ROWS // max(1, slopes.shape[0] * slopes.shape[1]))
    parts = [some_degrees(rows[first : first + step], slopes, inverse) for first in range(0, len(rows), step)]
    return np.concatenate(parts) if parts else np.empty(0)


def some_degrees(rows: Array, slopes: Array, inverse: Array) -> Array:
    """The same for as many rows as are worth an array."""
    g = ((rows @ slopes) * rows).sum(axis=2)  # (m, k)
    with np.errstate(invalid="ignore", divide="ignore"):  # a row of zeros says nothing
        return np.asarray((rows * rows).sum(axis=1) ** 2 / ((inverse @ g) * g).sum(axis=0))


def mean_square(rows: Array, estimate: Array) -> tuple[float, int]:
    """Wald's statistic over its rank, and the rank, of estimates (k,) with covariance rows rows'."""
    unit = row_lengths(rows)
    turn, sizes, _ = np.linalg.svd(rows / unit[:, None], full_matrices=False)
    rank = int(np.count_nonzero(sizes > INDEPENDENT * sizes.max(initial=0.0)))
    t = turn[:, :rank].T @ (estimate / unit) / sizes[:rank]
    return (float((t * t).mean()) if rank else np.nan), rank


def row_space(rows: Array) -> Array:
    """An orthonormal basis (r, p) of the span of the rows (k, p), whatever the units of each."""
    _, sizes, basis = np.linalg.svd(rows / row_lengths(rows)[:, None], full_matrices=False)
    return np.asarray(basis[sizes > INDEPENDENT * sizes.max(initial=0.0)])


def row_lengths(rows: Array) -> Array:
    """Length of each row (k,), 1 where it is zero."""
    size = np.sqrt((rows * rows).sum(axis=1))
    return np.where(size > 0.0, size, 1.0)


def common_df(df: Array) -> float:
    """Denominator degrees of freedom of an F whose uncorrelated t statistics have `df` (r,)."""
    if len(df) == 0 or np.ptp(df) < 1e-8 * df.max():
        return float(df.mean()) if len(df) else float("nan")
    if df.min() <= 2.0:
        return 2.0
    expectation = float((df / (df - 2.0)).sum())
    return 2.0 * expectation / (expectation - len(df))
