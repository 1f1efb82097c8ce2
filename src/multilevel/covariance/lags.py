"""Correlations of a stationary series by lag, from coefficients and from partial autocorrelations.

Any partial autocorrelations in (-1, 1) make a stationary series, and all such series are made so: their
arctanh is a chart without bounds (Barndorff-Nielsen and Schou 1973; Monahan 1984). All functions here are
analytic and take complex numbers, so that a derivative is the imaginary part after a tiny imaginary step,
exact to rounding (Squire and Trapp 1998).

Barndorff-Nielsen, O. & Schou, G. (1973). On the parametrization of autoregressive models by partial
autocorrelations. Journal of Multivariate Analysis 3, 408-419.
Monahan, J. F. (1984). A note on enforcing stationarity in autoregressive-moving average models. Biometrika
71, 403-404.
Squire, W. & Trapp, G. (1998). Using complex variables to estimate derivatives of real functions. SIAM Review
40, 110-112.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array

Numbers = npt.NDArray[Any]  # real or complex
TINY = 1e-40  # an imaginary step whose square vanishes beside 1


def coefficients_of_partial(partial: Numbers) -> Numbers:
    """Autoregressive coefficients (p,) of the series with these partial autocorrelations (p,).

    >>> coefficients_of_partial(np.array([0.5, 0.2])).round(3)
    array([0.4, 0.2])
    """
    phi = np.zeros(0, dtype=partial.dtype)
    for last in partial:
        phi = np.append(phi - last * phi[::-1], last)
    return phi


def correlations_of_partial(partial: Numbers) -> Numbers:
    """Correlations (p + 1,) at lags 0, ..., p: any positive definite Toeplitz matrix has such.

    >>> correlations_of_partial(np.array([0.5, 0.2])).round(3)
    array([1. , 0.5, 0.4])
    """
    rho, phi, rest = np.ones(1, dtype=partial.dtype), partial[:0], 1.0
    for last in partial:
        rho = np.append(rho, phi @ rho[:0:-1] + last * rest)
        phi = np.append(phi - last * phi[::-1], last)
        rest = rest * (1.0 - last * last)
    return rho


def arma_correlations(phi: Numbers, theta: Numbers, longest: int) -> Numbers:
    """Correlations (longest + 1,) of an autoregressive moving average at lags 0, 1, ...

    >>> arma_correlations(np.array([0.5]), np.empty(0), 3)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    p, order = len(phi), max(len(phi), len(theta))
    kind = np.result_type(phi, theta, np.float64)
    moving = np.append(np.ones(1, dtype=kind), theta)
    weights = np.ones(1, dtype=kind)  # of past innovations, as far as the moving average reaches
    for k in range(1, len(moving)):
        reach = min(k, p)
        weights = np.append(weights, moving[k] + phi[:reach] @ weights[::-1][:reach])
    right = np.zeros(order + 1, dtype=kind)
    for lag in range(len(moving)):
        right[lag] = moving[lag:] @ weights[: len(moving) - lag]
    equations = np.eye(order + 1, dtype=kind)
    for lag in range(order + 1):
        for j in range(p):
            equations[lag, abs(lag - j - 1)] -= phi[j]
    covariances = np.zeros(max(longest, order) + 1, dtype=kind)
    covariances[: order + 1] = np.linalg.solve(equations, right)
    for lag in range(order + 1, longest + 1 if p else 0):
        covariances[lag] = phi @ covariances[lag - p : lag][::-1]
    return np.asarray(covariances[: longest + 1] / covariances[0])


def jacobian(function: Callable[[Numbers], Numbers], at: Array) -> Array:
    """Derivatives (q, k) of an analytic function (k,) in each of its arguments (q,)."""
    steps = at + 1j * TINY * np.eye(len(at))
    return np.array([function(step).imag / TINY for step in steps]).reshape(len(at), -1)
