"""Products of P with the derivatives of V that are sums over the levels of a grouping factor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.inference.factor_blocks import FactorBlocks, TermDirections, rows_of
from multilevel.inference.information import Products, block_diagonal


def products_within_levels(
    blocks: Sequence[FactorBlocks], terms: Sequence[TermDirections], *, reml: bool
) -> Products:
    """All products of a model with one factor; with several, those that need no two levels together."""
    p, k = blocks[0].fixed.shape[2], sum(len(t.slope) for t in terms)
    slopes = np.array([fixed_product(blocks[t.factor].fixed, A) for t in terms for A in t.slope])
    slopes = slopes.reshape(k, p, p)
    projected = [projected_sum(block, reml) for block in blocks]
    scores = [block.modes.T @ block.modes for block in blocks]
    bends = [np.einsum("ijab,ab->ij", t.curvature, projected[t.factor] - scores[t.factor]) for t in terms]
    one = len(blocks) == 1
    A = np.concatenate([t.slope for t in terms]) if one else np.empty((0, 0, 0))
    return Products(
        trace=np.concatenate([np.einsum("kab,ab->k", t.slope, projected[t.factor]) for t in terms]),
        expected=expected_of_one_factor(blocks[0], A, slopes, reml=reml) if one else np.empty((0, 0)),
        score=np.concatenate([np.einsum("kab,ab->k", t.slope, scores[t.factor]) for t in terms]),
        average=average_of_one_factor(blocks[0], A) if one else np.empty((0, 0)),
        bend=block_diagonal(bends),
        slopes=slopes,
    )


def projected_sum(block: FactorBlocks, reml: bool) -> Array:
    """Sum over the levels of T'Z_l'P Z_l T, or of T'Z_l'W Z_l T by maximum likelihood: (Q, Q)."""
    within = block.explained.sum(axis=0)
    if not reml:
        return np.asarray(within)
    B = block.fixed.transpose(1, 0, 2).reshape(block.fixed.shape[1], -1)
    return np.asarray(within - B @ B.T)


def fixed_product(fixed: Array, A: Array) -> Array:
    """Sum over the levels of B'A B for B (Q, p): (p, p)."""
    return np.asarray(rows_of(fixed).T @ rows_of(A @ fixed))


def expected_of_one_factor(block: FactorBlocks, A: Array, slopes: Array, *, reml: bool) -> Array:
    """tr(P V_i P V_j): with E_l = T'Z_l'W Z_l T and Z_l'P Z_m = E_l [l = m] - B_l B_m'."""
    Q = A.shape[1]
    E = block.explained.reshape(-1, Q * Q)
    moments = E.T @ E
    if reml:
        Y = (block.fixed @ block.fixed.transpose(0, 2, 1)).reshape(-1, Q * Q)
        mixed = E.T @ Y
        moments -= mixed + mixed.T
    own = np.einsum("ibc,jda,abcd->ij", A, A, moments.reshape(Q, Q, Q, Q), optimize=True)
    return np.asarray(own + (np.einsum("ipq,jqp->ij", slopes, slopes) if reml else 0.0))


def average_of_one_factor(block: FactorBlocks, A: Array) -> Array:
    """y'P V_i P V_j P y / sigma^2."""
    Au = block.modes @ A  # (k, J, Q)
    within = np.einsum("ija,jab,ljb->il", Au, block.explained, Au, optimize=True)
    against = np.einsum("ija,jap->ip", Au, block.fixed, optimize=True)
    return np.asarray(within - against @ against.T)
