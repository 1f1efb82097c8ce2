"""Do terms matter, and is a smaller model enough? Wald tests in sequence and between models, and score tests.

A smaller model, whose columns lie in the span of the larger's, says L beta = 0. Wald's test asks this of the
larger fit; the score test of the smaller one alone, how far its estimate is from solving the larger's
equations: with U the larger's score there, A its information and V the sandwich of A^-1 U,

    U'A^-1 L' (L V L')^-1 L A^-1 U  ~  chi-square with as many df as L has rows.

References:
    Rotnitzky, A. & Jewell, N. P. (1990). Biometrika 77, 485-497.
    Boos, D. D. (1992). On generalized score tests. The American Statistician 46, 327-333.
    Guo, X., Pan, W., Connett, J. E., Hannan, P. J. & French, S. A. (2005). Small-sample performance of the
    robust score test and its modifications in generalized estimating equations. Statistics in Medicine 24,
    3479-3495.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.estimation.gee.problem import EstimatingProblem, working_rows_at
from multilevel.estimation.gee.solve import sums_at
from multilevel.inference.coefficients import CoefficientInference
from multilevel.kernels.gee import ByCluster

WITHIN = 1e-7  # of a column's length: what may be left of it beside a span that holds it


@dataclass(frozen=True, slots=True)
class ChiSquareTest:
    """A statistic that is nearly chi-square."""

    statistic: float
    df: int
    p_value: float


def chi_square(statistic: float, df: int) -> ChiSquareTest:
    """With its p-value."""
    return ChiSquareTest(statistic, df, float(chdtrc(df, statistic)))


def sequential_wald(
    terms: Sequence[tuple[str, Sequence[int]]], fit_columns: Callable[[Sequence[int]], CoefficientInference]
) -> list[ChiSquareTest]:
    """Each term as the last of a model with all before it: one fit a term, and a Wald test in each."""
    used: list[int] = []
    tests = []
    for _, columns in terms:
        before = len(used)
        used.extend(columns)
        inference = fit_columns(used)
        L = np.eye(len(used))[before:]
        test = inference.f_test(L)
        tests.append(chi_square(test.statistic * test.df_num, int(test.df_num)))
    return tests


def smaller_hypothesis(X_small: Array, X_large: Array) -> Array:
    """Orthonormal L (k, p) with L beta = 0 in the larger model where it is the smaller one.

    >>> smaller_hypothesis(np.ones((3, 1)), np.column_stack([np.ones(3), [0.0, 1.0, 2.0]])).round(6) + 0.0
    array([[0., 1.]])
    """
    C = np.linalg.lstsq(X_large, X_small, rcond=None)[0]
    left = np.abs(X_small - X_large @ C).max(axis=0)
    if (left > WITHIN * np.abs(X_small).max(axis=0)).any():
        raise ModelError("the smaller model is not nested in the larger one: it has columns of its own.")
    Q = np.linalg.qr(C, mode="complete")[0]
    L = Q[:, C.shape[1] :].T
    if len(L) == 0:
        raise ModelError("both models have the same mean; there is nothing to test between them.")
    sign = np.sign(L[np.arange(len(L)), np.abs(L).argmax(axis=1)])
    return np.asarray(L * sign[:, None])


def score_test(large: EstimatingProblem, beta: Array, alpha: Array, L: Array) -> ChiSquareTest:
    """Of L = 0 (k, p), both over the moved columns of the larger model, at the smaller model's estimates."""
    sums = sums_at(large, working_rows_at(large, beta), alpha, ByCluster.scores)
    influence = np.linalg.solve(sums.information, sums.scores.T).T @ L.T  # (K, k)
    total = influence.sum(axis=0)
    return chi_square(float(total @ np.linalg.solve(influence.T @ influence, total)), len(L))
