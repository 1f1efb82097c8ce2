"""Which values of a parameter do the data speak against? Profiles of a generalized mixed model's likelihood.

A parameter is a smooth function c(psi) of everything that is searched over. Its profile at v minimises
the criterion F subject to c(psi) = v, by sequential quadratic programming: exact gradients from the core,
and its curvature at the start, which Powell's damped updates turn into that of the Lagrangian. The
multiplier is the slope of the minimum, dF*/dv, so limits are found by Newton's method on the signed root
of F* - F. What is held is exactly the parameter as the user reads it, whatever the
working coordinates.

Powell, M. J. D. (1978). A fast algorithm for nonlinearly constrained optimization calculations. In
    Numerical Analysis, 144-157. Springer.
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
LEAST_CURVATURE = 0.1  # of the criterion, in a parameter of working columns of unit size
LEAST_EIGENVALUE = 1e-5
USUAL_DEVIATION, USUAL_CORRELATION = 0.3, 0.3
NEAR_ONE = 1e-3  # a correlation so near one, and still plausible, has one as its limit
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
    errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian), 0.0))
    usual = usual_errors(model, parameters, psi)
    return np.asarray(np.where(np.isfinite(errors) & (errors > 0.0) | (usual == 0.0), errors, usual))


def usual_errors(model: WorkingGLMM, parameters: tuple[Parameter, ...], psi: Array) -> Array:
    """Steps (K,) that serve where a singular covariance has no standard errors; 0 for coefficients."""
    wider = np.concatenate([np.abs(psi[: model.n_theta]) + USUAL_DEVIATION, psi[model.n_theta :]])
    moved = np.abs(parameters_at(model, parameters, wider) - parameters_at(model, parameters, psi))
    usual = {"sd": moved, "cor": np.full(len(parameters), USUAL_CORRELATION)}
    return np.array([usual[p.kind][k] if p.kind in usual else 0.0 for k, p in enumerate(parameters)])


def hold(profiled: ProfiledGLMM, which: int, value: float, start: Array) -> Held:
    """Minimise the criterion with one parameter at a value.

    A variance that is zero at the start has no slope to leave zero by: from there the search is tried again
    with all variances moved inside. Where a search does not end it is tried again from the optimum.
    """
    found = hold_from(profiled, which, value, start)
    if not found.converged and start is not profiled.psi:
        found = hold_from(profiled, which, value, profiled.psi)
    if not is_singular(profiled.model, found.psi):
        return found
    inner = hold_from(profiled, which, value, off_the_boundary(profiled.model, found.psi))
    better = inner.converged and (not found.converged or inner.criterion < found.criterion)
    return inner if better else found


def hold_from(profiled: ProfiledGLMM, which: int, value: float, start: Array) -> Held:
    """The same from one start."""
    kernel, function = profiled.model.kernel, function_of(profiled, which)
    unit, psi = profiled.std_errors[which], start
    criterion, gradient, curvature = kernel.derivatives(psi)
    now, slope = function(psi)
    hessian, renewed, multiplier = made_definite(curvature), True, 0.0
    for _ in range(MOST_STEPS):
        if not np.isfinite(slope).all() or not slope.any():
            break
        by_gradient, by_slope = np.linalg.solve(hessian, np.column_stack([gradient, slope])).T
        multiplier = float((value - now + slope @ by_gradient) / (slope @ by_slope))
        step = multiplier * by_slope - by_gradient
        rest = gradient - multiplier * slope
        if float(rest @ (by_gradient - multiplier * by_slope)) < PROMISE and abs(value - now) < HELD * unit:
            return Held(value, psi, criterion, multiplier, converged=True)
        taken = merit_step(profiled, which, value, psi, step, criterion, multiplier)
        if taken is None and renewed:
            break
        if taken is None:  # once more from the core's curvature
            hessian, renewed = made_definite(kernel.derivatives(psi)[2]), True
            continue
        criterion, gradient, _ = kernel.derivatives(taken)
        now, slope = function(taken)
        hessian, renewed = damped_update(hessian, taken - psi, gradient - multiplier * slope - rest), False
        psi = taken
    return Held(value, psi, criterion, multiplier, converged=False)


def made_definite(curvature: Array) -> Array:
    """A symmetric matrix with eigenvalues, once its diagonal is one, that are away from zero."""
    scale = np.sqrt(np.maximum(np.abs(np.diag(curvature)), LEAST_CURVATURE))
    values, vectors = np.linalg.eigh(curvature / np.outer(scale, scale))
    whole = (vectors * np.maximum(np.abs(values), LEAST_EIGENVALUE)) @ vectors.T
    return np.asarray(whole * np.outer(scale, scale))


def damped_update(hessian: Array, step: Array, change: Array) -> Array:
    """Powell's damped update: the change of the Lagrangian's slope along a step, kept positive definite."""
    moved = hessian @ step
    curved, found = float(step @ moved), float(step @ change)
    if not curved > 0.0:
        return hessian
    share = 1.0 if found >= 0.2 * curved else 0.8 * curved / (curved - found)
    slope = share * change + (1.0 - share) * moved
    return np.asarray(hessian + np.outer(slope, slope) / (step @ slope) - np.outer(moved, moved) / curved)


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
    """The value at which zeta is `quantile` (negative for a lower limit); NaN where it is never reached.

    The range of the parameter ends the search for a limit: zero is the lower limit of a standard deviation
    that may be none, and one the upper limit of a correlation that may be perfect. A correlation with an
    effect that may be none may be anything.
    """
    estimate, unit = float(profiled.estimates[which]), float(profiled.std_errors[which])
    low, high = range_of(profiled.parameters[which])
    if not np.isfinite(estimate) or not np.isfinite(unit) or unit == 0.0:
        return np.nan
    if quantile < 0.0 and low == 0.0 and below_is_plausible(profiled, which, quantile):
        return 0.0
    bound = low if quantile < 0.0 else high
    if abs(bound - estimate) < NEAR_ONE or has_plausible_nothing(profiled, which, quantile):
        return bound
    at, start = estimate + quantile * unit, profiled.psi
    inner, outer = estimate, np.nan
    for _ in range(MOST_POINTS):
        at = inside(at, inner, outer, low, high, estimate)
        point = hold(profiled, which, at, start)
        if not point.converged:
            return np.nan
        zeta = signed_root(profiled, which, point)
        if abs(zeta - quantile) < SOLVED:
            return at
        if abs(zeta) < abs(quantile) and abs(bound - at) < NEAR_ONE:
            return bound
        if abs(zeta) < abs(quantile):
            inner = at
        else:
            outer = at
        if abs(at - estimate) > FAR * unit * abs(quantile) and abs(zeta) < abs(quantile):
            return np.nan
        start = point.psi
        slope = point.slope / (2.0 * zeta) if zeta != 0.0 else 1.0 / unit
        at = at + (quantile - zeta) / max(slope, 0.05 / unit)
    return np.nan


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


def has_plausible_nothing(profiled: ProfiledGLMM, which: int, quantile: float) -> bool:
    """Whether one of the effects that a correlation is of may not vary at all."""
    parameter = profiled.parameters[which]
    if parameter.kind != "cor":
        return False
    mine = [k for k, p in enumerate(profiled.parameters) if p.kind == "sd" and p.index == parameter.index]
    concerned = [k for k in mine if set(profiled.parameters[k].columns) & set(parameter.columns)]
    return any(below_is_plausible(profiled, k, quantile) for k in concerned)


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
