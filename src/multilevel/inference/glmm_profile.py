"""Which values of a parameter do the data speak against? Profiles of a generalized mixed model's likelihood.

A parameter is a smooth function c(psi) of everything that is searched over. Its profile at v minimises
the criterion F subject to c(psi) = v, by sequential quadratic programming with the core's exact gradient
and curvature; the multiplier is the slope of the minimum, dF*/dv, so limits are found by Newton's method
on the signed root of F* - F. What is held is exactly the parameter as the user reads it, whatever the
working coordinates.

Nocedal, J. & Wright, S. J. (2006). Numerical Optimization, 2nd ed., chapter 18. Springer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.estimation.glmm_refits import is_singular, off_the_boundary
from multilevel.fitted.joint_covariance import working_covariance
from multilevel.inference.glmm_parameters import parameters_at
from multilevel.inference.parameters import Parameter

MOST_STEPS = 80
PROMISE = 1e-10  # decrease of the criterion that a last step may promise
HELD = 1e-9  # how exactly a parameter is held, in standard errors
MOST_HALVINGS = 30
DIFFERENCE = 1e-6
SOLVED = 1e-6  # distance of zeta from its quantile at a limit
MOST_POINTS = 40
FAR = 12.0  # standard errors from the estimate beyond which a likelihood counts as flat
NEAR_ZERO = 1e-4  # of the estimate: a standard deviation held there stands for zero


@dataclass(frozen=True, slots=True)
class Held:
    """The minimum with a parameter held at a value."""

    value: float
    psi: Array
    criterion: float
    slope: float  # of the minimum, in the value
    converged: bool


@dataclass(frozen=True, slots=True)
class ProfiledGLMM:
    """A fit whose parameters are profiled."""

    model: WorkingGLMM
    psi: Array
    criterion: float
    parameters: tuple[Parameter, ...]
    estimates: Array  # (K,)
    std_errors: Array  # (K,) steps to begin with


def function_of(profiled: ProfiledGLMM, which: int) -> Callable[[Array], tuple[float, Array]]:
    """The value of a parameter at psi and its gradient."""
    model, parameter = profiled.model, profiled.parameters[which]
    if parameter.kind == "fixed":
        slope = np.concatenate([np.zeros(model.n_theta), model.rows.back[parameter.index]])
        constant = float(model.rows.constant[parameter.index])
        return lambda psi: (float(slope @ psi) + constant, slope)

    def value(psi: Array) -> float:
        return float(parameters_at(model, (parameter,), psi)[0])

    def both(psi: Array) -> tuple[float, Array]:
        gradient = np.zeros(len(psi))
        for k in range(model.n_theta):
            step = np.zeros(len(psi))
            step[k] = DIFFERENCE * max(1.0, abs(float(psi[k])))
            gradient[k] = (value(psi + step) - value(psi - step)) / (2.0 * step[k])
        return value(psi), gradient

    return both


def parameter_errors(model: WorkingGLMM, parameters: tuple[Parameter, ...], psi: Array) -> Array:
    """Standard errors (K,) of the parameters, by the delta method in working coordinates."""
    covariance = working_covariance(model.kernel.hessian(psi), model.n_theta)
    slopes = []
    for k in range(len(psi)):
        step = np.zeros(len(psi))
        step[k] = DIFFERENCE * max(1.0, abs(float(psi[k])))
        high, low = (parameters_at(model, parameters, psi + sign * step) for sign in (1.0, -1.0))
        slopes.append((high - low) / (2.0 * step[k]))
    jacobian = np.array(slopes).T
    return np.asarray(np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian), 0.0)))


def hold(profiled: ProfiledGLMM, which: int, value: float, start: Array) -> Held:
    """Minimise the criterion with one parameter at a value.

    A variance that is zero at the start has no slope to leave zero by: from there the search is tried again
    with all variances moved inside.
    """
    found = hold_from(profiled, which, value, start)
    if not is_singular(profiled.model, found.psi):
        return found
    inner = hold_from(profiled, which, value, off_the_boundary(profiled.model, found.psi))
    return inner if inner.converged and inner.criterion < found.criterion else found


def hold_from(profiled: ProfiledGLMM, which: int, value: float, start: Array) -> Held:
    """The same from one start."""
    kernel, function = profiled.model.kernel, function_of(profiled, which)
    unit, psi = profiled.std_errors[which], start
    criterion, gradient, curvature = kernel.derivatives(psi)
    multiplier = 0.0
    for _ in range(MOST_STEPS):
        now, slope = function(psi)
        inverse = ridged(curvature)
        by_gradient, by_slope = np.linalg.solve(inverse, np.column_stack([gradient, slope])).T
        multiplier = float((value - now + slope @ by_gradient) / (slope @ by_slope))
        step = multiplier * by_slope - by_gradient
        rest = gradient - multiplier * slope
        if float(rest @ (by_gradient - multiplier * by_slope)) < PROMISE and abs(value - now) < HELD * unit:
            return Held(value, psi, criterion, multiplier, converged=True)
        taken = merit_step(profiled, which, value, psi, step, criterion, multiplier)
        if taken is None:
            break
        psi = taken
        criterion, gradient, curvature = kernel.derivatives(psi)
    return Held(value, psi, criterion, multiplier, converged=abs(value - function(psi)[0]) < 1e-4 * unit)


def ridged(curvature: Array) -> Array:
    """A curvature that can be inverted."""
    return np.asarray(curvature + 1e-10 * np.diag(np.maximum(np.diag(curvature), 1e-6)))


def merit_step(
    profiled: ProfiledGLMM,
    which: int,
    value: float,
    psi: Array,
    step: Array,
    criterion: float,
    multiplier: float,
) -> Array | None:
    """The first point along halves of a step that lowers criterion and distance from the constraint "
    "together."""
    function, weight = function_of(profiled, which), 2.0 * abs(multiplier) + 1.0
    here = criterion + weight * abs(function(psi)[0] - value)
    for halving in range(MOST_HALVINGS):
        to = psi + step * 0.5**halving
        there = profiled.model.kernel.value(to) + weight * abs(function(to)[0] - value)
        if there <= here + 1e-12 * abs(here):
            return np.asarray(to)
    return None


