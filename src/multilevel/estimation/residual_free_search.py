"""Where is the optimum of a mixed model without a residual?

Average-information Newton steps from several starts: the likelihood can have more than one mode, as when a
random intercept and a strong serial correlation explain the same persistence. Steps never leave the region
where V has full rank, because the criterion is infinite there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from multilevel._typing import Array, Mask
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.optimum import Certificate, Optimum
from multilevel.estimation.residual_free import (
    Point,
    ResidualFreeModel,
    Slopes,
    slopes,
    solve,
    solve_full_rank,
)
from multilevel.estimation.residual_free_checks import refuse_unbounded, refuse_unexplained_rows
from multilevel.kernels.threads import one_blas_thread

TOLERANCE = 1e-11  # decrease of the criterion that one more step may promise
CERTIFIED = 1e-8  # the same, for the certificate: below it estimates move by less than 1e-4 of their error
MAX_ITERATIONS = 200
ROUNDING = 1e-9  # increase of the criterion that is within its own rounding
FLATTEST = 1e-9  # relative curvature below which a direction counts as one that V does not see
BACKTRACK = 0.35
LEAST_STEP = 1e-7  # part of a Newton step at which backtracking gives up
NEGLIGIBLE = 1e-4  # part of the response's variance below which a direction is tried at exactly zero
NULL_TOLERANCE = 1e-4  # slope along a missing direction that may remain
START_CORRELATIONS = (0.1, 0.75)
DOMINANT = 0.9  # share of the variance of the term that a start puts first
PERFECT_FIT = 1e-20  # weighted residual sum of squares that rounding alone leaves
SINGULAR_CORRELATION = 1e-8  # least eigenvalue of a correlation matrix that is taken for zero


@dataclass(frozen=True, slots=True)
class Descent:
    """Where the steps from one start ended."""

    point: Point
    evaluations: int
    iterations: int


def minimise_without_residual(design: Design, model: ResidualFreeModel, *, reml: bool) -> Optimum:
    """Search from every start; the best end, with its certificate."""
    with one_blas_thread(model.n):
        descents = [descend(model, start, reml=reml) for start in starts(design, model, reml=reml)]
        best = min(descents, key=lambda d: d.point.criterion).point
        refuse_unbounded(design, best.least_pivot)
        best = snap_to_boundary(model, best, reml=reml)
        certificate = certify(model, best, reml=reml)
    evaluations = sum(d.evaluations for d in descents)
    return Optimum(
        theta=best.theta,
        criterion=best.criterion,
        evaluations=evaluations,
        iterations=sum(d.iterations for d in descents),
        converged=certificate.holds,
        message=search_message(certificate, evaluations, len(descents)),
        certificate=certificate,
        rank=ranks(model, best.theta),
    )


# ---- starts ----


def starts(design: Design, model: ResidualFreeModel, *, reml: bool) -> Iterator[Point]:
    """Where to start: the variance shared in several ways, correlations weak and strong."""
    n_terms = len(model.structures)
    even = np.full(n_terms, 1.0 / n_terms)
    if solve(model, start_at(model, even, START_CORRELATIONS[0]), reml=reml) is None:
        refuse_unexplained_rows(design)
    uneven = [np.where(np.arange(n_terms) == k, DOMINANT, 1.0 - DOMINANT) for k in range(n_terms)]
    for shares in [even, *(uneven if n_terms > 1 else [])]:
        for correlation in START_CORRELATIONS:
            yield at_best_scale(model, shares, correlation, reml=reml)


def start_at(model: ResidualFreeModel, shares: Array, correlation: float) -> Array:
    """Theta that gives each term a share of the variance of a row, in equal parts to its columns."""
    parts = zip(model.structures, shares, strict=True)
    return np.concatenate([s.start(np.full(s.size, np.sqrt(v / s.size)), correlation) for s, v in parts])


def at_best_scale(model: ResidualFreeModel, shares: Array, correlation: float, *, reml: bool) -> Point:
    """Variances multiplied by what the data ask for: y'P y over its degrees of freedom."""
    at = solve_full_rank(model, start_at(model, shares, correlation), reml=reml)
    if at.quadratic < PERFECT_FIT * model.n:
        raise ModelError(
            "the fixed effects fit the response exactly: there is no variation left for random effects. "
            "Check whether a predictor copies the response."
        )
    scale = at.quadratic / (model.n - (model.p if reml else 0))
    return solve_full_rank(model, start_at(model, shares * scale, correlation), reml=reml)


# ---- steps ----


