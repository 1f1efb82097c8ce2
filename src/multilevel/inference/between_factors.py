"""tr(P V_i P V_j) where grouping factors meet: the one product that needs every pair of levels.

With K = Lambda'Z'P Z Lambda it is the sum of tr(K_lm A_j K_ml A_i) over the levels l, m of two factors.

- With up to some hundred random effects K is formed as a whole, and the sum is exact.
- With more, it is exact between factors in the dense remainder of the factorisation (kernels/gaussian). The
  factor with most levels is not there, nor are factors that lie within others. For their directions
  tr(P V_i P V_j) = -d tr(P V_i) / dt_j is a central difference of tr(P V_i), which is itself exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag

from multilevel._typing import Array
from multilevel.estimation.lmm import WorkingModel
from multilevel.fitted.assemble import factor_root
from multilevel.inference.directions import Chart
from multilevel.inference.factor_blocks import FactorBlocks

FEW = 600  # random effects that are taken all together
LARGEST_TAIL = 5000  # columns of a dense remainder whose inverse is copied: 200 MB
STEP = 2e-4  # of the differences, relative to the estimates: truncation and rounding are about 1e-8

Columns = Mapping[int, npt.NDArray[np.intp]]  # factor -> (J, Q) columns of the remainder
Direction = tuple[int, Array]  # factor, A (Q, Q)


def expected_of_factors(
    model: WorkingModel,
    charts: Sequence[Chart],
    blocks: Sequence[FactorBlocks],
    directions: Sequence[Direction],
    known: KnownPairs,
    *,
    reml: bool,
) -> Array:
    """tr(P V_i P V_j), or with W for P by maximum likelihood: (k, k)."""
    columns = known.columns
    inside = np.array([factor in columns for factor, _ in directions], dtype=bool)
    expected = np.empty((len(directions), len(directions)))
    for j in np.flatnonzero(~inside).tolist():
        expected[:, j] = expected_by_differences(model, charts, blocks, directions, j, reml=reml)
        expected[j, inside] = expected[inside, j]
    if inside.any():
        exact = np.flatnonzero(inside).tolist()
        projected = projected_pairs(known, blocks, reml=reml)
        expected[np.ix_(exact, exact)] = expected_inside(projected, columns, [directions[i] for i in exact])
    return np.asarray(0.5 * (expected + expected.T))


# ---- exact, where the inverse between levels is known ----


@dataclass(frozen=True, slots=True)
class KnownPairs:
    """The inverse S of the augmented matrix between all levels of some factors."""

    inverse: Array  # (m, m)
    columns: Columns


def known_pairs(
    model: WorkingModel, theta: Array, blocks: Sequence[FactorBlocks], tail: Array | None
) -> KnownPairs:
    """All of S if it is small, else `tail`, what the dense remainder has of it, if that was asked for."""
    sizes = [(f.n_levels, f.columns.values.shape[1]) for f in model.kernel.factors]
    ends = np.cumsum([0, *(J * Q for J, Q in sizes)])
    if ends[-1] <= FEW:
        b = np.zeros((ends[-1] + model.kernel.n_fixed, ends[-1]))
        b[: ends[-1]] = block_diag(
            *(np.kron(np.eye(J), k.turn) for (J, _), k in zip(sizes, blocks, strict=True))
        )
        half = model.kernel.forward_solve(theta, b)
        places = [
            np.arange(first, first + J * Q).reshape(J, Q) for first, (J, Q) in zip(ends, sizes, strict=False)
        ]
        return KnownPairs(half.T @ half, dict(enumerate(places)))
    if tail is None:
        return KnownPairs(np.empty((0, 0)), {})
    columns = remainder_columns(model)
    for factor, where in columns.items():
        if not np.array_equal(blocks[factor].turn, np.eye(where.shape[1])):
            rows = where.ravel()
            tail[rows] = by_rows(blocks[factor].turn.T, tail[rows])
            tail[:, rows] = by_rows(blocks[factor].turn.T, tail[:, rows].T).T
    return KnownPairs(tail, columns)


def remainder_columns(model: WorkingModel) -> Columns:
    """Columns of each factor whose levels are all in the dense remainder."""
    found: dict[int, dict[int, int]] = {}
    column = 0
    widths = [f.columns.values.shape[1] for f in model.kernel.factors]
    for factor, level in model.kernel.tail_levels():
        found.setdefault(factor, {})[level] = column
        column += widths[factor]
    return {
        factor: np.array([first[level] for level in sorted(first)])[:, None] + np.arange(widths[factor])
        for factor, first in found.items()
        if len(first) == model.kernel.factors[factor].n_levels
    }


def projected_pairs(known: KnownPairs, blocks: Sequence[FactorBlocks], *, reml: bool) -> Array:
    """K where S is known; without the fixed effects' part by maximum likelihood."""
    projected = np.eye(len(known.inverse)) - known.inverse
    if reml:
        return projected
    B = np.zeros((len(projected), blocks[0].fixed.shape[2]))
    for factor, places in known.columns.items():
        B[places] = blocks[factor].fixed
    return np.asarray(projected + B @ B.T)


def expected_inside(projected: Array, columns: Columns, directions: Sequence[Direction]) -> Array:
    """tr(P V_i P V_j) of directions on factors between all of whose levels K is known."""
    expected = np.empty((len(directions), len(directions)))
    for i, (one, A) in enumerate(directions):
        for j, (other, B) in enumerate(directions[: i + 1]):
            K = projected[np.ix_(columns[one].ravel(), columns[other].ravel())]
            expected[i, j] = expected[j, i] = np.einsum("ab,ba->", by_rows(A, K), by_rows(B, K.T))
    return expected


def by_rows(A: Array, K: Array) -> Array:
    """(I x A) K for K (J Q, m)."""
    if len(A) == 1:
        return np.asarray(A[0, 0] * K)
    return (A @ K.reshape(-1, len(A), K.shape[1])).reshape(K.shape)


# ---- by differences ----


def expected_by_differences(
    model: WorkingModel,
    charts: Sequence[Chart],
    blocks: Sequence[FactorBlocks],
    directions: Sequence[Direction],
    j: int,
    *,
    reml: bool,
) -> Array:
    """tr(P V_i P V_j) for all directions i: (k,)."""
    t, i = place_of(j, [len(chart.own) for chart in charts])
    h = STEP * charts[t].step[i]
    ends = []
    for step in (-h, h):
        parts = [chart.moved(i, step) if at == t else chart.theta for at, chart in enumerate(charts)]
        ends.append(traces_at(model, np.concatenate(parts), blocks, directions, reml=reml))
    return np.asarray((ends[0] - ends[1]) / (2.0 * h))


def place_of(j: int, sizes: Sequence[int]) -> tuple[int, int]:
    """Which part the j-th of all entries is in, and its place there."""
    for part, size in enumerate(sizes):
        if j < size:
            return part, j
        j -= size
    raise IndexError(j)


def traces_at(
    model: WorkingModel,
    theta: Array,
    blocks: Sequence[FactorBlocks],
    directions: Sequence[Direction],
    *,
    reml: bool,
) -> Array:
    """tr(P V_i) at another theta, with V_i as it is at the estimate: (k,)."""
    own = model.kernel.inverse_blocks(theta, hold_fixed=not reml).own
    factors = model.kernel.term_factors(theta)
    sums = []
    for k, block in enumerate(blocks):
        back = np.linalg.solve(factor_root(model, factors, k), block.root)
        projected = len(own[k]) * np.eye(len(back)) - own[k].sum(axis=0)
        sums.append(back.T @ projected @ back)
    return np.array([(A * sums[factor]).sum() for factor, A in directions])
