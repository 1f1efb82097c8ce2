"""What is the likelihood of a mixed model whose random effects hold all the variation, without a residual?

    y ~ N(X beta, V),   V = sum over terms of Z (I x Sigma) Z',

so V is known from the terms alone and must have full rank. Rows that share no level are independent: V is
block-diagonal, and each block is factorised densely, blocks of one size together. With W = V^-1,
P = W - W X (X'WX)^-1 X'W and alpha = P y, the criterion and its slope in a term's Sigma are

    ML    n log 2 pi + log|V| + y'P y                            G = Z'(same level * (W - alpha alpha')) Z
    REML  (n - p) log 2 pi + log|V| + log|X'WX| + y'P y          G = Z'(same level * (P - alpha alpha')) Z

and the average information is y'P V_k P V_l P y
(Gilmour, Thompson and Cullis 1995, Biometrics 51, 1440-1450).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes, Mask
from multilevel.covariance.by_name import structure_by_name
from multilevel.covariance.structure import Structure, covariance_slopes
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.residual_free_checks import refuse_weights, require_dense_memory
from multilevel.estimation.row_blocks import Rows, row_blocks
from multilevel.estimation.working import (
    WorkingFixed,
    WorkingResponse,
    WorkingTerm,
    orthonormal_fixed,
    scaled_fixed,
    working_response,
    working_term,
)

LEAST_PIVOT = 1e-12  # squared diagonal of V's Cholesky factor over V's, below which V has lost its rank


@dataclass(frozen=True, slots=True)
class Blocks:
    """B independent blocks of m rows each, in working coordinates."""

    rows: Rows  # (B, m) rows of the design
    X: Array  # (B, m, p)
    y: Array  # (B, m, 1)
    Z: tuple[Array, ...]  # per term: (B, m, q)
    codes: tuple[Codes, ...]  # per term: (B, m)
    same: tuple[Mask, ...]  # per term: (B, m, m) whether two rows share a level


@dataclass(frozen=True, slots=True)
class ResidualFreeModel:
    """A design in working coordinates, cut into independent blocks."""

    blocks: tuple[Blocks, ...]
    structures: tuple[Structure, ...]  # per term
    n_levels: tuple[int, ...]  # per term
    fixed: WorkingFixed
    response: WorkingResponse
    terms: tuple[WorkingTerm, ...]
    n: int
    p: int

    def split(self, theta: Array) -> list[Array]:
        """Theta term by term."""
        ends = np.cumsum([s.n_parameters for s in self.structures])
        return np.split(theta, ends[:-1])

    def factors(self, theta: Array) -> list[Array]:
        """T of each term: (q, q), in working coordinates."""
        return [s.factor(part) for s, part in zip(self.structures, self.split(theta), strict=True)]


@dataclass(frozen=True, slots=True)
class Point:
    """The model solved at one theta; per block size where it says so."""

    theta: Array  # (k,)
    criterion: float
    beta: Array  # (p,)
    information: Array  # (p, p) X'WX
    quadratic: float  # y'P y
    log_det: float  # log|V|
    W: tuple[Array, ...]  # per size: (B, m, m)
    WX: tuple[Array, ...]  # per size: (B, m, p)
    alpha: tuple[Array, ...]  # per size: (B, m, 1)
    least_pivot: float  # over rows: what part of a row's variance the rows before it leave open


def residual_free_model(design: Design) -> ResidualFreeModel:
    """Scale a design's columns and cut its rows into independent blocks."""
    refuse_weights(design)
    codes = [design.groupings[term.grouping].codes for term in design.terms]
    stacks = row_blocks(codes)
    require_dense_memory(stacks, len(design.terms))
    fixed = orthonormal_fixed(design.X, scaled_fixed(design.X, None), None)
    y = design.y if design.offset is None else design.y - design.offset
    response = working_response(y, None, fixed.centring.one is not None)
    terms = tuple(working_term(term, None) for term in design.terms)
    y_w = (y - response.shift) * response.scale
    Z_w = [(term.Z - w.shift) * w.scale for term, w in zip(design.terms, terms, strict=True)]
    return ResidualFreeModel(
        blocks=tuple(cut_block(rows, fixed.columns.values, y_w, Z_w, codes) for rows in stacks),
        structures=tuple(structure_by_name(t.structure, t.n_columns, t.hom) for t in design.terms),
        n_levels=tuple(design.groupings[t.grouping].n_levels for t in design.terms),
        fixed=fixed,
        response=response,
        terms=terms,
        n=design.n_rows,
        p=design.X.shape[1],
    )


def cut_block(rows: Rows, X: Array, y: Array, Z: Sequence[Array], codes: Sequence[Codes]) -> Blocks:
    """The rows of one stack of blocks."""
    mine = [c[rows] for c in codes]
    same = tuple(c[:, :, None] == c[:, None, :] for c in mine)
    return Blocks(rows, X[rows], y[rows][:, :, None], tuple(z[rows] for z in Z), tuple(mine), same)


# ---- the criterion ----


def marginal_covariance(block: Blocks, sigmas: Sequence[Array]) -> Array:
    """V of each block: (B, m, m)."""
    return np.asarray(
        sum(
            same * (Z @ Sigma @ Z.transpose(0, 2, 1))
            for Z, same, Sigma in zip(block.Z, block.same, sigmas, strict=True)
        )
    )


