"""From an optimum to the record of a fitted linear mixed model, in the user's own units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.optimum import Optimum
from multilevel.fitted.lmm import LMMRecord, Modes, TermCovariance, correlations, row_lengths
from multilevel.kernels.gaussian import Solution

NOTHING = 1e-12  # of the length of its row: what rounding leaves of a zero in a triangular factor


def assemble_lmm(design: Design, model: WorkingModel, optimum: Optimum, *, reml: bool) -> LMMRecord:
    """Estimates, covariances, conditional modes and fitted values at the optimum."""
    solution = model.kernel.solution(optimum.theta)
    df = design.n_obs - (design.X.shape[1] if reml else 0)
    sigma = math.sqrt(solution.pwrss / df) / model.response.scale
    factors = model.kernel.term_factors(optimum.theta)
    roots = user_roots(model, factors)
    terms = tuple(
        term_covariance(design, term, root, sigma, rank)
        for term, root, rank in zip(design.terms, roots, optimum.rank, strict=True)
    )
    fitted_fixed, fitted = fitted_values(design, model, solution, factors)
    theta, names = theta_of_terms(terms)
    return LMMRecord(
        coef_names=design.coef_names,
        beta=model.fixed.coefficients(solution.beta, model.response),
        vcov=fixed_covariance(model, solution, sigma),
        sigma=sigma,
        theta=theta,
        theta_names=names,
        terms=terms,
        modes=conditional_modes(design, model, solution, optimum, roots, sigma),
        fitted=fitted,
        fitted_fixed=fitted_fixed,
        reml=reml,
        criterion=user_criterion(model, solution, df, reml),
        pwrss=solution.pwrss / model.response.scale**2,
        n_obs=design.n_obs,
        n_parameters=len(design.coef_names) + len(theta) + 1,
        optimum=optimum,
    )


def user_criterion(model: WorkingModel, solution: Solution, df: float, reml: bool) -> float:
    """The criterion with X, y and the weights in the user's units."""
    pwrss = math.log(solution.pwrss) - 2.0 * math.log(model.response.scale)
    log_det_fixed = solution.log_det_fixed - 2.0 * model.fixed.log_det if reml else 0.0
    residual = df * (1.0 + math.log(2.0 * math.pi / df) + pwrss)
    return float(solution.log_det_random + log_det_fixed + residual - model.log_weights)


def fixed_covariance(model: WorkingModel, solution: Solution, sigma: float) -> Array:
    """sigma^2 (X'V^-1X)^-1: (p, p)."""
    half = np.linalg.solve(solution.fixed_factor, model.fixed.jacobian().T)
    return np.asarray(sigma**2 * (half.T @ half))


# ---- covariances ----


def user_roots(model: WorkingModel, factors: Sequence[Array]) -> list[Array]:
    """M T of each term: a square root of its relative covariance on the user's columns, not triangular."""
    return [working.back @ T for working, T in zip(model.terms, factors, strict=True)]


def lower_triangular(root: Array) -> Array:
    """The lower-triangular T with T T' = root root' and no negative diagonal."""
    if len(root) == 1:
        return np.abs(root)
    if len(root) == 2:
        return two_by_two(root)
    T = np.linalg.qr(root.T)[1].T
    T = T * np.where(np.diag(T) < 0.0, -1.0, 1.0)
    return np.where(np.abs(T) > NOTHING * row_lengths(T)[:, None], T, 0.0)


def two_by_two(root: Array) -> Array:
    """The same for two columns: one rotation, without the cost of a call to LAPACK."""
    (a, b), (c, d) = root.tolist()
    first, second = math.hypot(a, b), math.hypot(c, d)
    if first == 0.0:
        return np.array([[0.0, 0.0], [0.0, second]])
    below, own = (c * a + d * b) / first, abs(a * d - b * c) / first
    return np.array([[first, 0.0], [with_size(below, second), with_size(own, second)]])


def with_size(entry: float, row: float) -> float:
    """Zero in place of what rounding leaves of zero in a row of this length."""
    return entry if abs(entry) > NOTHING * row else 0.0


