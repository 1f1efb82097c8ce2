"""Products of P with the derivatives of V for thousands of fits of one model at once: (B, ...) arrays.

The model has one grouping factor, and the fits differ in the response and in T. In spherical coordinates,
where S = T S_0 T' with S_0 = I at each estimate, the directions of an unstructured term are all symmetric
matrices A, those of a diagonal one e_a e_a', the same for every fit. With M_l = I + T'Z_l'W Z_l T and
C_l = T'Z_l'W X, the blocks that `level_sums` works with are

    E_l = I - M_l^-1,   B_l = M_l^-1 C_l R^-T,   R R' = X'W X - sum_l C_l' M_l^-1 C_l,   u_l / sigma.

The charts are linear and the gradient vanishes at an optimum inside, so that there is nothing else to add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.working import effective_weights
from multilevel.kernels.gaussian import ScaledColumns, StructureCode, TermLayout

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class LevelSums:
    """Cross-products of one factor's levels, in working units; responses come later."""

    Z: Array  # (n, Q)
    order: Index  # (n,) rows level by level
    starts: Index  # (J,) where each level begins
    weights: Array | None  # (n,)
    ZZ: Array  # (J, Q, Q)
    ZX: Array  # (J, Q, p)
    XX: Array  # (p, p)
    X: Array  # (n, p)

    def against(self, Y: Array) -> tuple[Array, Array]:
        """Z_l'W Y (J, Q, B) and X'W Y (p, B)."""
        WY = Y if self.weights is None else Y * self.weights[:, None]
        return by_level(self, self.Z[:, :, None] * WY[:, None, :]), self.X.T @ WY


@dataclass(frozen=True, slots=True)
class ManyBlocks:
    """What the factorisations of B fits say of the J levels."""

    explained: Array  # (B, J, Q, Q) E
    fixed: Array  # (B, J, Q, p) B
    modes: Array | None  # (B, J, Q) u / sigma; None where no response is known
    root: Array  # (B, p, p) R


@dataclass(frozen=True, slots=True)
class ManyProducts:
    """Products in the k directions; see `information.Products`."""

    trace: Array  # (B, k)
    expected: Array  # (B, k, k)
    without_fixed: Array  # (B, k) tr(W V_i W V_i), what was known before coefficients were estimated
    score: Array | None  # (B, k)
    average: Array | None  # (B, k, k)
    slopes: Array  # (B, k, p, p)


def level_sums(design: Design, model: WorkingModel) -> LevelSums:
    """Sums over the rows of each level, once for all fits."""
    factor, weights = model.kernel.factors[0], effective_weights(design)
    order = np.argsort(factor.codes, kind="stable")
    Z, X = scaled(factor.columns)[order], scaled(model.fixed.columns)[order]
    w = None if weights is None else weights[order]
    ends = np.cumsum(np.bincount(factor.codes, minlength=factor.n_levels))
    starts = np.concatenate([[0], ends[:-1]])
    WX = X if w is None else X * w[:, None]
    WZ = Z if w is None else Z * w[:, None]
    return LevelSums(
        Z,
        order,
        starts,
        w,
        np.add.reduceat(Z[:, :, None] * WZ[:, None, :], starts, axis=0),
        np.add.reduceat(Z[:, :, None] * WX[:, None, :], starts, axis=0),
        X.T @ WX,
        X,
    )


def by_level(sums: LevelSums, rows: Array) -> Array:
    """Sums (J, ...) of rows (n, ...) in the order of the levels."""
    return np.asarray(np.add.reduceat(rows, sums.starts, axis=0))


def scaled(columns: ScaledColumns) -> Array:
    """Columns in working units."""
    return np.asarray((columns.values - columns.shift) * columns.scale)


def many_blocks(sums: LevelSums, T: Array, Y: Array | None, df: float) -> ManyBlocks:
    """Blocks at roots T (B, Q, Q), with working responses Y (n, B) in the order of the levels."""
    J, Q = sums.ZZ.shape[:2]
    Tt = T.transpose(0, 2, 1)[:, None]
    within = Tt @ sums.ZZ @ T[:, None]  # T'Z'W Z T
    inverse = inverses(np.eye(Q) + within)
    C = Tt @ sums.ZX
    half = inverse @ C
    p = sums.XX.shape[0]
    stacked = (len(T), J * Q, p)
    information = sums.XX - C.reshape(stacked).transpose(0, 2, 1) @ half.reshape(stacked)
    root = np.linalg.cholesky(information)
    back = np.linalg.inv(root).transpose(0, 2, 1)
    modes = None if Y is None else many_modes(sums, Tt, inverse, half, information, Y, df)
    return ManyBlocks(np.eye(Q) - inverse, half @ back[:, None], modes, root)


