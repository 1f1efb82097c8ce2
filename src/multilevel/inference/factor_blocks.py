"""A fitted mixed model as each of its grouping factors sees it, in spherical coordinates.

With Lambda = blockdiag(T), the inverse S of the augmented matrix without y, and R R' = X'W X,

    Lambda'Z'P Z Lambda = I - S_uu,      Lambda'Z'W X R^-T = -S_ux R,      Lambda'Z'P y = u.

A direction dS of a term's covariance is A = T^-1 dS T^-T in these coordinates. Where T is nearly singular the
coordinates are turned to its principal axes, T O = U D, so that small numbers do not stand beside large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.lmm import WorkingModel
from multilevel.fitted.assemble import factor_root
from multilevel.inference.directions import Chart
from multilevel.kernels.gaussian import InverseBlocks

WELL_CONDITIONED = 1e-2  # least over largest singular value of T down to which its coordinates serve


@dataclass(frozen=True, slots=True)
class FactorBlocks:
    """What the factorisation says of each level of one grouping factor."""

    turn: Array  # (Q, Q) O, orthonormal
    root: Array  # (Q, Q) T O, called T here
    explained: Array  # (J, Q, Q) T'Z_l'W Z_l T
    fixed: Array  # (J, Q, p) T'Z_l'W X R^-T
    modes: Array  # (J, Q) u / sigma

    def unturned(self, values: Array) -> Array:
        """Values (J, Q, m) in the coordinates of the kernel."""
        return np.asarray(self.turn @ values)


@dataclass(frozen=True, slots=True)
class TermDirections:
    """A term's chart on all columns of its factor, in spherical coordinates."""

    factor: int
    slope: Array  # (k, Q, Q)
    curvature: Array  # (k, k, Q, Q)


def theta_of(charts: Sequence[Chart]) -> Array:
    """Theta of all terms."""
    return np.concatenate([chart.theta for chart in charts])


def factor_blocks(
    model: WorkingModel, theta: Array, inverse: InverseBlocks, df: float
) -> tuple[FactorBlocks, ...]:
    """Blocks of every factor, from the inverse joint with the fixed effects."""
    solution = model.kernel.solution(theta)
    factors = model.kernel.term_factors(theta)
    turns = [principal_turn(T) for T in factors]
    sigma = np.sqrt(solution.pwrss / df)
    found = []
    for k, (own, against, u) in enumerate(zip(inverse.own, inverse.against_fixed, solution.u, strict=True)):
        fixed = -against @ solution.fixed_factor
        explained = np.eye(own.shape[1]) - own + fixed @ fixed.transpose(0, 2, 1)
        blocks = FactorBlocks(
            factor_root(model, turns, k), factor_root(model, factors, k), explained, fixed, u / sigma
        )
        found.append(turned(blocks))
    return tuple(found)


def turned(blocks: FactorBlocks) -> FactorBlocks:
    """Blocks of T O, from those of T."""
    turn, back = blocks.turn, blocks.turn.T
    if np.array_equal(turn, np.eye(len(turn))):
        return blocks
    return FactorBlocks(
        turn, blocks.root @ turn, back @ blocks.explained @ turn, back @ blocks.fixed, blocks.modes @ turn
    )


def principal_turn(T: Array) -> Array:
    """O (q, q) with the columns of T O orthogonal; the identity where T is far from singular."""
    _, sizes, turn = np.linalg.svd(T)
    return np.eye(len(T)) if sizes[-1] > WELL_CONDITIONED * sizes[0] else turn.T


def term_directions(
    model: WorkingModel, charts: Sequence[Chart], blocks: Sequence[FactorBlocks]
) -> tuple[TermDirections, ...]:
    """The charts in spherical coordinates."""
    terms = []
    for layout, chart in zip(model.layouts, charts, strict=True):
        here = slice(layout.first, layout.first + layout.width)
        T = blocks[layout.factor].root
        back = np.linalg.inv(T[here, here])
        slope = np.zeros((*chart.own.shape, *T.shape))
        slope[:, here, here] = back @ chart.slope @ back.T
        curvature = np.zeros((*chart.own.shape, *slope.shape))
        curvature[:, :, here, here] = back @ chart.curvature @ back.T
        terms.append(TermDirections(layout.factor, slope, curvature))
    return tuple(terms)


def rows_of(stack: Array) -> Array:
    """The matrices of a stack (J, a, b), one under another: (J a, b)."""
    return stack.reshape(stack.shape[0] * stack.shape[1], stack.shape[2])
