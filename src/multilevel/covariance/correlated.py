"""Standard deviations times a correlation matrix of one parameter: what compound symmetry and AR(1) share.

theta holds the standard deviations (one each, or one for all), of which the size counts, then an angle eta.
T = diag(sd) L(eta), with a root L of the correlation matrix made of sines and cosines: both ends of the
correlation's range are reached at multiples of some angle, where Sigma turns back smoothly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.diagonal import collapsed_deviations, deviation_slopes, spread_deviations

PROBE = 1e-2  # a step from a boundary: Sigma moves by its square


def scaled_root(theta: Array, root: Array, hom: bool) -> Array:
    """T = diag(sd) L: (q, q)."""
    return np.asarray(spread_deviations(np.abs(theta[:-1]), len(root), hom)[:, None] * root)


def scaled_slopes(theta: Array, root: Array, slope: Array, hom: bool) -> Array:
    """Derivative of T in the standard deviations and in eta, from that of L in eta: (k, q, q)."""
    signs = np.where(theta[:-1] < 0.0, -1.0, 1.0)
    by_deviation = signs[:, None, None] * deviation_slopes(len(root), hom)[:, :, None] * root
    return np.concatenate([by_deviation, scaled_root(theta, slope, hom)[None]])


def nearest_end(eta: float, turn: float) -> float:
    """The multiple of `turn` nearest to an angle."""
    return float(np.round(eta / turn) * turn)


def collapsed_ends(theta: Array, least: float, turn: float) -> Array:
    """Small standard deviations at zero, and an angle close to a multiple of `turn` exactly there."""
    end = nearest_end(theta[-1], turn)
    angle = end if (theta[-1] - end) ** 2 < least else theta[-1]
    return np.append(collapsed_deviations(theta[:-1], least), angle)


def null_slope_of_ends(covariance: Callable[[Array], Array], theta: Array, G: Array, turn: float) -> float:
    """Least slope of <G, Sigma> in the square of a step from a boundary at which theta stands."""
    ends = [k for k, deviation in enumerate(theta[:-1]) if deviation == 0.0]
    if theta[-1] == nearest_end(theta[-1], turn):
        ends.append(len(theta) - 1)
    here, steps = covariance(theta), PROBE * np.eye(len(theta))
    changes = (covariance(theta + steps[k]) - here for k in ends)
    return min((float((G * change).sum()) / PROBE**2 for change in changes), default=np.inf)
