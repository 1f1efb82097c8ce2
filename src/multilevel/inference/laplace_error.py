"""How far off is Laplace's approximation in this fit? A comparison with quadrature.

The approximation is poor where the data say little of a random effect beside its own distribution: the
density of the effect given the data is then far from normal. At the fit each level's random effects, all
others at their modes, are integrated out by Gauss and Hermite's rule about their mode as well as by Laplace's
approximation. The slopes of the difference of the two logarithms, in the covariance parameters and in a shift
of the linear predictor, are the score that the better approximation would leave; times the covariance of the
estimates they are what one step of a search would change.

Pinheiro, J. C. & Chao, E. C. (2006). Efficient Laplacian and adaptive Gaussian quadrature algorithms for
multilevel generalized linear mixed models. Journal of Computational and Graphical Statistics 15, 58-81.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.polynomial.hermite import hermgauss

from multilevel._typing import Array, Codes
from multilevel.design.columns import INTERCEPT
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.lmm import Modes
from multilevel.fitted.term_theta import covariance_at, split_theta
from multilevel.kernels.density import log_density

MOST_TOGETHER = 2  # random effects of one level that are integrated over at once
NODES = {1: 15, 2: 7}  # in each dimension
STEP = 0.02  # of a linear predictor, for slopes
NEWTON_STEPS, LONGEST_STEP, CLOSE = 15, 3.0, 1e-7
LEAST = 0.05  # curvature of a density that is not concave there
ROWS_IN_ALL = 500_000  # evaluations of the log-density at one point: of more, some levels stand for all
WELL_KNOWN = 0.01  # share of a variance that the data leave open, below which nothing can be amiss
MATTERS = 0.5  # standard errors by which an estimate may be off, and still cover what it should
EXACT = ("gaussian",)  # densities whose random effects are normal given the data, by the identity link


@dataclass(frozen=True, slots=True)
class LaplaceError:
    """What quadrature over the random effects of one grouping factor would change, in standard errors."""

    group: str
    change: float  # largest in absolute value, of a covariance parameter or of the intercept
    responses: float  # of a level, trials counted


@dataclass(frozen=True, slots=True)
class LevelRows:
    """Rows of some levels of one factor: n rows, J levels, q random effects."""

    codes: Codes  # (n,)
    Z: Array  # (n, q) in units of the working linear predictor
    eta: Array  # (K, n) all linear predictors with every random effect at its mode
    b: Array  # (J, q) modes
    y: Array  # (n,)
    trials: Array | None
    power: Array | None


def laplace_errors(design: GLMMDesign, record: GLMMRecord, model: WorkingGLMM) -> list[LaplaceError]:
    """One for each grouping factor of the mean whose covariance is not singular."""
    exact = record.family.density in EXACT and record.family.link.name == "identity"
    if record.nodes != 1 or exact or not record.optimum.converged:
        return []
    eta = model.kernel.linear_predictors(record.optimum.theta)
    found = []
    for modes in record.modes:
        if any(record.terms[t].singular for t in modes.terms):
            continue
        with suppress(np.linalg.LinAlgError):  # a covariance that a small step makes singular
            found.append(factor_error(design, record, model, modes, eta))
    return found


def is_poor(error: LaplaceError) -> bool:
    """Whether the approximation moves some estimate so far that it matters."""
    return error.change > MATTERS


def factor_error(
    design: GLMMDesign, record: GLMMRecord, model: WorkingGLMM, modes: Modes, eta: Array
) -> LaplaceError:
    """The largest change of an estimate, the random effects of one factor being integrated out better."""
    grouping = design.main.groupings[modes.grouping]
    trials = float(design.main.n_rows if design.trials is None else design.trials.sum())
    responses = trials / grouping.n_levels
    if uncertainty(record, modes) < WELL_KNOWN:
        return LaplaceError(grouping.name, 0.0, responses)
    share, rows = some_levels(design, model, modes, eta)
    places, theta = parameters_of(record, modes)
    score = score_difference(record, model, rows, modes, theta) / share
    V = record.joint_vcov[np.ix_(places, places)]
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = np.abs(V @ score[: len(places)]) / np.sqrt(np.diag(V))
    return LaplaceError(grouping.name, float(changes[np.isfinite(changes)].max(initial=0.0)), responses)


def uncertainty(record: GLMMRecord, modes: Modes) -> float:
    """Largest share of a random effect's variance that the data leave open."""
    variance = np.concatenate([np.diag(record.terms[t].covariance) for t in modes.terms])
    return float((np.diagonal(modes.variance, axis1=1, axis2=2).max(axis=0) / variance).max())


def parameters_of(record: GLMMRecord, modes: Modes) -> tuple[list[int], list[Array]]:
    """Places in the joint covariance of the factor's theta and of the intercept, if any; theta by terms."""
    each = split_theta((*record.terms, *record.zi_terms), record.theta)
    ends = np.cumsum([len(own) for own in each]).tolist()
    first = len(record.joint_vcov) - len(record.theta)
    places = [first + k for t in modes.terms for k in range(ends[t] - len(each[t]), ends[t])]
    constant = [record.coef_names.index(INTERCEPT)] if INTERCEPT in record.coef_names else []
    return [*places, *constant], [each[t] for t in modes.terms]


