"""Kenward and Roger's correction where residuals have a structure, without random effects.

Rows are whitened by V at the optimum, and X is in the basis where X'V^-1 X is the identity. Of the
derivatives V_i in the variance parameters, in these coordinates and cluster by cluster, everything is made:

    tr P V_i P V_j = tr V_i V_j - 2 tr Q_ij + tr M_i M_j,     Q_ij = X'V_i V_j X,  M_i = X'V_i X,

and sum C_ij (Q_ij - M_i M_j). V is taken as linear in its parameters, as it is for unstructured, Toeplitz and
exchangeable covariances: the correction then does not depend on how the covariance is parametrised.

Kenward, M. G. & Roger, J. H. (1997). Small sample inference for fixed effects from restricted maximum
likelihood. Biometrics 53, 983-997.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.errors import MemoryNeedError, ModelError
from multilevel.estimation.gls import GLSSolution
from multilevel.estimation.residual.blocks import Rows, row_stacks, whitened_units
from multilevel.estimation.residual.problem import GLSPoint, GLSProblem, solve
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.fitted.gls import GLSRecord
from multilevel.inference.gls_information import free_parameters, neighbours
from multilevel.inference.information import FixedBasis, inverse
from multilevel.inference.kenward_roger import KenwardRoger

MOST_NUMBERS = 50_000_000  # of all derivatives of V together


@dataclass(frozen=True, slots=True)
class Blocks:
    """K clusters of m rows."""

    rows: Rows  # (K, m)
    slopes: Array  # (k, K, m, m) V_i, in the coordinates where V is the identity
    X: Array  # (K, m, p) in the basis where X'V^-1 X is the identity


def gls_kenward_roger(record: GLSRecord, rows: ResidualRows, solution: GLSSolution) -> KenwardRoger:
    """The adjusted covariance of the coefficients, with its degrees of freedom."""
    if not record.reml:
        raise ModelError(
            'df="kenward-roger" is made for REML estimates of the variances, and this fit is by maximum '
            'likelihood; use fit.update(reml=True), or df="satterthwaite".'
        )
    blocks = derivative_blocks(solution, row_stacks(rows))
    p = len(record.beta)
    M = np.concatenate([np.eye(p)[None], sum_over(blocks, "kcab,cap,cbq->kpq")])
    half = inverse(expected_information(blocks, M, solution.problem.df))
    C = 2.0 * half[1:, 1:]  # X'P = 0: the scale of V adds nothing
    change = -np.einsum("ij,ipq,jqr->pr", C, M[1:], M[1:], optimize=True)
    for block in blocks:
        VX = np.einsum("kcab,cbp->kcap", block.slopes, block.X)
        change += np.einsum("kcap,kl,lcaq->pq", VX, C, VX, optimize=True)
    adjusted = np.eye(p) + change + change.T
    basis = FixedBasis(record.centring, record.sigma * record.root)
    return KenwardRoger(record.beta, basis, np.asarray(adjusted), M, half)


def expected_information(blocks: list[Blocks], M: Array, df: float) -> Array:
    """tr P V_i P V_j (1 + k, 1 + k), the first for log sigma^2, in which V moves as a whole."""
    k = len(M) - 1
    traces, products = np.zeros(k), np.zeros((k, k))
    for block in blocks:
        flat = block.slopes.reshape(k, -1)
        VX = np.einsum("kcab,cbp->kcap", block.slopes, block.X).reshape(k, -1)
        products += flat @ flat.T - 2.0 * VX @ VX.T
        traces += np.einsum("kcaa->k", block.slopes)
    products += np.einsum("ipq,jqp->ij", M[1:], M[1:])
    against = traces - np.einsum("kpp->k", M[1:])
    return np.block([[np.array([[float(df)]]), against[None]], [against[:, None], products]])


def sum_over(blocks: list[Blocks], subscripts: str) -> Array:
    """The sum of X'V_i X (k, p, p) over all clusters."""
    return np.asarray(
        sum(np.einsum(subscripts, block.slopes, block.X, block.X, optimize=True) for block in blocks)
    )


def derivative_blocks(solution: GLSSolution, stacks: list[Rows]) -> list[Blocks]:
    """V_i of every cluster, by central differences."""
    problem, at = solution.problem, solution.point
    free = free_parameters(solution)
    refuse_too_large(len(free), stacks)
    here = units_at(at, stacks)
    slopes = [np.empty((len(free), *block.shape)) for block in here]
    for k, j in enumerate(free):
        above, below, width = neighbours(problem, at.phi, j)
        ends = zip(units_at(above, stacks), units_at(below, stacks), strict=True)
        for slope, now, (up, down) in zip(slopes, here, ends, strict=True):
            slope[k] = (relative(now, up) - relative(now, down)) / width
    X = whitened_columns(problem, at)
    return [Blocks(stack, slope, X[stack]) for stack, slope in zip(stacks, slopes, strict=True)]


def units_at(at: GLSPoint, stacks: list[Rows]) -> list[Array]:
    """T D^-1 of every cluster (K, m, m)."""
    return whitened_units(at.whitening, at.log_sd, stacks)


def relative(now: Array, other: Array) -> Array:
    """V of another point (K, m, m), in the coordinates where that of this one is the identity."""
    half = now @ np.linalg.inv(other)
    return np.asarray(half @ half.transpose(0, 2, 1))


def whitened_columns(problem: GLSProblem, at: GLSPoint) -> Array:
    """X (n, p) in the basis where X'V^-1 X is the identity."""
    there = solve(problem, at.phi)
    assert there is not None
    return np.asarray(there.white_X @ np.linalg.inv(there.root))


def refuse_too_large(k: int, stacks: list[Rows]) -> None:
    """Say what the sums would need before they are begun, if it is too much."""
    numbers = k * sum(stack.shape[0] * stack.shape[1] ** 2 for stack in stacks)
    if numbers > MOST_NUMBERS:
        raise MemoryNeedError(
            f'df="kenward-roger" would need {8e-9 * numbers:.1f} GB for the derivatives of all covariances. '
            'With so many groups its answers are those of df="satterthwaite"; use that.'
        )
