"""How much do the data say of each covariance of random effects? Expected information at given values.

With V = W^-1 + sum over terms of Z (I x Sigma) Z', all relative to the residual variance, the information of
two directions V_k, V_l of the covariance is 1/2 tr(V^-1 V_k V^-1 V_l). A direction of a term is a symmetric
matrix D, V_k = Z (I x D) Z', so that traces need no more than S = Z'V^-1 Z: levels that share rows, directly
or through others, make a block of S, and blocks of one shape are computed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.working import effective_weights
from multilevel.inference.matrices import spread
from multilevel.kernels.threads import one_blas_thread

Indices = npt.NDArray[np.intp]
LARGEST_BLOCK = 4000  # random effects that hang together, beyond which S is not formed


@dataclass(frozen=True, slots=True)
class Direction:
    """A way in which the covariance of the responses can change: one term's Sigma moves along D."""

    term: int
    D: Array  # (q, q) symmetric


@dataclass(frozen=True, slots=True)
class LevelBlocks:
    """Blocks of random effects that share no row with others, B of one shape."""

    columns: Indices  # (B, m) columns of Z spread over the levels
    n_levels: tuple[int, ...]  # of each term in a block


def covariance_information(
    design: Design, sigmas: Sequence[Array], directions: Sequence[Direction]
) -> Array | None:
    """Information (1 + k, 1 + k) of the scale of V and of k directions, at Sigma (q, q) of each term.

    Sigmas are relative to the residual variance. None where too many random effects hang together.
    """
    blocks = level_blocks(design)
    if max(block.columns.shape[1] for block in blocks) > LARGEST_BLOCK:
        return None
    Z = spread_terms(design)
    weights = effective_weights(design)
    G = (Z.T @ (Z if weights is None else Z.multiply(weights[:, None]))).tocsr()
    k = len(directions)
    total = np.zeros((1 + k, 1 + k))
    total[0, 0] = design.n_obs
    with one_blas_thread(max(block.columns.shape[1] for block in blocks)):
        for block in blocks:
            S = projected(crossproducts(G, block), root_of(design, sigmas, block))
            total += block_traces(design, S, block, directions)
    return 0.5 * total


def projected(G: Array, root: Array) -> Array:
    """Z'V^-1 Z = G - G T (I + T'G T)^-1 T'G of each block: (B, m, m)."""
    GT = G @ root
    inner = np.eye(GT.shape[2]) + root.T @ GT
    return np.asarray(G - GT @ np.linalg.solve(inner, GT.transpose(0, 2, 1)))


def block_traces(design: Design, S: Array, block: LevelBlocks, directions: Sequence[Direction]) -> Array:
    """tr(V^-1 V_k V^-1 V_l) summed over blocks, with the scale V itself first: tr(V^-1 V_k)."""
    places = [term_columns(design, block, d.term) for d in directions]
    k = len(directions)
    out = np.zeros((1 + k, 1 + k))
    for i, (place, d) in enumerate(zip(places, directions, strict=True)):
        own = S[:, place[:, :, None], place[:, None, :]]
        out[0, 1 + i] = out[1 + i, 0] = np.einsum("bjac,ac->", own, d.D)
        for j in range(i + 1):
            between = S[:, place[:, None, :, None], places[j][None, :, None, :]]
            trace = np.einsum("bijac,cd,bijed,ea->", between, directions[j].D, between, d.D, optimize=True)
            out[1 + i, 1 + j] = out[1 + j, 1 + i] = trace
    return out


# ---- blocks ----


def spread_terms(design: Design) -> sparse.csr_array:
    """Z of all terms side by side, spread over their levels: (n, q)."""
    parts = [
        spread(term, design.groupings[term.grouping].codes, design.groupings[term.grouping].n_levels)
        for term in design.terms
    ]
    return sparse.csr_array(sparse.hstack(parts, format="csr"))


def level_blocks(design: Design) -> list[LevelBlocks]:
    """The levels of all terms, sorted into blocks that share no row."""
    groupings = [design.groupings[term.grouping] for term in design.terms]
    offsets = np.cumsum([0, *(grouping.n_levels for grouping in groupings)])
    nodes = np.column_stack(
        [grouping.codes + offset for grouping, offset in zip(groupings, offsets[:-1], strict=True)]
    )
    first, others = np.repeat(nodes[:, :1], nodes.shape[1] - 1, axis=1), nodes[:, 1:]
    ties = (np.ones(others.size), (first.ravel(), others.ravel()))  # levels that share a row
    graph = sparse.coo_array(ties, shape=(int(offsets[-1]), int(offsets[-1])))
    n_blocks, label = connected_components(graph.tocsr(), directed=False)
    counts = np.column_stack([np.bincount(label[a:b], minlength=n_blocks) for a, b in pairwise(offsets)])
    shapes, shape_of = np.unique(counts, axis=0, return_inverse=True)
    return [
        LevelBlocks(
            columns=columns_of_blocks(design, offsets, label, np.flatnonzero(shape_of.ravel() == s)),
            n_levels=tuple(int(count) for count in shape),
        )
        for s, shape in enumerate(shapes)
    ]


def columns_of_blocks(design: Design, offsets: Indices, label: Indices, blocks: Indices) -> Indices:
    """Columns (B, m) of the spread Z that belong to each of the blocks, term by term, level by level."""
    parts, first = [], 0
    position = np.full(int(label.max()) + 1, -1)
    position[blocks] = np.arange(len(blocks))
    for term, (begin, end) in zip(design.terms, pairwise(offsets), strict=True):
        mine = position[label[begin:end]]
        order = np.argsort(mine, kind="stable")
        levels = order[np.count_nonzero(mine < 0) :].reshape(len(blocks), -1)
        columns = first + levels[:, :, None] * term.n_columns + np.arange(term.n_columns)
        parts.append(columns.reshape(len(blocks), -1))
        first += (end - begin) * term.n_columns
    return np.concatenate(parts, axis=1)


def term_columns(design: Design, block: LevelBlocks, term: int) -> Indices:
    """Where the columns of a term stand in a block: (levels, q)."""
    widths = [n * t.n_columns for n, t in zip(block.n_levels, design.terms, strict=True)]
    first, q = sum(widths[:term]), design.terms[term].n_columns
    return first + np.arange(widths[term]).reshape(-1, q)


def root_of(design: Design, sigmas: Sequence[Array], block: LevelBlocks) -> Array:
    """Block-diagonal T (m, m) with T T' the covariance of a block's random effects."""
    m = block.columns.shape[1]
    root = np.zeros((m, m))
    for t, Sigma in enumerate(sigmas):
        for place in term_columns(design, block, t):
            root[np.ix_(place, place)] = semidefinite_root(Sigma)
    return root


def semidefinite_root(Sigma: Array) -> Array:
    """A square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(Sigma)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def crossproducts(G: sparse.csr_array, block: LevelBlocks) -> Array:
    """The blocks of Z'WZ: (B, m, m)."""
    B, m = block.columns.shape
    if m > 50:
        return np.stack([G[columns][:, columns].toarray() for columns in block.columns])
    rows = np.repeat(block.columns, m, axis=1).ravel()
    return np.asarray(G[rows, np.tile(block.columns, (1, m)).ravel()]).reshape(B, m, m)
