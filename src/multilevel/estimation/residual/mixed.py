"""A linear mixed model whose residuals have a structure: whitened by it, it is an ordinary one.

For given residual parameters phi the rows T D^-1 [Z X y] are those of a model with independent residuals, as
long as rows of one residual group share their level of every grouping factor. Its criterion, minimised over
theta by the compiled search, plus log|V| of the residuals is a function of phi alone. With A the augmented
matrix and C = [Z Lambda, X] it moves, theta, beta and u being at their optimum, as

    d ( log|V| + sum over columns of E'V^-1 E ),    E = [ root(m / pwrss) r,  C A^(-1/2) ]   held,

r the conditional residuals (of C the columns Z Lambda alone for maximum likelihood). Of C A^-1 C' only pairs
of rows in one group are needed: with one grouping factor, blocks of A^-1 that the factorisation has anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import MemoryNeedError
from multilevel.estimation.lmm import WorkingModel, factor_order, memory_limit, minimise, term_layouts
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.residual.problem import ResidualModel, Slopes, held_slopes
from multilevel.estimation.residual.structure import Whitening
from multilevel.estimation.working import (
    WorkingFixed,
    WorkingResponse,
    WorkingTerm,
    nearly_collinear,
    orthonormal_fixed,
    scaled_fixed,
    working_response,
    working_term,
)
from multilevel.kernels.gaussian import (
    FactorColumns,
    GaussianKernel,
    ScaledColumns,
    Solution,
    TermLayout,
)

MOST_NUMBERS = 100_000_000  # of rows times random effects, where several grouping factors need them all


@dataclass(frozen=True, slots=True)
class MixedProblem:
    """n rows in the order of estimation; columns are moved and scaled once, before they are whitened."""

    design: Design  # in the order of estimation
    rows: Array  # (n, p + 1 + sum q) X, y and the columns of the terms
    fixed: WorkingFixed
    response: WorkingResponse
    terms: tuple[WorkingTerm, ...]
    layouts: tuple[TermLayout, ...]
    groupings: tuple[int, ...]  # design grouping of each kernel factor
    model: ResidualModel
    reml: bool

    @property
    def n_fixed(self) -> int:
        """Coefficients p."""
        return len(self.design.coef_names)

    @property
    def df(self) -> int:
        """What the penalised residual sum of squares is divided by."""
        return len(self.rows) - (self.n_fixed if self.reml else 0)

    def term_columns(self) -> list[slice]:
        """Where the columns of each term stand in the rows."""
        ends = self.n_fixed + 1 + np.cumsum([0, *(term.n_columns for term in self.design.terms)])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]


@dataclass(frozen=True, slots=True)
class MixedPoint:
    """The model solved at one phi, at the best theta for it or at a given one."""

    phi: Array  # (k,)
    theta: Array  # of the compiled search
    criterion: float  # in the user's units
    optimum: Optimum | None  # of the search for theta; None where theta was given
    working: WorkingModel
    solution: Solution
    log_sd: Array  # (n,)
    log_unit: float  # D is divided by its geometric mean, whose logarithm this is; sigma is multiplied by it
    whitening: Whitening
    scaled: Array  # (n, p + 1 + sum q) D^-1 rows
    white: Array  # the same, whitened


def mixed_problem(design: Design, model: ResidualModel, *, reml: bool) -> MixedProblem:
    """Move and scale the columns of a design whose rows are in the order of estimation."""
    y = design.y if design.offset is None else design.y - design.offset
    fixed = scaled_fixed(design.X, None)
    X = (design.X - fixed.columns.shift) * fixed.columns.scale
    if nearly_collinear(X.T @ X):
        fixed = orthonormal_fixed(design.X, fixed, None)
        X = fixed.columns.values
    response = working_response(y, None, fixed.centring.one is not None)
    terms = tuple(working_term(term, None) for term in design.terms)
    Z = [(term.Z - w.shift) * w.scale for term, w in zip(design.terms, terms, strict=True)]
    groupings = factor_order(design)
    return MixedProblem(
        design=design,
        rows=np.column_stack([X, (y - response.shift) * response.scale, *Z]),
        fixed=fixed,
        response=response,
        terms=terms,
        layouts=term_layouts(design, groupings),
        groupings=groupings,
        model=model,
        reml=reml,
    )


def solve(
    problem: MixedProblem, phi: Array, *, begin: Array | None = None, hold: bool = False
) -> MixedPoint | None:
    """The model at phi; None where that is no covariance of residuals.

    `begin` is where the search for theta begins, or with `hold` where it stays.
    """
    model = problem.model
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            log_sd = model.log_sd(phi)
            whitening = model.correlation.at(phi[model.n_scale :])
            log_unit = float(log_sd.mean())  # rows keep their size, and theta its order of magnitude
            scaled = problem.rows * np.exp(log_unit - log_sd)[:, None]
            white = whitening.whiten(scaled)
    except (np.linalg.LinAlgError, FloatingPointError):
        return None
    if not np.isfinite(white).all():
        return None
    working = whitened_model(problem, white, -whitening.log_det - 2.0 * float((log_sd - log_unit).sum()))
    optimum = None
    if hold:
        assert begin is not None
        theta = begin
    else:
        optimum = minimise(working, reml=problem.reml, begin=None if begin is None else [begin])
        theta = optimum.theta
    solution = working.kernel.solution(theta)
    criterion = user_criterion(problem, working, solution)
    return MixedPoint(
        phi, theta, criterion, optimum, working, solution, log_sd, log_unit, whitening, scaled, white
    )


def whitened_model(problem: MixedProblem, white: Array, log_weights: float) -> WorkingModel:
    """The compiled model of the whitened rows."""
    p, design = problem.n_fixed, problem.design
    columns = problem.term_columns()
    factors = []
    for grouping in problem.groupings:
        mine = [columns[k] for k, term in enumerate(design.terms) if term.grouping == grouping]
        factor = design.groupings[grouping]
        Z = np.hstack([white[:, own] for own in mine])
        factors.append(FactorColumns(factor.codes, factor.n_levels, as_they_are(Z)))
    kernel = GaussianKernel(
        as_they_are(white[:, :p]),
        as_they_are(white[:, p : p + 1]),
        None,
        float(len(white)),
        factors,
        problem.layouts,
        memory_limit(),
    )
    return WorkingModel(
        kernel,
        problem.fixed,
        problem.response,
        problem.terms,
        problem.layouts,
        problem.groupings,
        log_weights,
    )


def as_they_are(values: Array) -> ScaledColumns:
    """Columns that are scaled already."""
    k = values.shape[1]
    return ScaledColumns(np.asfortranarray(values), np.zeros(k), np.ones(k))


def user_criterion(problem: MixedProblem, working: WorkingModel, solution: Solution) -> float:
    """The criterion with X, y and the residual structure in the user's units."""
    df, scale = problem.df, 2.0 * float(np.log(problem.response.scale))
    log_det_fixed = solution.log_det_fixed - 2.0 * problem.fixed.log_det if problem.reml else 0.0
    residual = df * (1.0 + float(np.log(2.0 * np.pi * solution.pwrss / df)) - scale)
    return float(solution.log_det_random + log_det_fixed + residual - working.log_weights)