def term_covariance(design: Design, term: RandomTerm, root: Array, sigma: float, rank: int) -> TermCovariance:
    """A term's covariance as the user reads it."""
    return TermCovariance(
        label=term.label,
        group=design.groupings[term.grouping].name,
        grouping=term.grouping,
        names=term.names,
        structure=term.structure,
        hom=term.hom,
        factor=lower_triangular(root),
        unit=sigma,
        singular=rank < term.n_columns,
    )


def theta_of_terms(terms: tuple[TermCovariance, ...]) -> tuple[Array, tuple[str, ...]]:
    """Covariance parameters relative to sigma, in lme4's order, and their names."""
    values: list[float] = []
    names: list[str] = []
    for term in terms:
        values += theta_of(term.structure, term.hom, term.factor)
        names += [f"{term.group}.{label}" for label in theta_labels(term)]
    return np.array(values), tuple(names)


def theta_of(structure: str, hom: bool, factor: Array) -> list[float]:
    """Lower triangle column by column; for other structures deviations, then the correlation."""
    if len(factor) == 1:
        return [float(factor[0, 0])]
    if structure == "us":
        rows = factor.tolist()
        return [rows[r][c] for r, c in lower_triangle(len(rows))]
    sd = row_lengths(factor).tolist()
    deviations: list[float] = sd[:1] if hom else sd
    return deviations if structure == "diag" else [*deviations, float(correlations(factor)[1, 0])]


def theta_labels(term: TermCovariance) -> list[str]:
    """What each of these is called within its term."""
    names = term.names
    if len(names) == 1:
        return [names[0]]
    if term.structure == "us":
        return [names[r] if r == c else f"{names[r]}.{names[c]}" for r, c in lower_triangle(len(names))]
    deviations = ["sd"] if term.hom else list(names)
    return deviations if term.structure == "diag" else [*deviations, "correlation"]


@lru_cache(maxsize=64)
def lower_triangle(q: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the lower triangle of a (q, q) matrix, column by column."""
    return tuple((r, c) for c in range(q) for r in range(c, q))


# ---- conditional modes and fitted values ----


def factor_root(model: WorkingModel, blocks: Sequence[Array], factor: int) -> Array:
    """Block-diagonal matrix (Q, Q) of the terms' T (or M T) over one kernel factor."""
    mine = [
        (layout, block)
        for layout, block in zip(model.layouts, blocks, strict=True)
        if layout.factor == factor
    ]
    if len(mine) == 1:
        return mine[0][1]
    width = model.kernel.factors[factor].columns.values.shape[1]
    root = np.zeros((width, width))
    for layout, block in mine:
        here = slice(layout.first, layout.first + layout.width)
        root[here, here] = block
    return root


def conditional_modes(
    design: Design,
    model: WorkingModel,
    solution: Solution,
    optimum: Optimum,
    roots: Sequence[Array],
    sigma: float,
) -> tuple[Modes, ...]:
    """BLUPs and their conditional variances given theta, one record a grouping factor."""
    own = model.kernel.inverse_blocks(optimum.theta, hold_fixed=True).own
    modes = {}
    for k, grouping in enumerate(model.groupings):
        root = factor_root(model, roots, k)
        modes[grouping] = Modes(
            grouping=grouping,
            terms=tuple(i for i, term in enumerate(design.terms) if term.grouping == grouping),
            values=solution.u[k] @ root.T / model.response.scale,
            variance=sigma**2 * (root @ own[k] @ root.T),
        )
    return tuple(modes[grouping] for grouping in sorted(modes))


def fitted_values(
    design: Design, model: WorkingModel, solution: Solution, factors: Sequence[Array]
) -> tuple[Array, Array]:
    """Fixed part and whole prediction, formed in working coordinates to keep their digits: (n,) each."""
    b = [u @ factor_root(model, factors, k).T for k, u in enumerate(solution.u)]
    back = [
        part / model.response.scale + model.response.shift
        for part in model.kernel.linear_predictors(solution.beta, b)
    ]
    if design.offset is not None:
        back = [part + design.offset for part in back]
    return back[0], back[1]