def some_levels(design: GLMMDesign, model: WorkingGLMM, modes: Modes, eta: Array) -> tuple[float, LevelRows]:
    """All levels, or of very many rows every so many levels, and the share that they are."""
    codes, (J, q) = design.main.groupings[modes.grouping].codes, modes.values.shape
    together = min(q, MOST_TOGETHER)
    step = min(max(1, round(len(codes) * NODES[together] ** together / ROWS_IN_ALL)), max(J // 30, 1))
    taken = np.arange(0, J, step)
    new_code = np.full(J, -1, dtype=np.int32)
    new_code[taken] = np.arange(len(taken), dtype=np.int32)
    here = new_code[codes] >= 0
    source = model.rows
    Z = np.hstack([design.main.terms[t].Z for t in modes.terms])[here] * source.units.eta_scale
    return len(taken) / J, LevelRows(
        new_code[codes][here],
        Z,
        eta[:, here],
        modes.values[taken],
        source.y[here],
        None if source.trials is None else source.trials[here],
        None if source.power is None else source.power[here],
    )


def score_difference(
    record: GLMMRecord, model: WorkingGLMM, rows: LevelRows, modes: Modes, theta: list[Array]
) -> Array:
    """Slopes in theta (all terms of the factor) and in a shift of the linear predictor, over all levels."""
    flat, ends = np.concatenate(theta), np.cumsum([len(own) for own in theta])[:-1]

    def error(moved: Array, shift: float) -> float:
        terms = zip(modes.terms, np.split(moved, ends), strict=True)
        T = block_diagonal([cholesky(covariance_at(record.terms[t], own)) for t, own in terms])
        found = sum(block_errors(model, rows, T, shift, block) for block in blocks(len(T)))
        return float(np.sum(np.asarray(found)[np.isfinite(found)]))

    slopes = []
    for k in range(len(flat)):
        step = np.zeros(len(flat))
        step[k] = STEP * max(abs(float(flat[k])), STEP)
        slopes.append((error(flat + step, 0.0) - error(flat - step, 0.0)) / (2.0 * step[k]))
    return np.array([*slopes, (error(flat, STEP) - error(flat, -STEP)) / (2.0 * STEP)])


def cholesky(covariance: Array) -> Array:
    """The lower triangular root."""
    return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)


def block_diagonal(parts: list[Array]) -> Array:
    """Square blocks along a diagonal."""
    size = sum(len(part) for part in parts)
    whole, at = np.zeros((size, size)), 0
    for part in parts:
        whole[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    return whole


def blocks(q: int) -> list[list[int]]:
    """Spherical effects that are integrated over together: all of few, else one by one."""
    return [list(range(q))] if q <= MOST_TOGETHER else [[k] for k in range(q)]


# ---- one block of random effects ----


def block_errors(model: WorkingGLMM, rows: LevelRows, T: Array, shift: float, block: list[int]) -> Array:
    """Log of the integral over u, b = T u, by quadrature less that by Laplace's approximation (J,)."""
    A: Array = (rows.Z @ T)[:, block]
    u: Array = np.asarray(np.linalg.solve(T, rows.b.T).T[:, block], dtype=np.float64)
    J, q = u.shape
    base = rows.eta[0] - (A * u[rows.codes]).sum(axis=1) + shift

    def log_densities(at: Array, order: int) -> Array:
        """Log-densities of the rows and, on request, derivatives in the mean's predictor: (order + 1, n)."""
        eta = rows.eta.copy()
        eta[0] = base + (A * at[rows.codes]).sum(axis=1)
        source = model.rows.density
        return log_density(source, rows.y, rows.trials, rows.power, eta, order=order, active=(0,))

    def heights(at: Array) -> Array:
        return np.asarray(sums(log_densities(at, 0)[0], rows.codes, J) - 0.5 * (at**2).sum(axis=1))

    for _ in range(NEWTON_STEPS):
        gradient, H = slopes(log_densities(u, 2), A, rows.codes, u)
        step = np.linalg.solve(H, gradient[..., None])[..., 0]
        u = np.asarray(u + np.clip(step, -LONGEST_STEP, LONGEST_STEP), dtype=np.float64)
        if np.abs(step).max() < CLOSE:
            break
    _, H = slopes(log_densities(u, 2), A, rows.codes, u)
    root = np.linalg.inv(np.linalg.cholesky(H)).transpose(0, 2, 1)  # root root' = H^-1
    top, total = heights(u), np.zeros(J)
    nodes, weights = hermgauss(NODES[q])
    with np.errstate(all="ignore"):  # levels without a proper integral are left out of the sum
        for place in product(range(len(nodes)), repeat=q):
            z = np.sqrt(2.0) * nodes[list(place)]
            total += np.prod(weights[list(place)]) * np.exp(heights(u + root @ z) - top + 0.5 * z @ z)
        return np.asarray(np.log(total) - 0.5 * q * np.log(np.pi))


def slopes(derivatives: Array, columns: Array, codes: Codes, u: Array) -> tuple[Array, Array]:
    """Gradient (J, q) of the log of the integrand, and minus its Hessian (J, q, q), at least LEAST."""
    J, q = u.shape
    gradient = np.column_stack([sums(derivatives[1] * columns[:, k], codes, J) for k in range(q)]) - u
    H = np.empty((J, q, q))
    for i, j in product(range(q), repeat=2):
        H[:, i, j] = float(i == j) - sums(derivatives[2] * columns[:, i] * columns[:, j], codes, J)
    if q == 1:
        return gradient, np.maximum(H, LEAST)
    values, vectors = np.linalg.eigh(H)
    return gradient, (vectors * np.maximum(values, LEAST)[:, None, :]) @ vectors.transpose(0, 2, 1)


def sums(values: Array, codes: Codes, J: int) -> Array:
    """Sums (J,) over the rows of each level."""
    return np.bincount(codes, values, J).astype(np.float64)