def descend(model: ResidualFreeModel, at: Point, *, reml: bool) -> Descent:
    """Newton steps with backtracking until one more promises nothing."""
    evaluations, iterations = 1, 0
    while iterations < MAX_ITERATIONS:
        direction, promise = newton_step(model, at, slopes(model, at, reml=reml))
        if promise < TOLERANCE:
            break
        ahead, tried = search_along(model, at, direction, reml=reml)
        evaluations += tried
        iterations += 1
        if ahead is None:
            break
        at = ahead
    return Descent(at, evaluations, iterations)


def newton_step(model: ResidualFreeModel, at: Point, d: Slopes) -> tuple[Array, float]:
    """Step against the gradient, in the metric of average information and curvature of Sigma; its promise."""
    free = ~held_at_zero(model, at.theta, d.gradient)
    hessian = d.information + sigma_curvature(model, at, d.by_sigma)
    values, vectors = np.linalg.eigh(hessian[np.ix_(free, free)])
    values = np.maximum(values, np.maximum(FLATTEST * values[-1:], 1e-12))
    along = vectors.T @ d.gradient[free]
    direction = np.zeros(len(at.theta))
    direction[free] = -vectors @ (along / values)
    return direction, float(0.5 * along @ (along / values))


def held_at_zero(model: ResidualFreeModel, theta: Array, gradient: Array) -> Mask:
    """Sizes that are zero and would only raise the criterion by growing: (k,)."""
    sizes = [np.arange(s.n_parameters) < s.n_sizes for s in model.structures]
    held: Mask = np.concatenate(sizes) & (theta == 0.0) & (gradient >= 0.0)
    return held


def sigma_curvature(model: ResidualFreeModel, at: Point, by_sigma: Sequence[Array]) -> Array:
    """Positive part of 2 <G, dT_k dT_l'>, block-diagonal over the terms: (k, k).

    A structure spans only part of the symmetric matrices, and G need not vanish outside it: the positive
    part of G itself would be far too steep.
    """
    blocks = []
    for structure, part, G in zip(model.structures, model.split(at.theta), by_sigma, strict=True):
        T_slopes = structure.factor_slopes(part)
        values, vectors = np.linalg.eigh(2.0 * np.einsum("kij,lij->kl", G @ T_slopes, T_slopes))
        blocks.append((vectors * np.maximum(values, 0.0)) @ vectors.T)
    return np.asarray(block_diag(*blocks))


def search_along(
    model: ResidualFreeModel, at: Point, direction: Array, *, reml: bool
) -> tuple[Point | None, int]:
    """First point on the step that improves the criterion, and how many were tried."""
    length, tried = 1.0, 0
    while length > LEAST_STEP:
        tried += 1
        ahead = solve(model, at.theta + length * direction, reml=reml)
        if ahead is not None and ahead.criterion < at.criterion:
            return ahead, tried
        length *= BACKTRACK
    return None, tried


# ---- the end ----


def snap_to_boundary(model: ResidualFreeModel, best: Point, *, reml: bool) -> Point:
    """Directions of Sigma as good as zero become exactly zero, where the criterion does not object."""
    for k, structure in enumerate(model.structures):
        parts = model.split(best.theta)
        parts[k] = structure.collapsed(parts[k], NEGLIGIBLE)
        at = solve(model, np.concatenate(parts), reml=reml)
        if at is not None and at.criterion <= best.criterion + ROUNDING:
            best = at
    return best


def certify(model: ResidualFreeModel, best: Point, *, reml: bool) -> Certificate:
    """First-order conditions in Sigma at the end."""
    d = slopes(model, best, reml=reml)
    promise = newton_step(model, best, d)[1]
    parts = zip(model.structures, model.split(best.theta), d.by_sigma, strict=True)
    null = min(structure.null_slope(part, G) for structure, part, G in parts)
    holds = promise < CERTIFIED and null > -NULL_TOLERANCE
    return Certificate(promise, null if np.isfinite(null) else 0.0, holds)


def ranks(model: ResidualFreeModel, theta: Array) -> tuple[int, ...]:
    """Rank of each Sigma, judged on its correlations: columns have units of their own."""
    return tuple(map(correlation_rank, model.factors(theta)))


def correlation_rank(T: Array) -> int:
    """Rank of T T' with its rows scaled to one."""
    size = np.sqrt((T * T).sum(axis=1))
    unit = T[size > 0.0] / size[size > 0.0, None]
    return int((np.linalg.eigvalsh(unit @ unit.T) > SINGULAR_CORRELATION).sum())


def search_message(certificate: Certificate, evaluations: int, n_starts: int) -> str:
    """How the search ended, in a sentence."""
    from_starts = f"{evaluations} evaluations from {n_starts} starts"
    if certificate.holds:
        return f"converged after {from_starts}; first-order conditions hold"
    return (
        f"found no better point after {from_starts}, yet the first-order conditions do not hold "
        f"(a further step would promise {certificate.stationarity:.1e})"
    )
