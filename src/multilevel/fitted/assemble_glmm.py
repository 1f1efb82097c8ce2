"""From an optimum to the record of a fitted generalized mixed model, in the user's own units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.fixed_newton import linear_predictors
from multilevel.estimation.glmm import PlacedTerm, WorkingGLMM, log_likelihood
from multilevel.estimation.glmm_rows import WorkingRows
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.thresholds import threshold_map
from multilevel.families.family import Family
from multilevel.families.moments import RowParameters, response_mean
from multilevel.families.ordinal import Ordinal
from multilevel.fitted.assemble import term_covariance, theta_of_terms
from multilevel.fitted.glmm import GLMMRecord, PartEstimates
from multilevel.fitted.joint_covariance import joint_covariance, theta_slopes
from multilevel.fitted.lmm import Modes, TermCovariance


def assemble_glmm(
    design: GLMMDesign, family: Family, model: WorkingGLMM, optimum: Optimum, *, nodes: int
) -> GLMMRecord:
    """Estimates, covariances, conditional modes and fitted values at the optimum."""
    rows, psi = model.rows, optimum.theta
    gamma = rows.coefficients(psi[model.n_theta :])

    roots = user_roots(model, psi)
    covariances = term_covariances(design, model, roots, optimum.rank)
    terms, zi_terms = by_side(model.terms, covariances, 0), by_side(model.terms, covariances, 1)
    theta, theta_names = theta_of_terms(covariances)
    joint = joint_covariance(model, psi, theta_slopes(model, psi))
    modes = [conditional_modes(design, model, psi, roots, side) for side in range(2)]
    eta, fixed = model.kernel.linear_predictors(psi), linear_predictors(rows, psi[model.n_theta :])
    link_scale, link_scale_fixed = (mean_predictor(rows, gamma, working[0]) for working in (eta, fixed))
    phi = dispersion(design, rows, family, gamma)
    mu = link_scale if family.response == "ordered" else family.link.inverse(link_scale)
    return GLMMRecord(
        family=family,
        nodes=nodes,
        parts=part_estimates(rows, gamma, joint),
        joint_names=joint_names(rows, theta_names),
        joint_vcov=joint,
        theta=theta,
        theta_names=theta_names,
        terms=terms,
        modes=modes[0],
        zi_terms=zi_terms,
        zi_modes=modes[1],
        thresholds=thresholds(rows, family, gamma),
        dispersion=phi,
        shape=shape(rows, family, gamma),
        eta=link_scale,
        eta_fixed=link_scale_fixed,
        eta_zi=None if design.zi is None else eta[-1],
        eta_zi_fixed=None if design.zi is None else fixed[-1],
        mu=mu,
        fitted=response_mean(
            family.density, RowParameters(mu, phi, zeros=None if design.zi is None else expit(eta[-1]))
        ),
        loglik=log_likelihood(model, optimum),
        prior=model.prior is not None,
        n_obs=design.main.n_obs,
        n_parameters=len(gamma) + len(theta),
        optimum=optimum,
    )


def mean_predictor(rows: WorkingRows, gamma: Array, working: Array) -> Array:
    """The mean's linear predictor (n,) in the user's units; thresholds give back what centring moved."""
    eta = rows.units.linear_predictor(working)
    if rows.part("threshold") is None:
        return eta
    mean = rows.parts[0]
    assert mean.fixed is not None
    return np.asarray(eta + mean.fixed.centring.shift @ gamma[mean.places])


# ---- coefficients ----


def part_estimates(rows: WorkingRows, gamma: Array, joint: Array) -> tuple[PartEstimates, ...]:
    """The coefficients of each part with their covariance."""
    return tuple(
        PartEstimates(part.component, part.names, gamma[part.places], joint[part.places, part.places])
        for part in rows.parts
    )


def joint_names(rows: WorkingRows, theta_names: Sequence[str]) -> tuple[str, ...]:
    """Names of all parameters: those of other parts than the mean carry the part's name in front."""
    named = [
        name if part.component == "cond" else f"{part.component}~{name}"
        for part in rows.parts
        for name in part.names
    ]
    return (*named, *theta_names)


