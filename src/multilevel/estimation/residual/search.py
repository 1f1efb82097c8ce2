"""Where is the optimum in the residual parameters? From several starts, with the exact gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.estimation.optimum import Certificate, Optimum
from multilevel.estimation.quasi_newton import Minimum, Value, minimise
from multilevel.estimation.residual.problem import GLSPoint, GLSProblem, slopes, solve
from multilevel.kernels.threads import one_blas_thread

TOLERANCE = 1e-9  # decrease of the criterion that one more step may promise
CERTIFIED = 1e-6  # the same, for the certificate: estimates move by less than 1e-3 of their error
NULL_TOLERANCE = 1e-4  # slope along a constant that is zero that may remain
ROUNDING = 1e-9  # increase of the criterion that is within its own rounding
VANISHED = 14.0  # logarithm of a usual standard deviation over the smallest, on its way to zero
SINGULAR = 1e-6  # part of a row's variance that a search leaves open on its way to none
DESCENTS = 5  # how many of the starts are followed to their end,
FEW_DESCENTS = 2  # and how many where there are
MANY_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Search:
    """The optimum and the model solved there."""

    optimum: Optimum
    point: GLSPoint


def search(problem: GLSProblem, starts: list[Array]) -> Search:
    """Follow the best starts; the best end, with its certificate."""
    with one_blas_thread(len(problem.rows)):
        minima = [found for start in best_starts(problem, starts) if (found := descend(problem, start))]
        if not minima:
            raise ModelError(
                "no covariance of the residuals could be found to begin from; simplify residual=, or check "
                "the covariates of its variance for extreme values."
            )
        best = min(minima, key=lambda found: found.value)
        evaluations = len(starts) + sum(found.evaluations for found in minima)
        return finished(problem, best, evaluations)


def best_starts(problem: GLSProblem, starts: list[Array]) -> list[Array]:
    """The starts with the lowest criterion."""
    most = descents(len(problem.rows))
    if len(starts) <= most:
        return starts
    points = [(at.criterion, k) for k, phi in enumerate(starts) if (at := solve(problem, phi)) is not None]
    return [starts[k] for _, k in sorted(points)[:most]]


def descents(n_rows: int) -> int:
    """How many starts to follow: modes that moments do not tell apart are those of few rows."""
    return FEW_DESCENTS if n_rows > MANY_ROWS else DESCENTS


def descend(problem: GLSProblem, start: Array) -> Minimum | None:
    """BFGS from one start."""

    def value(phi: Array) -> Value | None:
        at = solve(problem, phi)
        return None if at is None else (at.criterion, slopes(problem, at).gradient)

    return minimise(value, start, curvature=0.5 * problem.df, tolerance=TOLERANCE)


def finished(problem: GLSProblem, found: Minimum, evaluations: int) -> Search:
    """The end of a search, constants that are as good as zero put there."""
    model = problem.model
    point = solve(problem, found.x)
    assert point is not None
    scale = model.scale.boundary(found.x[: model.n_scale])
    snapped = np.concatenate([scale, found.x[model.n_scale :]])
    if not np.array_equal(snapped, found.x):
        there = solve(problem, snapped)
        if there is not None and there.criterion <= point.criterion + ROUNDING:
            point = there
    certificate = certify(problem, point, found)
    if not certificate.holds:
        refuse_unbounded(point.whitening.least_pivot, point.log_sd)
    optimum = Optimum(
        theta=point.phi,
        criterion=point.criterion,
        evaluations=evaluations,
        iterations=found.iterations,
        converged=certificate.holds,
        message=message(certificate, evaluations),
        certificate=certificate,
        rank=(),
    )
    return Search(optimum, point)


def certify(problem: GLSProblem, at: GLSPoint, found: Minimum) -> Certificate:
    """First-order conditions: what one more step would promise, and constants held at zero."""
    here, model = slopes(problem, at), problem.model
    promise = 0.5 * float(here.gradient @ found.inverse @ here.gradient)
    null = model.scale.null_slope(at.phi[: model.n_scale], here.by_log_sd)
    holds = promise < CERTIFIED and null > -NULL_TOLERANCE
    return Certificate(promise, null if np.isfinite(null) else 0.0, holds)


def refuse_unbounded(least_pivot: float, log_sd: Array) -> None:
    """Some residuals, or a combination of them, have lost their variance: there is no maximum."""
    if np.median(log_sd) - log_sd.min() > VANISHED:
        raise ModelError(
            "the likelihood grows without bound as the variance of some rows goes to zero: the model fits "
            "them exactly. Look at the rows where the covariate of the variance is smallest (or zero), leave "
            "them out, or use another variance function."
        )
    if least_pivot >= SINGULAR:
        return
    raise ModelError(
        "the likelihood grows without bound as some combination of the residuals of a group loses its "
        "variance: there are too few groups for so many correlations, or rows repeat each other. Use a "
        "structure with fewer parameters, such as 'ar1' or 'exchangeable'."
    )


def message(certificate: Certificate, evaluations: int) -> str:
    """How the search ended, in a sentence."""
    if certificate.holds:
        return f"converged after {evaluations} evaluations; first-order conditions hold"
    return (
        f"found no better point after {evaluations} evaluations, yet the first-order conditions do not hold "
        f"(a further step would promise {certificate.stationarity:.1e})"
    )