def many_modes(
    sums: LevelSums, Tt: Array, inverse: Array, half: Array, information: Array, Y: Array, df: float
) -> Array:
    """u / sigma (B, J, Q), sigma^2 = y'P y / df."""
    ZY, XY = sums.against(Y)
    D = (Tt @ ZY.transpose(2, 0, 1)[..., None])[..., 0]  # (B, J, Q)
    solved = (inverse @ D[..., None])[..., 0]
    right = XY.T - np.einsum("bjqp,bjq->bp", half, D)
    beta = np.linalg.solve(information, right[..., None])[..., 0]
    u = solved - (half @ beta[:, None, :, None])[..., 0]
    WY = Y if sums.weights is None else Y * sums.weights[:, None]
    pwrss = np.einsum("nb,nb->b", Y, WY) - np.einsum("bjq,bjq->b", D, solved) - (right * beta).sum(axis=1)
    return np.asarray(u / np.sqrt(pwrss / df)[:, None, None])


def many_products(blocks: ManyBlocks, A: Array, *, reml: bool) -> ManyProducts:
    """The products in directions A (k, Q, Q), as `level_sums` has them of one fit."""
    E, F = blocks.explained, blocks.fixed
    B, J, Q, p = F.shape
    AF = np.einsum("kqr,bjrp->bkjqp", A, F)
    flat = (B, len(A), J * Q, p)
    slopes = F.reshape(B, 1, J * Q, p).transpose(0, 1, 3, 2) @ AF.reshape(flat)
    FF = F @ F.transpose(0, 1, 3, 2)  # (B, J, Q, Q)
    within = E.sum(axis=1) - (FF.sum(axis=1) if reml else 0.0)
    vec = E.reshape(B, J, Q * Q)
    moments = vec.transpose(0, 2, 1) @ vec
    without_fixed = np.einsum("kbc,kda,nabcd->nk", A, A, moments.reshape(B, Q, Q, Q, Q), optimize=True)
    if reml:
        mixed = vec.transpose(0, 2, 1) @ FF.reshape(B, J, Q * Q)
        moments = moments - mixed - mixed.transpose(0, 2, 1)
    expected = np.einsum("ibc,jda,nabcd->nij", A, A, moments.reshape(B, Q, Q, Q, Q), optimize=True)
    if reml:
        expected = expected + np.einsum("bipq,bjqp->bij", slopes, slopes)
    score, average = scores_and_average(blocks, A)
    trace = np.einsum("kqr,bqr->bk", A, within)
    return ManyProducts(trace, expected, without_fixed, score, average, slopes)


def adjustments(blocks: ManyBlocks, A: Array, slopes: Array, covariance: Array) -> Array:
    """Sum over i, j of covariance_ij X'W V_i P V_j W X (B, p, p), with covariance (B, k, k)."""
    B, J, Q, p = blocks.fixed.shape
    AF = np.einsum("kqr,bjrp->bkjqp", A, blocks.fixed)
    EAF = np.einsum("bjqr,bkjrp->bkjqp", blocks.explained, AF)
    left, right = (each.reshape(B, len(A), J * Q, p) for each in (AF, EAF))
    weighted = np.einsum("bij,bjnp->binp", covariance, right)
    inner = np.einsum("binp,binq->bpq", left, weighted, optimize=True)
    return np.asarray(inner - np.einsum("bij,bipr,bjrq->bpq", covariance, slopes, slopes, optimize=True))


def scores_and_average(blocks: ManyBlocks, A: Array) -> tuple[Array | None, Array | None]:
    """y'P V_i P y / sigma^2 (B, k) and y'P V_i P V_j P y / sigma^2 (B, k, k), where there is a response."""
    if blocks.modes is None:
        return None, None
    Au = np.einsum("kqr,bjr->bkjq", A, blocks.modes)
    score = np.einsum("bjq,bkjq->bk", blocks.modes, Au)
    EAu = np.einsum("bjqr,bkjr->bkjq", blocks.explained, Au)
    against = np.einsum("bkjq,bjqp->bkp", Au, blocks.fixed)
    average = np.einsum("bijq,bkjq->bik", Au, EAu) - against @ against.transpose(0, 2, 1)
    return score, average


def inverses(M: Array) -> Array:
    """Inverses of small positive definite matrices (..., Q, Q)."""
    return np.asarray(1.0 / M if M.shape[-1] == 1 else np.linalg.inv(M))


def directions(layouts: Sequence[TermLayout], width: int) -> Array | None:
    """A (k, Q, Q) of every direction on the columns of the factor; None where a structure has no such."""
    if any(layout.structure not in (StructureCode.us, StructureCode.diag) for layout in layouts):
        return None
    found = []
    for layout in layouts:
        here = slice(layout.first, layout.first + layout.width)
        for own in term_directions(layout):
            A = np.zeros((width, width))
            A[here, here] = own
            found.append(A)
    return np.array(found)


def term_directions(layout: TermLayout) -> list[Array]:
    """Symmetric directions (q, q) of one unstructured or diagonal term."""
    q = layout.width
    units = np.eye(q)
    if layout.structure is StructureCode.diag:
        return [units] if layout.hom else [np.outer(unit, unit) for unit in units]
    pairs = [(a, b) for b in range(q) for a in range(b + 1)]
    return [0.5 * (np.outer(units[a], units[b]) + np.outer(units[b], units[a])) for a, b in pairs]