def thresholds(rows: WorkingRows, family: Family, gamma: Array) -> Array:
    """The thresholds themselves (C - 1,)."""
    part = rows.part("threshold")
    if part is None or not isinstance(family, Ordinal):
        return np.zeros(0)
    return np.asarray(threshold_map(rows.density.categories, family.thresholds) @ gamma[part.places])


def dispersion(design: GLMMDesign, rows: WorkingRows, family: Family, gamma: Array) -> Array | None:
    """phi of each row (n,) at precision weight 1."""
    part = rows.part("disp")
    if part is None:
        return None
    if not part.names:
        return np.full(len(rows.y), family.given["dispersion"])
    if design.dispersion is None:
        return np.full(len(rows.y), np.exp(gamma[part.first]))
    log_phi = design.dispersion.X @ gamma[part.places]
    return np.exp(log_phi if design.dispersion.offset is None else log_phi + design.dispersion.offset)


def shape(rows: WorkingRows, family: Family, gamma: Array) -> float | None:
    """Tweedie's power, between 1 and 2, or Student's degrees of freedom."""
    part = rows.part("shape")
    if part is None:
        return None
    if not part.names:
        return family.given["shape"]
    value = float(gamma[part.first])
    return 1.0 + float(expit(value)) if family.density == "tweedie" else float(np.exp(value))


# ---- covariances ----


def user_roots(model: WorkingGLMM, psi: Array) -> list[Array]:
    """M T of each term: a square root of its covariance on the user's columns, not triangular."""
    return [
        model.terms[k].working.back @ T / model.theta_scale(k) for k, T in enumerate(model.factors_of(psi))
    ]


def term_covariances(
    design: GLMMDesign, model: WorkingGLMM, roots: Sequence[Array], rank: Sequence[int]
) -> tuple[TermCovariance, ...]:
    """The covariance of every term, of the mean and then of zeros."""
    return tuple(
        term_covariance(design.sides[placed.side], placed.term, root, 1.0, its_rank)
        for placed, root, its_rank in zip(model.terms, roots, rank, strict=True)
    )


def by_side(
    placed: Sequence[PlacedTerm], covariances: Sequence[TermCovariance], side: int
) -> tuple[TermCovariance, ...]:
    """Those of the mean (0) or of the excess of zeros (1)."""
    return tuple(found for where, found in zip(placed, covariances, strict=True) if where.side == side)


# ---- conditional modes ----


def conditional_modes(
    design: GLMMDesign, model: WorkingGLMM, psi: Array, roots: Sequence[Array], side: int
) -> tuple[Modes, ...]:
    """Modes of the random effects of one side and their conditional variances, one record a grouping."""
    if side >= len(design.sides):
        return ()
    values, variances = model.kernel.modes(psi)
    mine = [(k, placed) for k, placed in enumerate(model.terms) if placed.side == side]
    found = []
    for grouping in sorted({placed.term.grouping for _, placed in mine}):
        here = [(k, placed) for k, placed in mine if placed.term.grouping == grouping]
        factor = here[0][1].layout.factor
        columns = np.array([p.layout.first + j for _, p in here for j in range(p.layout.width)])
        root = block_diagonal([roots[k] for k, _ in here])
        u, variance = values[factor][:, columns], variances[factor][:, columns[:, None], columns]
        found.append(
            Modes(
                grouping=grouping,
                terms=tuple(placed.index for _, placed in here),
                values=u @ root.T,
                variance=root @ variance @ root.T,
            )
        )
    return tuple(found)


def block_diagonal(blocks: Sequence[Array]) -> Array:
    """Square blocks along a diagonal; of one block, itself."""
    if len(blocks) == 1:
        return blocks[0]
    size = sum(len(block) for block in blocks)
    whole, at = np.zeros((size, size)), 0
    for block in blocks:
        whole[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return whole
