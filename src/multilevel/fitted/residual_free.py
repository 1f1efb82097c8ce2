"""A linear mixed model without a residual: from design to record, in the user's own units.

With residual="none" the random effects hold all the variation, as in `y ~ time + ar1(0 + time | group)`. The
record is that of any mixed model, with sigma = 0. Factors and theta, which are otherwise relative to sigma,
are then on the scale of the response.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import block_diag

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.residual_free import Point, ResidualFreeModel, residual_free_model, solve_full_rank
from multilevel.estimation.residual_free_search import minimise_without_residual
from multilevel.fitted.assemble import term_covariance, theta_of_terms
from multilevel.fitted.lmm import LMMRecord, Modes, TermCovariance

ROUNDING = 1e-10  # part of a prior variance that rounding leaves where the data determine an effect


def fit_without_residual(design: Design, *, reml: bool) -> LMMRecord:
    """Fit a mixed model whose random effects hold all the variation of the response.

    `theta` holds standard deviations and factors on the scale of the response, not relative to sigma, which
    is zero; `pwrss` is the generalised sum of squares r'V^-1 r, which has no unit.
    """
    model = residual_free_model(design)
    optimum = minimise_without_residual(design, model, reml=reml)
    return assemble_without_residual(design, model, optimum, reml=reml)


def assemble_without_residual(
    design: Design, model: ResidualFreeModel, optimum: Optimum, *, reml: bool
) -> LMMRecord:
    """Estimates, covariances, conditional modes and fitted values at the optimum."""
    at = solve_full_rank(model, optimum.theta, reml=reml)
    terms = term_covariances(design, model, optimum)
    theta, names = theta_of_terms(terms)
    modes = conditional_modes(design, model, at)
    fitted_fixed = fixed_part(design, model, at)
    return LMMRecord(
        coef_names=design.coef_names,
        beta=model.fixed.coefficients(at.beta, model.response),
        vcov=fixed_covariance(model, at),
        sigma=0.0,
        theta=theta,
        theta_names=names,
        terms=terms,
        modes=modes,
        fitted=fitted_fixed + random_part(design, modes),
        fitted_fixed=fitted_fixed,
        reml=reml,
        criterion=user_criterion(model, at, reml=reml),
        pwrss=at.quadratic,
        n_obs=design.n_obs,
        n_parameters=len(design.coef_names) + len(theta),
        optimum=optimum,
    )


def user_criterion(model: ResidualFreeModel, at: Point, *, reml: bool) -> float:
    """The criterion with X and y in the user's units."""
    df = model.n - (model.p if reml else 0)
    log_det = 2.0 * model.fixed.log_det if reml else 0.0
    return at.criterion - 2.0 * df * float(np.log(model.response.scale)) - log_det


def fixed_covariance(model: ResidualFreeModel, at: Point) -> Array:
    """(X'V^-1 X)^-1: (p, p)."""
    jacobian = model.fixed.jacobian() / model.response.scale
    half = np.linalg.solve(np.linalg.cholesky(at.information), jacobian.T)
    return np.asarray(half.T @ half)


def fixed_part(design: Design, model: ResidualFreeModel, at: Point) -> Array:
    """X beta + offset, formed in working coordinates to keep its digits: (n,)."""
    fixed = model.fixed.columns.values @ at.beta / model.response.scale + model.response.shift
    return np.asarray(fixed if design.offset is None else fixed + design.offset)


def random_part(design: Design, modes: tuple[Modes, ...]) -> Array:
    """Z b: (n,)."""
    total = np.zeros(design.n_rows)
    for mode in modes:
        Z = np.hstack([design.terms[i].Z for i in mode.terms])
        total += (Z * mode.values[design.groupings[mode.grouping].codes]).sum(axis=1)
    return total


# ---- covariances ----


def term_covariances(
    design: Design, model: ResidualFreeModel, optimum: Optimum
) -> tuple[TermCovariance, ...]:
    """Each term's covariance on the scale of the response."""
    roots = user_roots(model, optimum.theta)
    terms = zip(design.terms, roots, optimum.rank, strict=True)
    return tuple(term_covariance(design, term, root, 1.0, rank) for term, root, rank in terms)


def user_roots(model: ResidualFreeModel, theta: Array) -> list[Array]:
    """A square root of each term's covariance on the user's columns: (q, q), not triangular."""
    parts = zip(model.terms, model.structures, model.split(theta), strict=True)
    return [working.back @ s.factor(part) / model.response.scale for working, s, part in parts]


# ---- conditional modes ----


def conditional_modes(design: Design, model: ResidualFreeModel, at: Point) -> tuple[Modes, ...]:
    """BLUPs Sigma Z'V^-1 (y - X beta) and their variances given theta, one record a grouping factor."""
    used = sorted({term.grouping for term in design.terms})
    return tuple(modes_of_factor(design, model, at, grouping) for grouping in used)


def modes_of_factor(design: Design, model: ResidualFreeModel, at: Point, grouping: int) -> Modes:
    """The modes of all terms on one grouping factor, in units of the response."""
    terms = tuple(i for i, term in enumerate(design.terms) if term.grouping == grouping)
    working, user = model.factors(at.theta), user_roots(model, at.theta)
    T, root = block_diag(*(working[i] for i in terms)), block_diag(*(user[i] for i in terms))
    score, information = level_sums(model, at, terms)
    return Modes(
        grouping=grouping,
        terms=terms,
        values=score @ T @ root.T,
        variance=root @ unexplained(T.T @ information @ T) @ root.T,
    )


def level_sums(model: ResidualFreeModel, at: Point, terms: tuple[int, ...]) -> tuple[Array, Array]:
    """Z_j' alpha (J, Q) and Z_j'V^-1 Z_j (J, Q, Q) over the rows of each level j of the terms' factor."""
    J, Q = model.n_levels[terms[0]], sum(model.structures[i].size for i in terms)
    score, information = np.zeros((J, Q)), np.zeros((J, Q, Q))
    for block, W, alpha in zip(model.blocks, at.W, at.alpha, strict=True):
        Z = np.concatenate([block.Z[i] for i in terms], axis=2)
        code = block.codes[terms[0]]
        within = (W * block.same[terms[0]]) @ Z
        np.add.at(score, code, Z * alpha)
        np.add.at(information, code, Z[:, :, :, None] * within[:, :, None, :])
    return score, information


def unexplained(explained: Array) -> Array:
    """I - T'Z_j'V^-1 Z_j T (J, Q, Q): what the data leave open of each level's effects, never negative."""
    values, vectors = np.linalg.eigh(np.eye(explained.shape[1]) - explained)
    root = vectors * np.sqrt(np.where(values < ROUNDING, 0.0, values))[:, None, :]
    return np.asarray(root @ root.transpose(0, 2, 1))
