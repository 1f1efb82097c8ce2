"""How uncertain are the coefficients of a REML fit to few groups? Kenward and Roger's answer.

The covariance Phi of beta-hat is adjusted for the uncertainty of the variance parameters,

    Phi_A = Phi + 2 Phi { sum_ij C_ij (Q_ij - P_i Phi P_j - R_ij / 4) } Phi,

with C the inverse of the expected information, P_i = -X'W V_i W X, Q_ij = X'W V_i W V_j W X and
R_ij = X'W V_ij W X, which vanishes where V is linear in its parameters. F statistics are scaled, and their
degrees of freedom chosen, so that their first two moments agree with those of an F distribution.

Kenward, M. G. & Roger, J. H. (1997). Small sample inference for fixed effects from restricted maximum
likelihood. Biometrics 53, 983-997. Halekoh, U. & Højsgaard, S. (2014). A Kenward-Roger approximation and
parametric bootstrap methods for tests in linear mixed models: the R package pbkrtest. Journal of Statistical
Software 59(9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.inference.coefficients import FTest, difference, f_result
from multilevel.inference.directions import Chart
from multilevel.inference.information import (
    FixedBasis,
    Projections,
    expected_information,
    inverse,
)
from multilevel.inference.satterthwaite import degrees_of_freedom, row_space


@dataclass(frozen=True, slots=True)
class KenwardRoger:
    """The adjusted covariance of the coefficients, with Kenward and Roger's degrees of freedom."""

    beta: Array  # (p,)
    basis: FixedBasis
    adjusted: Array  # (p, p) Phi_A in the basis
    slopes: Array  # (m, p, p) M_i = Phi-derivatives in the basis
    inverse: Array  # (m, m) of the expected information tr(P V_i P V_j)

    @property
    def method(self) -> str:
        """The name that tables show."""
        return "Kenward-Roger"

    def covariance(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat."""
        rows = self.basis.rows(L)
        return np.asarray(rows @ self.adjusted @ rows.T)

    def df(self, L: Array) -> Array:
        """Degrees of freedom (k,) of each row of L (k, p): for one row, Satterthwaite's form."""
        return degrees_of_freedom(self.basis.rows(L), self.slopes, self.inverse)

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """The scaled F test of all rows of L together."""
        rows, estimate = self.basis.rows(L), difference(self.beta, L, at)
        contrasts = row_space(rows)
        rank = len(contrasts)
        scale, df = scale_and_df(contrasts, self.slopes, 2.0 * self.inverse)
        wald = quadratic_form(estimate, rows @ self.adjusted @ rows.T, rank)
        return f_result(scale * wald / max(rank, 1), float(rank), df)


def kenward_roger(
    beta: Array, basis: FixedBasis, projections: Projections, charts: Sequence[Chart]
) -> KenwardRoger:
    """From the expected information and the sums over pairs of variance parameters."""
    information = expected_information(projections.products(), projections.n_scale)
    half = inverse(information.matrix)
    adjusted = adjusted_covariance(projections, charts, 2.0 * half)
    return KenwardRoger(beta, basis, adjusted, information.slopes, half)


def adjusted_covariance(projections: Projections, charts: Sequence[Chart], covariance: Array) -> Array:
    """Phi_A (p, p) in the basis; `covariance` (m, m) is that of the variance parameters."""
    scaled = projections.n_scale is not None
    of_terms = covariance[1:, 1:] if scaled else covariance  # X'P = 0: the scale of V adds nothing
    change = projections.adjustment(of_terms)
    if not all(chart.linear for chart in charts):
        held = at_constant_covariances(covariance, charts) if scaled else covariance
        change = change - 0.25 * projections.curvature(only_nonlinear(held, charts))
    return np.asarray(np.eye(len(change)) + change + change.T)


def at_constant_covariances(covariance: Array, charts: Sequence[Chart]) -> Array:
    """Covariance (k, k) of the terms' parameters when the other one is the residual variance.

    The charts measure covariances relative to sigma^2, and the other parameter is the scale of V. With the
    residual variance in its place each covariance moves with the scale too: dt_j = dt_j' + own_j dt_0.
    """
    own = np.concatenate([chart.own for chart in charts])
    against = np.outer(own, covariance[0, 1:])
    return np.asarray(covariance[1:, 1:] + against + against.T + covariance[0, 0] * np.outer(own, own))


def only_nonlinear(covariance: Array, charts: Sequence[Chart]) -> Array:
    """The covariance with zeros for parameters in which the term's covariance is linear."""
    bent = np.concatenate([np.full(len(chart.own), not chart.linear) for chart in charts])
    return np.where(np.outer(bent, bent), covariance, 0.0)


def quadratic_form(estimate: Array, covariance: Array, rank: int) -> float:
    """estimate' covariance^+ estimate, with a covariance (k, k) of known rank."""
    size = np.sqrt(np.diag(covariance))
    unit = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    kept = slice(len(values) - rank, None)
    return float((((vectors[:, kept].T @ (estimate / unit)) ** 2) / values[kept]).sum())


def scale_and_df(contrasts: Array, slopes: Array, covariance: Array) -> tuple[float, float]:
    """Lambda and the denominator degrees of freedom of a test of q orthonormal contrasts (q, p)."""
    q = len(contrasts)
    M = contrasts @ slopes @ contrasts.T  # (m, q, q)
    trace = np.einsum("iaa->i", M)
    A1 = float(trace @ covariance @ trace)
    A2 = float(np.einsum("ij,iab,jba->", covariance, M, M, optimize=True))
    return matched_moments(q, A1, A2)


def matched_moments(q: int, A1: float, A2: float) -> tuple[float, float]:
    """Kenward and Roger's lambda and m: the F whose mean and variance the statistic has."""
    if q == 1:  # what follows, written out
        return 1.0, 2.0 / A2
    if not 0.0 < A2 < q:  # the statistic has no mean: too little is known of the variances
        return np.nan, np.nan
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
    c = np.array([g, q - g, q + 2.0 - g]) / (3.0 * q + 2.0 * (1.0 - g))
    mean = 1.0 / (1.0 - A2 / q)
    variance = 2.0 / q * (1.0 + c[0] * B) / ((1.0 - c[1] * B) ** 2 * (1.0 - c[2] * B))
    rho = variance / (2.0 * mean**2)
    df = 4.0 + (q + 2.0) / (q * rho - 1.0)
    return df / (mean * (df - 2.0)), df