# ---- the slope in phi ----


def slopes(problem: MixedProblem, at: MixedPoint) -> Slopes:
    """Gradient of the criterion in phi, theta held: at its best or elsewhere."""
    weight = float(np.sqrt(problem.df / at.solution.pwrss))
    residuals = weight * (at.scaled[:, problem.n_fixed] - predicted(problem, at, at.scaled)[1])
    loadings = one_factor_loadings if len(problem.groupings) == 1 else all_loadings
    rows = np.column_stack([residuals, loadings(problem, at)])
    found = held_slopes(problem.model, at.phi, at.whitening, rows, at.whitening.whiten(rows))
    # the unit of D moves with phi, and theta is relative to it
    relative = found.by_log_sd - found.by_log_sd.mean()
    n_scale = problem.model.n_scale
    of_scale = problem.model.scale.slopes(at.phi[:n_scale], relative)
    return Slopes(np.concatenate([of_scale, found.gradient[n_scale:]]), found.by_log_sd)


def factor_roots(problem: MixedProblem, at: MixedPoint) -> list[Array]:
    """Block-diagonal T (Q, Q) of the terms of each kernel factor."""
    factors = at.working.kernel.term_factors(at.theta)
    roots = []
    for k in range(len(problem.groupings)):
        mine = [(layout, T) for layout, T in zip(problem.layouts, factors, strict=True) if layout.factor == k]
        width = sum(layout.width for layout, _ in mine)
        root = np.zeros((width, width))
        for layout, T in mine:
            own = slice(layout.first, layout.first + layout.width)
            root[own, own] = T
        roots.append(root)
    return roots


