"""From an optimum to the record of a fitted linear mixed model, in the user's own units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.optimum import Optimum
from multilevel.fitted.lmm import LMMRecord, Modes, TermCovariance, row_lengths
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
        theta, labels = term_theta(term)
        values += theta
        names += [f"{term.group}.{label}" for label in labels]
    return np.array(values), tuple(names)


def term_theta(term: TermCovariance) -> tuple[list[float], list[str]]:
    """Lower triangle column by column; for other structures deviations, then the correlation."""
    q, factor = len(term.names), term.factor.tolist()
    if q == 1:
        return factor[0], [term.names[0]]
    if term.structure == "us":
        pairs = [(r, c) for c in range(q) for r in range(c, q)]
        labels = [term.names[r] if r == c else f"{term.names[r]}.{term.names[c]}" for r, c in pairs]
        return [factor[r][c] for r, c in pairs], labels
    sd = row_lengths(term.factor)
    deviations = ([float(sd[0])], ["sd"]) if term.hom else (list(map(float, sd)), list(term.names))
    if term.structure == "diag":
        return deviations
    return [*deviations[0], float(term.correlation[1, 0])], [*deviations[1], "correlation"]


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
