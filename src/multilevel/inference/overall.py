"""Does the model say more than a constant? R2 and the F test of all coefficients but the constant."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.coefficients import FTest, f_result
from multilevel.inference.robust_tests import hotelling_test, too_many
from multilevel.inference.variance import Variance


def r_squared(record: OLSRecord) -> float:
    """Share of the sum of squares that the model accounts for (about zero if there is no constant)."""
    return 1.0 - record.rss / record.tss


def adjusted_r_squared(record: OLSRecord) -> float:
    """R2 with both variances on their degrees of freedom."""
    df_total = record.n_obs - record.has_constant
    return 1.0 - record.rss / record.df_residual / (record.tss / df_total)


def overall_test(record: OLSRecord, variance: Variance) -> FTest | None:
    """Wald F test that only the constant matters; None when there is nothing, or too little, to test with.

    A cluster variance has no more than `df` independent directions and cannot test more hypotheses than that.
    With CR2 and CR3 it is the approximate Hotelling test.
    """
    L = beside_the_constant(record)
    k = len(L)
    if k == 0 or k > variance.df or k >= (variance.n_clusters or np.inf) or variance.mended:
        return None
    rows = record.in_basis(L)
    if variance.adjusted is not None:
        if too_many(variance.adjusted, k):
            return None
        test = hotelling_test(variance.adjusted, variance.core, rows, L @ record.beta)
        return None if np.isnan(test.p_value) else test
    statistic = quadratic_form(rows @ variance.core @ rows.T, L @ record.beta) / k
    return f_result(statistic, float(k), variance.df)


def beside_the_constant(record: OLSRecord) -> Array:
    """Orthonormal L (k, p) with `L beta = 0` exactly when X beta is constant."""
    one = record.centring.one
    if one is None:
        return np.eye(record.n_coefficients)
    Q, _ = np.linalg.qr(one[:, None], mode="complete")
    return np.asarray(Q[:, 1:].T, dtype=np.float64)


def quadratic_form(V: Array, estimate: Array) -> float:
    """estimate' V^-1 estimate, with V scaled to a unit diagonal so that units do not matter."""
    se = np.sqrt(V.diagonal())
    z = estimate / se
    return float(z @ np.linalg.solve(V / np.outer(se, se), z))
