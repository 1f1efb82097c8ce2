"""Which values of a parameter do the data speak against? Profiles of the likelihood.

The signed root of the likelihood ratio is

    zeta(v) = sign(v - estimate) sqrt(deviance with the parameter held at v - deviance of the fit),

and the values with |zeta| <= z make the profile-likelihood interval, z the normal quantile. Points are exact
constrained optima. Limits solve zeta(v) = +-z with the model itself, to 1e-8 in zeta; no spline stands
between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.inference.parameters import Parameter
from multilevel.inference.profile_points import (
    HeldParameter,
    Point,
    ProfiledModel,
    held_parameter,
    values_at,
)

SPACING = 0.5  # of zeta, between the points of a profile
SOLVED = 1e-8  # distance of zeta from its quantile at a limit
MOST_POINTS = 60  # on one side of the estimate
MOST_SOLVES = 40  # fits in search of one limit
ANOTHER = 1e-6  # a deviance lower by more than this belongs to another valley
BETTER = 1e-5  # a deviance lower than that of the fit by more than this is another optimum

FLAT = "the likelihood does not fall off far enough on this side"
FAILED = "a constrained search on this side did not converge"
NOT_IDENTIFIED = "a standard deviation is estimated as zero, which leaves its correlations undetermined"
BETTER_OPTIMUM = "a better fit was found on the way: the fit is not the global optimum"


@dataclass(frozen=True, slots=True)
class Side:
    """A profile from the estimate to one side: m points, the estimate first."""

    direction: float  # -1.0 below the estimate, 1.0 above
    points: tuple[Point, ...]  # (m - 1,) by distance from the estimate
    zeta: Array  # (m,) not negative; zero at the estimate
    coordinate: Array  # (m,)
    zeta_slope: Array  # (m,) d zeta / d coordinate, away from the estimate; NaN at the estimate
    at_bound: bool  # the last point is at the end of the parameter's range
    trouble: str | None  # why limits on this side may not be known


@dataclass(frozen=True, slots=True)
class Trace:
    """The profile of one parameter."""

    parameter: Parameter
    estimate: float
    below: Side
    above: Side


@dataclass(frozen=True, slots=True)
class Limit:
    """An end of an interval; NaN with a reason where there is none."""

    value: float
    reason: str | None


def trace_parameter(profiled: ProfiledModel, parameter: Parameter, largest: float) -> Trace:
    """Points of a profile from zeta = -largest to zeta = largest."""
    estimate = float(profiled.values[profiled.parameters.index(parameter)])
    held = held_parameter(profiled, parameter)
    if np.isnan(estimate):
        none = unknown_side(NOT_IDENTIFIED)
        return Trace(parameter, estimate, none, replace(none, direction=1.0))
    sides = [extend(profiled, held, begin(held, estimate, direction), largest) for direction in (-1.0, 1.0)]
    return Trace(parameter, estimate, *sides)


def unknown_side(reason: str) -> Side:
    """A side of which nothing can be said."""
    nothing = np.full(1, np.nan)
    return Side(-1.0, (), nothing, nothing, nothing, at_bound=False, trouble=reason)


def begin(held: HeldParameter, estimate: float, direction: float) -> Side:
    """The estimate alone; at the end of its range there is nothing further on that side."""
    at = held.coordinate(estimate)
    bound = held.bounds[0] if direction < 0.0 else held.bounds[1]
    return Side(direction, (), np.zeros(1), np.array([at]), np.full(1, np.nan), at == bound, None)


def extend(profiled: ProfiledModel, held: HeldParameter, side: Side, largest: float) -> Side:
    """Add points away from the estimate until zeta reaches `largest` or the parameter its bound."""
    bound = held.bounds[0] if side.direction < 0.0 else held.bounds[1]
    step = held.step
    while side.trouble is None and not side.at_bound and side.zeta[-1] < largest:
        if len(side.points) >= MOST_POINTS:
            return replace(side, trouble=FLAT)
        target = side.coordinate[-1] + side.direction * next_step(side, step)
        at = bound if (target - bound) * side.direction >= 0.0 else target
        point = held.point(at, side.points[-1] if side.points else None)
        step = abs(at - side.coordinate[-1])
        side = replace(with_point(profiled, side, point), at_bound=at == bound)
    return side


def next_step(side: Side, last: float) -> float:
    """A step that zeta's slope says will move it by the usual spacing; at most four times the last one."""
    slope = side.zeta_slope[-1]
    if not side.points:
        return last
    return float(min(SPACING / slope, 4.0 * last)) if slope > 0.0 else 2.0 * last


def with_point(profiled: ProfiledModel, side: Side, point: Point) -> Side:
    """A side with one more point, put where its coordinate belongs."""
    gain = point.deviance - profiled.deviance
    zeta = float(np.sqrt(max(gain, 0.0))) if np.isfinite(gain) else np.nan
    slope = side.direction * point.slope / (2.0 * zeta) if zeta > 0.0 else np.nan
    trouble = BETTER_OPTIMUM if gain < -BETTER else (None if point.converged else FAILED)
    place = int(np.searchsorted(side.direction * side.coordinate, side.direction * point.coordinate))
    return replace(
        side,
        points=(*side.points[: place - 1], point, *side.points[place - 1 :]),
        zeta=np.insert(side.zeta, place, zeta),
        coordinate=np.insert(side.coordinate, place, point.coordinate),
        zeta_slope=np.insert(side.zeta_slope, place, slope),
        trouble=side.trouble or trouble,
    )


