"""Standard deviations times a correlation matrix of one parameter: what compound symmetry and AR(1) share.

theta holds the standard deviations (one each, or one for all), then eta, which the curve
eta / sqrt(1 + eta^2) carries into (-1, 1). With T_0 the Cholesky factor of the correlation matrix,
T = diag(sd) T_0.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.diagonal import deviation_slopes, spread_deviations


def curve(eta: float) -> float:
    """From any real number into (-1, 1)."""
    return float(eta / np.hypot(1.0, eta))


def curve_slope(eta: float) -> float:
    """Derivative of the curve."""
    return float(np.hypot(1.0, eta) ** -3.0)


def curve_inverse(value: float) -> float:
    """The eta at which the curve takes a value in (-1, 1)."""
    return float(value / np.sqrt(1.0 - value * value))


def scaled_factor(theta: Array, correlation_factor: Array, hom: bool) -> Array:
    """T = diag(sd) T_0: (q, q)."""
    return np.asarray(
        spread_deviations(theta[:-1], len(correlation_factor), hom)[:, None] * correlation_factor
    )


def scaled_slopes(theta: Array, correlation_factor: Array, correlation_slope: Array, hom: bool) -> Array:
    """Derivative of T in the standard deviations and in eta: (k, q, q)."""
    q = len(correlation_factor)
    by_deviation = deviation_slopes(q, hom)[:, :, None] * correlation_factor
    by_eta = spread_deviations(theta[:-1], q, hom)[:, None] * correlation_slope
    return np.concatenate([by_deviation, by_eta[None]])


def cholesky_slope(lower: Array, change: Array) -> Array:
    """dL for a change dR of R = L L': dL = L Phi(L^-1 dR L^-T), Phi = lower triangle, diagonal halved.

    Giles, M. B. (2008). Collected matrix derivative results for forward and reverse mode algorithmic
    differentiation. Advances in Automatic Differentiation, 35-44.
    """
    inner = np.linalg.solve(lower, np.linalg.solve(lower, change).T)
    return np.asarray(lower @ (np.tril(inner) - 0.5 * np.diag(np.diag(inner))))
