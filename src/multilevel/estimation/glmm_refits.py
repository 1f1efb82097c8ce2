"""How does the same generalized mixed model fit many other responses? On all threads, in the compiled "
"core."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from multilevel._typing import Array, Mask
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.glmm import (
    MAX_EVALUATIONS,
    TOLERANCE,
    WorkingGLMM,
    log_likelihood_at,
    working_glmm,
)
from multilevel.estimation.glmm_prior import WeakPrior
from multilevel.estimation.refits import LONG, response_blocks
from multilevel.families.family import Family
from multilevel.kernels.gaussian import StructureCode, TermLayout

LEAST_START = 0.1  # standard deviation from which a search can find its way off the boundary
SINGULAR = (
    1e-5  # smallest over largest singular value of T, or of a scalar term its size, that counts as zero
)


@dataclass(frozen=True, slots=True)
class GLMMFits:
    """Estimates of one model from B responses, a row each; NaN where a response could not be fitted."""

    psi: Array  # (B, k) in working coordinates
    coefficients: Array  # (B, G) of all parts, in the user's units
    loglik: Array  # (B,)
    converged: Mask  # (B,)
    singular: Mask  # (B,)


def fit_many(
    design: GLMMDesign,
    family: Family,
    model: WorkingGLMM,
    psi: Array,
    Y: Array,
    progress: bool | None,
    prior: WeakPrior | None = None,
    nodes: int = 1,
) -> GLMMFits:
    """Fit the columns of Y (n, B), from the optimum `psi` of the fit."""
    n_rows, count = Y.shape
    start = off_the_boundary(model, psi)
    parts = []
    with tqdm(total=count, disable=not (n_rows * count > LONG if progress is None else progress)) as bar:
        for block in response_blocks(n_rows, count):
            if family.response == "ordered":  # whose rows' predictors depend on the response
                found = [
                    one_by_one(design, family, y, start, len(model.rows.constant), prior, nodes)
                    for y in Y[:, block].T
                ]
                parts += found
            else:
                parts.append(in_core(model, Y[:, block], start))
            bar.update(block.stop - block.start)
    return joined(parts)


def in_core(model: WorkingGLMM, Y: Array, start: Array) -> GLMMFits:
    """Fit some responses (n, b) in the core."""
    rows = model.rows
    working = np.asfortranarray(rows.units.response(Y))
    found = model.kernel.refit_many(working, start, tolerance=TOLERANCE, max_evaluations=MAX_EVALUATIONS)
    good = np.isfinite(found.criterion)
    psi = np.where(good[:, None], found.psi, np.nan)
    return GLMMFits(
        psi=psi,
        coefficients=psi[:, model.n_theta :] @ rows.back.T + rows.constant,
        loglik=np.array(
            [log_likelihood_at(model, each, c) for each, c in zip(psi, found.criterion, strict=True)]
        ),
        converged=found.converged & good,
        singular=np.array([is_singular(model, each) for each in psi]) & good,
    )


def one_by_one(
    design: GLMMDesign,
    family: Family,
    y: Array,
    start: Array,
    n_coefficients: int,
    prior: WeakPrior | None,
    nodes: int,
) -> GLMMFits:
    """Fit one response (n,) with a kernel of its own; NaN where it cannot be fitted."""
    other = replace(design, main=replace(design.main, y=y))
    nothing = no_fit(len(start), n_coefficients)
    if len(np.unique(y)) < len(design.categories):  # a threshold between none and some is infinite
        return nothing
    try:
        model = working_glmm(other, family, nodes=nodes, prior=prior)
        found = model.kernel.search(start, tolerance=TOLERANCE, max_evaluations=MAX_EVALUATIONS)
    except ModelError:
        return nothing
    return GLMMFits(
        psi=found.psi[None],
        coefficients=model.rows.coefficients(found.psi[model.n_theta :])[None],
        loglik=np.array([log_likelihood_at(model, found.psi, found.criterion)]),
        converged=np.array([found.converged]),
        singular=np.array([is_singular(model, found.psi)]),
    )


def no_fit(k: int, n_coefficients: int) -> GLMMFits:
    """What stands for a response that cannot be fitted."""
    no = np.zeros(1, dtype=np.bool_)
    return GLMMFits(np.full((1, k), np.nan), np.full((1, n_coefficients), np.nan), np.full(1, np.nan), no, no)


def joined(parts: list[GLMMFits]) -> GLMMFits:
    """The fits of several blocks in one."""

    def column(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    return GLMMFits(*(column(name) for name in GLMMFits.__slots__))  # type: ignore[arg-type]


def off_the_boundary(model: WorkingGLMM, psi: Array) -> Array:
    """Where searches for similar responses begin: the optimum, its variances not nearly zero."""
    start, at = psi.copy(), 0
    for layout, T in zip(model.layouts, model.factors_of(psi), strict=True):
        mine = start[at : at + layout.n_parameters]
        mine[:] = inner_parameters(layout, T, mine)
        at += layout.n_parameters
    return start


def inner_parameters(layout: TermLayout, T: Array, theta: Array) -> Array:
    """Parameters of a term with every variance at least that of LEAST_START."""
    if layout.structure is StructureCode.us:
        values, vectors = np.linalg.eigh(T @ T.T)
        if values[0] >= LEAST_START**2:
            return theta
        inner = np.linalg.cholesky((vectors * np.maximum(values, LEAST_START**2)) @ vectors.T)
        return np.asarray(inner.T[np.triu_indices(len(T))])
    n_sd = 1 if layout.hom else layout.width
    return np.concatenate([np.maximum(np.abs(theta[:n_sd]), LEAST_START), theta[n_sd:]])


def is_singular(model: WorkingGLMM, psi: Array) -> bool:
    """Whether some covariance has lost rank."""
    if not np.isfinite(psi).all():
        return False
    for T in model.factors_of(psi):
        sizes = np.linalg.svd(T, compute_uv=False)
        if sizes[-1] <= SINGULAR * max(1.0, float(sizes[0])):
            return True
    return False