def signed_root(profiled: ProfiledGLMM, which: int, point: Held) -> float:
    """zeta: signed root of how much the criterion rises."""
    rise = max(point.criterion - profiled.criterion, 0.0)
    return float(np.sign(point.value - profiled.estimates[which]) * np.sqrt(rise))


def limit(profiled: ProfiledGLMM, which: int, quantile: float) -> float:
    """The value at which zeta is `quantile` (negative for a lower limit); NaN where it is never reached."""
    estimate, unit = float(profiled.estimates[which]), float(profiled.std_errors[which])
    low, high = range_of(profiled.parameters[which])
    if not np.isfinite(estimate) or not np.isfinite(unit) or unit == 0.0:
        return np.nan
    if quantile < 0.0 and low == 0.0 and below_is_plausible(profiled, which, quantile):
        return 0.0
    at, start = estimate + quantile * unit, profiled.psi
    inner, outer = estimate, np.nan
    for _ in range(MOST_POINTS):
        at = inside(at, inner, outer, low, high, estimate)
        point = hold(profiled, which, at, start)
        zeta = signed_root(profiled, which, point)
        if abs(zeta - quantile) < SOLVED:
            return at
        if abs(zeta) < abs(quantile):
            inner = at
        else:
            outer = at
        if abs(at - estimate) > FAR * unit * abs(quantile) and abs(zeta) < abs(quantile):
            return np.nan
        if point.converged:
            start = point.psi
        slope = point.slope / (2.0 * zeta) if zeta != 0.0 else 1.0 / unit
        at = at + (quantile - zeta) / max(slope, 0.05 / unit)
    return at


def inside(at: float, inner: float, outer: float, low: float, high: float, estimate: float) -> float:
    """A next value between those known to be too near and too far, and within the parameter's range."""
    if np.isfinite(outer) and not min(inner, outer) < at < max(inner, outer):
        at = 0.5 * (inner + outer)
    if at <= low:
        at = low + 0.3 * (min(inner, estimate) - low)
    if at >= high:
        at = high - 0.3 * (high - max(inner, estimate))
    return at


def below_is_plausible(profiled: ProfiledGLMM, which: int, quantile: float) -> bool:
    """Whether a standard deviation of zero is nearer than the limit."""
    small = NEAR_ZERO * float(profiled.estimates[which])
    if small <= 0.0:
        return True
    return abs(signed_root(profiled, which, hold(profiled, which, small, profiled.psi))) < abs(quantile)


def range_of(parameter: Parameter) -> tuple[float, float]:
    """The values that a parameter can have."""
    return {"sd": (0.0, np.inf), "cor": (-1.0, 1.0)}.get(parameter.kind, (-np.inf, np.inf))


def trace(profiled: ProfiledGLMM, which: int, zetas: Sequence[float]) -> tuple[Array, Array]:
    """Values and zeta at about given zetas (none of them zero), out from the estimate on each side."""
    found = [(float(profiled.estimates[which]), 0.0)]
    low, high = range_of(profiled.parameters[which])
    for side in (-1.0, 1.0):
        start = profiled.psi
        for zeta in sorted((z for z in zetas if z * side > 0.0), key=abs):
            at = float(profiled.estimates[which] + zeta * profiled.std_errors[which])
            if not low < at < high:
                break
            point = hold(profiled, which, at, start)
            start = point.psi
            found.append((at, signed_root(profiled, which, point)))
    values, roots = np.array(sorted(found)).T
    return values, roots
