"""Where is the minimum of a smooth function without bounds? BFGS steps, with the exact gradient.

Nocedal, J. & Wright, S. J. (2006). Numerical Optimization, 2nd edition, chapter 6. Springer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array

Value = tuple[float, Array]  # of the function, and its gradient (k,)
Function = Callable[[Array], Value | None]  # None where the function is infinite

SUFFICIENT = 1e-4  # part of the promised decrease that a step must bring
ENOUGH_SLOPE = 0.9  # part of the slope at the start that may be left at the end of a step
MOST_TRIALS = 25  # of one line search
FARTHEST_STEP = 2.0  # length of a step in any coordinate
NOISE = 1e-13  # relative rounding of the function's value


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where the steps ended."""

    x: Array  # (k,)
    value: float
    gradient: Array  # (k,)
    inverse: Array  # (k, k) what is known of the inverse Hessian
    promise: float  # decrease that one more step would bring, by the quadratic model
    evaluations: int
    iterations: int


def minimise(
    function: Function, start: Array, curvature: float, tolerance: float = 1e-10, most: int = 300
) -> Minimum | None:
    """Steps until one more would lower the value by less than `tolerance`; None if the start is infinite.

    `curvature` is the size of the second derivatives that one would expect.

    >>> bowl = lambda x: (float((x - 1.0) @ (x - 1.0)), 2.0 * (x - 1.0))
    >>> minimise(bowl, np.zeros(2), 2.0).x
    array([1., 1.])
    """
    here = function(start)
    if here is None:
        return None
    x, (value, gradient), inverse = start, here, np.eye(len(start)) / curvature
    evaluations, iterations, fresh = 1, 0, True
    while iterations < most:
        step = -inverse @ gradient
        promise = -0.5 * float(gradient @ step)
        if promise <= tolerance:
            break
        step *= min(1.0, FARTHEST_STEP / float(np.abs(step).max()))
        ahead, tried = _line_search(function, x, step, value, gradient)
        evaluations += tried
        if ahead is None:
            if fresh:
                break
            inverse, fresh = np.eye(len(x)) / curvature, True
            continue
        iterations += 1
        taken, next_value, next_gradient = ahead
        inverse = _updated(inverse, taken, next_gradient - gradient, scale=fresh)
        x, value, gradient, fresh = x + taken, next_value, next_gradient, False
    promise = 0.5 * float(gradient @ inverse @ gradient)
    return Minimum(x, value, gradient, inverse, promise, evaluations, iterations)


def _updated(inverse: Array, s: Array, y: Array, *, scale: bool) -> Array:
    """The BFGS formula for the inverse Hessian; unchanged where the curvature is not positive."""
    sy = float(s @ y)
    if sy <= 1e-12 * float(np.sqrt((s @ s) * (y @ y))):
        return inverse
    if scale:
        inverse = inverse * (sy / float(y @ inverse @ y))
    Hy = inverse @ y
    return np.asarray(
        inverse + (1.0 + float(y @ Hy) / sy) * np.outer(s, s) / sy - (np.outer(Hy, s) + np.outer(s, Hy)) / sy
    )


def _line_search(
    function: Function, x: Array, step: Array, value: float, gradient: Array
) -> tuple[tuple[Array, float, Array] | None, int]:
    """A part of the step (or more) that satisfies Wolfe's conditions; and how many were tried."""
    slope, low, high, length = float(gradient @ step), 0.0, np.inf, 1.0
    best: tuple[Array, float, Array] | None = None
    noise = NOISE * (1.0 + abs(value))
    for trial in range(MOST_TRIALS):
        ahead = function(x + length * step)
        if ahead is None or ahead[0] > value + SUFFICIENT * length * slope + noise:
            high = length
        else:
            best = (length * step, *ahead)
            if float(ahead[1] @ step) >= ENOUGH_SLOPE * slope:
                return best, trial + 1
            low = length
        if best is not None and trial >= 5:
            return best, trial + 1
        length = 2.0 * low if np.isinf(high) else _between(low, high, length, slope, value, ahead, best)
    return best, MOST_TRIALS


def _between(
    low: float,
    high: float,
    length: float,
    slope: float,
    value: float,
    ahead: Value | None,
    best: tuple[Array, float, Array] | None,
) -> float:
    """Where a parabola through what is known has its minimum, kept well inside; else the middle."""
    if best is not None or ahead is None or not np.isfinite(ahead[0]):
        return 0.5 * (low + high) if ahead is not None or low > 0.0 else 0.2 * high
    rise = ahead[0] - value - length * slope
    at = -slope * length * length / (2.0 * rise) if rise > 0.0 else 0.5 * high
    return float(np.clip(at, 0.1 * high, 0.6 * high))