def find_limit(
    profiled: ProfiledModel, parameter: Parameter, side: Side, quantile: float
) -> tuple[Limit, Side]:
    """Where zeta reaches a quantile on one side, and the side with the points tried on the way."""
    if side.trouble == NOT_IDENTIFIED:
        return Limit(np.nan, side.trouble), side
    held = held_parameter(profiled, parameter)
    side = extend(profiled, held, side, quantile)
    for _ in range(MOST_SOLVES):
        beyond = np.flatnonzero(side.zeta >= quantile - SOLVED)
        if len(beyond) == 0:
            return limit_without_crossing(held, side), side
        place = int(beyond[0])
        if abs(side.zeta[place] - quantile) <= SOLVED:
            side, holds = with_second_opinion(profiled, held, side, place)
            if holds:
                return Limit(held.value(side.coordinate[place]), None), side
            continue
        at = crossing(side, place, quantile)
        if at in (side.coordinate[place - 1], side.coordinate[place]):  # no number lies between
            return Limit(held.value(at), None), side
        side = with_point(profiled, side, held.point(at, nearest(side, at)))
        if side.trouble is not None:
            break
    return Limit(np.nan, side.trouble or FAILED), side


def with_second_opinion(
    profiled: ProfiledModel, held: HeldParameter, side: Side, place: int
) -> tuple[Side, bool]:
    """Search again for the fit at a limit, from the estimates: whether nothing better is found there."""
    old = side.points[place - 1]
    again = held.point(old.coordinate, None)
    if not again.converged or again.deviance > old.deviance - ANOTHER:
        return side, True
    rest = replace(
        side,
        points=side.points[: place - 1] + side.points[place:],
        zeta=np.delete(side.zeta, place),
        coordinate=np.delete(side.coordinate, place),
        zeta_slope=np.delete(side.zeta_slope, place),
    )
    return with_point(profiled, rest, again), False


def limit_without_crossing(held: HeldParameter, side: Side) -> Limit:
    """The end of the parameter's range if zeta stays below the quantile up to there."""
    if side.trouble is None and side.at_bound:
        return Limit(held.value(side.coordinate[-1]), None)
    return Limit(np.nan, side.trouble or FLAT)


def crossing(side: Side, place: int, quantile: float) -> float:
    """Where zeta should reach the quantile between two points: inverse cubic interpolation, kept inside.

    Slopes are exact, so that each try adds digits fast; without them, or off the bracket, linear or halved.
    """
    (z0, z1), (x0, x1) = side.zeta[place - 1 : place + 1], side.coordinate[place - 1 : place + 1]
    width, secant = z1 - z0, (x1 - x0) / (z1 - z0)
    slopes = side.direction / side.zeta_slope[place - 1 : place + 1]
    m0, m1 = np.where(np.isfinite(slopes) & (slopes * secant > 0.0), slopes, secant)
    t = (quantile - z0) / width
    hermite = (
        x0 * (1.0 + 2.0 * t) * (1.0 - t) ** 2
        + x1 * t**2 * (3.0 - 2.0 * t)
        + width * (m0 * t * (1.0 - t) ** 2 - m1 * t**2 * (1.0 - t))
    )
    inside = min(x0, x1) < hermite < max(x0, x1)
    return float(hermite if inside else 0.5 * (x0 + x1))


def nearest(side: Side, at: float) -> Point | None:
    """The point from which a search for a coordinate begins."""
    if not side.points:
        return None
    return side.points[int(np.argmin(np.abs(side.coordinate[1:] - at)))]


# ---- a profile as a curve ----


@dataclass(frozen=True, slots=True)
class Curve:
    """A profile from its lowest to its highest value; m points."""

    value: Array  # (m,) of the parameter, ascending
    zeta: Array  # (m,) ascending where the likelihood has one mode
    others: Array  # (m, K) all parameters at each point


def curve_of(profiled: ProfiledModel, trace: Trace) -> Curve:
    """The points of a trace in one row, the estimate between its sides."""
    held = held_parameter(profiled, trace.parameter)
    below = [
        (held.value(p.coordinate), -z, values_at(profiled, p))
        for p, z in zip(trace.below.points, trace.below.zeta[1:], strict=True)
    ]
    above = [
        (held.value(p.coordinate), z, values_at(profiled, p))
        for p, z in zip(trace.above.points, trace.above.zeta[1:], strict=True)
    ]
    rows: Sequence[tuple[float, float, Array]] = [
        *reversed(below),
        (trace.estimate, 0.0, profiled.values),
        *above,
    ]
    value, zeta, others = zip(*rows, strict=True)
    return Curve(np.array(value), np.array(zeta), np.array(others))