def solve(model: ResidualFreeModel, theta: Array, *, reml: bool) -> Point | None:
    """Generalised least squares and the criterion at theta; None where V is not positive definite."""
    try:
        sigmas = [T @ T.T for T in model.factors(theta)]
        V = [marginal_covariance(block, sigmas) for block in model.blocks]
        lower = [np.asarray(np.linalg.cholesky(v)) for v in V]
    except np.linalg.LinAlgError:
        return None
    pivot = [diagonal(L) for L in lower]
    least = min(float((d * d / diagonal(v)).min()) for d, v in zip(pivot, V, strict=True))
    if not least > LEAST_PIVOT:
        return None
    half = [np.linalg.inv(L) for L in lower]
    return point(model, theta, [h.transpose(0, 2, 1) @ h for h in half], pivot, least, reml=reml)


def solve_full_rank(model: ResidualFreeModel, theta: Array, *, reml: bool) -> Point:
    """The model at a theta where V must have full rank."""
    at = solve(model, theta, reml=reml)
    if at is None:
        raise ModelError(
            "residual='none': the random effects barely tell some rows apart, and the covariance of the "
            "responses loses its rank. Rescale their columns, use fewer terms, or keep the residual."
        )
    return at


def point(
    model: ResidualFreeModel,
    theta: Array,
    W: Sequence[Array],
    pivot: Sequence[Array],
    least: float,
    *,
    reml: bool,
) -> Point:
    """Estimates and criterion from V^-1."""
    WX = [w @ block.X for w, block in zip(W, model.blocks, strict=True)]
    information = np.zeros((model.p, model.p))
    right = np.zeros(model.p)
    for block, wx in zip(model.blocks, WX, strict=True):
        information += np.einsum("bmi,bmj->ij", block.X, wx)
        right += np.einsum("bmi,bmj->i", wx, block.y)
    beta = np.asarray(np.linalg.solve(information, right))
    residual = [block.y - (block.X @ beta)[:, :, None] for block in model.blocks]
    alpha = [w @ e for w, e in zip(W, residual, strict=True)]
    quadratic = float(sum((e * a).sum() for e, a in zip(residual, alpha, strict=True)))
    log_det = float(sum(2.0 * np.log(d).sum() for d in pivot))
    df = model.n - (model.p if reml else 0)
    log_det_fixed = float(np.linalg.slogdet(information)[1]) if reml else 0.0
    return Point(
        theta=theta,
        criterion=df * float(np.log(2.0 * np.pi)) + log_det + log_det_fixed + quadratic,
        beta=beta,
        information=information,
        quadratic=quadratic,
        log_det=log_det,
        W=tuple(W),
        WX=tuple(WX),
        alpha=tuple(alpha),
        least_pivot=least,
    )


def diagonal(stack: Array) -> Array:
    """Diagonals of a stack of matrices: (B, m)."""
    return np.asarray(np.diagonal(stack, axis1=1, axis2=2))


# ---- its derivatives ----


@dataclass(frozen=True, slots=True)
class Slopes:
    """Derivatives of the criterion at one theta."""

    gradient: Array  # (k,)
    information: Array  # (k, k) average information
    by_sigma: tuple[Array, ...]  # per term: G = d criterion / d Sigma, (q, q)


def slopes(model: ResidualFreeModel, at: Point, *, reml: bool) -> Slopes:
    """Gradient and average information in theta, and the slope in each Sigma."""
    by_sigma = sigma_slopes(model, at, reml=reml)
    parts = zip(model.structures, model.split(at.theta), strict=True)
    changes = [covariance_slopes(structure, part) for structure, part in parts]
    gradient = [np.einsum("kij,ij->k", change, G) for change, G in zip(changes, by_sigma, strict=True)]
    return Slopes(np.concatenate(gradient), average_information(model, at, changes), by_sigma)


def sigma_slopes(model: ResidualFreeModel, at: Point, *, reml: bool) -> tuple[Array, ...]:
    """d criterion / d Sigma of each term."""
    total = [np.zeros((s.size, s.size)) for s in model.structures]
    vcov = np.linalg.inv(at.information)
    for block, W, WX, alpha in zip(model.blocks, at.W, at.WX, at.alpha, strict=True):
        M = W - alpha @ alpha.transpose(0, 2, 1)
        if reml:
            M -= WX @ vcov @ WX.transpose(0, 2, 1)
        for k, (Z, same) in enumerate(zip(block.Z, block.same, strict=True)):
            total[k] += np.einsum("bmi,bmj->ij", Z, (same * M) @ Z)
    return tuple(total)


def average_information(model: ResidualFreeModel, at: Point, changes: Sequence[Array]) -> Array:
    """alpha' V_k P V_l alpha for every pair of parameters; `changes` (k, q, q) are d Sigma, per term."""
    k = sum(len(change) for change in changes)
    whole, fixed = np.zeros((k, k)), np.zeros((model.p, k))
    for block, W, WX, alpha in zip(model.blocks, at.W, at.WX, at.alpha, strict=True):
        V_alpha = covariance_changes(block, alpha, changes)
        whole += np.einsum("bmk,bml->kl", V_alpha, W @ V_alpha)
        fixed += np.einsum("bmi,bmk->ik", WX, V_alpha)
    return np.asarray(whole - fixed.T @ np.linalg.solve(at.information, fixed))


def covariance_changes(block: Blocks, alpha: Array, changes: Sequence[Array]) -> Array:
    """V_k alpha for every parameter: (B, m, k)."""
    by_term = [
        np.einsum("bmi,kij,bmj->bmk", Z, change, same @ (Z * alpha))
        for Z, same, change in zip(block.Z, block.same, changes, strict=True)
    ]
    return np.concatenate(by_term, axis=2)
