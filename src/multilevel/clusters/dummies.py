"""Least squares with a dummy for each group, and does a random intercept disagree with it?

Hausman, J. A. (1978). Specification tests in econometrics. Econometrica 46, 1251-1271.
Wooldridge, J. M. (2010). Econometric Analysis of Cross Section and Panel Data, 2nd ed., ch. 10. MIT Press.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from multilevel._typing import Array, Codes, Mask
from multilevel.clusters.within import varying_within, within_groups
from multilevel.design.rank import dependent_columns
from multilevel.errors import ModelError

DIFFERENT = 1e-6  # share of a variance by which two estimators must differ for their difference to be tested


@dataclass(frozen=True, slots=True)
class DummyRegression:
    """Coefficients of X (n, p) beside J dummies; k of them identified."""

    beta: Array  # (p,) NaN where not identified
    std_error: Array  # (p,)
    identified: Mask  # (p,)
    constant: Mask  # (p,) columns that do not vary within groups
    unscaled: Array  # (k, k) covariance of the identified ones over sigma^2
    sigma: float
    df_residual: float  # observations less dummies less identified coefficients


@dataclass(frozen=True, slots=True)
class Hausman:
    """A test that two estimators estimate the same coefficients."""

    statistic: float
    df: int
    p_value: float


def dummy_regression(X: Array, y: Array, codes: Codes, weights: Array, n_obs: float) -> DummyRegression:
    """Weighted least squares of y (n,) on X (n, p) and a dummy for each group; weights count rows too.

    What does not vary within groups, or depends on earlier columns there, is not identified.
    """
    within = within_groups(np.column_stack([X, y]), codes, weights)
    rest, response = within[:, :-1], within[:, -1]
    varies = varying_within(X, rest)
    candidates = np.flatnonzero(varies)
    dependent = dependent_columns(np.asfortranarray(rest[:, candidates]), None)
    kept = np.delete(candidates, dependent)
    df = n_obs - (int(codes.max()) + 1) - len(kept)
    if df < 1:
        raise ModelError(
            f"dummies for {int(codes.max()) + 1} groups and {len(kept)} coefficients leave no observation of "
            f"{n_obs:.0f} to tell the residual variance; use fewer predictors."
        )
    root = np.sqrt(weights)
    Q, R = np.linalg.qr(root[:, None] * rest[:, kept])
    coefficients = np.linalg.solve(R, Q.T @ (root * response))
    inverse = np.linalg.inv(R)
    residual = root * (response - rest[:, kept] @ coefficients)
    sigma = float(np.sqrt(residual @ residual / df))
    beta, std_error = np.full((2, X.shape[1]), np.nan)
    beta[kept] = coefficients
    std_error[kept] = sigma * np.sqrt((inverse**2).sum(axis=1))
    identified = np.zeros(X.shape[1], dtype=np.bool_)
    identified[kept] = True
    return DummyRegression(beta, std_error, identified, ~varies, inverse @ inverse.T, sigma, float(df))


def hausman(dummies: DummyRegression, beta: Array, vcov: Array, sigma: float) -> Hausman | None:
    """Do the identified coefficients differ from those of the random-intercept model by more than chance?

    `beta` (p,), `vcov` (p, p) and `sigma` are the mixed model's. With its sigma in both, the variance of the
    difference is that of the dummies less the mixed model's, and never negative. None where the estimators
    agree by design: all predictors are balanced within groups.
    """
    kept = dummies.identified
    if not kept.any():
        return None
    difference = dummies.beta[kept] - beta[kept]
    unrestricted = sigma**2 * dummies.unscaled
    half = np.linalg.cholesky(unrestricted)
    relative = np.linalg.solve(half, np.linalg.solve(half, vcov[np.ix_(kept, kept)]).T)
    values, vectors = np.linalg.eigh(np.eye(len(half)) - relative)
    tested = values > DIFFERENT
    df = int(np.count_nonzero(tested))
    if df == 0:
        return None
    scores = vectors.T @ np.linalg.solve(half, difference)
    statistic = float((scores[tested] ** 2 / values[tested]).sum())
    return Hausman(statistic, df, float(chdtrc(df, statistic)))