def spherical_columns(problem: MixedProblem, at: MixedPoint, rows: Array) -> list[Array]:
    """Z T (n, Q) of each kernel factor, from rows that are scaled or not."""
    columns, design = problem.term_columns(), problem.design
    found = []
    for grouping, root in zip(problem.groupings, factor_roots(problem, at), strict=True):
        mine = [columns[k] for k, term in enumerate(design.terms) if term.grouping == grouping]
        found.append(np.hstack([rows[:, own] for own in mine]) @ root)
    return found


def predicted(problem: MixedProblem, at: MixedPoint, rows: Array) -> tuple[Array, Array]:
    """X beta and X beta + Z b (n,) in working units, from rows that are scaled or not."""
    fixed = rows[:, : problem.n_fixed] @ at.solution.beta
    whole = fixed.copy()
    spherical = spherical_columns(problem, at, rows)
    for grouping, ZT, u in zip(problem.groupings, spherical, at.solution.u, strict=True):
        whole += (ZT * u[problem.design.groupings[grouping].codes]).sum(axis=1)
    return fixed, whole


def one_factor_loadings(problem: MixedProblem, at: MixedPoint) -> Array:
    """Rows e_i with e_i'e_j = (C A^-1 C')_ij for rows of one level: (n, Q + p), or (n, Q) for ML."""
    blocks = at.working.kernel.inverse_blocks(at.theta, hold_fixed=not problem.reml)
    codes = problem.design.groupings[problem.groupings[0]].codes
    rows = spherical_columns(problem, at, at.scaled)[0]
    inverse = blocks.own[0]
    if problem.reml:
        J, Q, p = blocks.against_fixed[0].shape
        joint = np.empty((J, Q + p, Q + p))
        joint[:, :Q, :Q], joint[:, Q:, Q:] = inverse, blocks.fixed
        joint[:, :Q, Q:] = blocks.against_fixed[0]
        joint[:, Q:, :Q] = blocks.against_fixed[0].transpose(0, 2, 1)
        rows, inverse = np.hstack([rows, at.scaled[:, :p]]), joint
    return np.asarray(np.einsum("ni,nij->nj", rows, np.linalg.cholesky(inverse)[codes]))


def all_loadings(problem: MixedProblem, at: MixedPoint) -> Array:
    """The same with several grouping factors, by all columns of C A^(-1/2): (n, q + p), or (n, q)."""
    kernel, n, p = at.working.kernel, len(problem.rows), problem.n_fixed
    if n * (kernel.n_random + p) > MOST_NUMBERS:
        raise MemoryNeedError(
            f"a residual structure beside several grouping factors needs {n} rows times "
            f"{kernel.n_random + p} effects in memory at once, which is too much; use the innermost grouping "
            "factor alone, or ml.gls."
        )
    columns = np.zeros((kernel.n_random + p, n))
    first, row = 0, np.arange(n)
    spherical = spherical_columns(problem, at, at.scaled)
    for grouping, ZT in zip(problem.groupings, spherical, strict=True):
        factor, Q = problem.design.groupings[grouping], ZT.shape[1]
        for k in range(Q):
            columns[first + factor.codes.astype(np.int64) * Q + k, row] = ZT[:, k]
        first += factor.n_levels * Q
    columns[first:] = at.scaled[:, :p].T
    solved = kernel.forward_solve(at.theta, columns)
    return np.asarray(solved.T if problem.reml else solved[: kernel.n_random].T)
