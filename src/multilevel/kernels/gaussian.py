"""The compiled Gaussian mixed model: cross-products once, then criterion, derivatives and search in theta.

All quantities are in working units: columns enter as (value - shift) * scale, covariances relative to the
residual variance. `multilevel.kernels.reference` has the same mathematics in plain NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel.kernels import _core, blas
from multilevel.kernels.threads import one_blas_thread, use_threads

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
TailTooLarge = _core.TailTooLarge  # raised when crossed factors leave more than fits in memory

blas.connect()
use_threads()


class StructureCode(IntEnum):
    """Covariance structures as the core numbers them."""

    us = 0
    diag = 1
    cs = 2
    ar1 = 3


@dataclass(frozen=True, slots=True)
class ScaledColumns:
    """Columns of data to be seen as (values - shift) * scale."""

    values: Array  # (n, k) Fortran order
    shift: Array  # (k,)
    scale: Array  # (k,)


@dataclass(frozen=True, slots=True)
class FactorColumns:
    """A grouping factor and all its random-effect columns."""

    codes: Codes  # (n,)
    n_levels: int
    columns: ScaledColumns


@dataclass(frozen=True, slots=True)
class TermLayout:
    """Which columns of which factor a random-effects term has, and its covariance structure."""

    factor: int
    first: int
    width: int
    structure: StructureCode
    hom: bool

    @property
    def n_parameters(self) -> int:
        """Covariance parameters of the term."""
        if self.structure is StructureCode.us:
            return self.width * (self.width + 1) // 2
        n_sd = 1 if self.hom else self.width
        return n_sd if self.structure is StructureCode.diag else n_sd + 1


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """Where the search ended."""

    theta: Array
    criterion: float
    pwrss: float  # penalised weighted residual sum of squares
    evaluations: int
    iterations: int
    stationarity: float  # decrease that one more Newton step would promise
    null_eigenvalue: float  # least slope along a direction that Sigma lacks; 0 when it lacks none
    converged: bool
    rank: tuple[int, ...]  # per term: rank of Sigma


@dataclass(frozen=True, slots=True)
class SearchOutcomes:
    """Where the searches for B responses ended."""

    theta: Array  # (B, k)
    beta: Array  # (B, p)
    criterion: Array  # (B,)
    pwrss: Array  # (B,)
    evaluations: Codes  # (B,)
    converged: npt.NDArray[np.bool_]  # (B,)
    rank: Codes  # (B, terms)


@dataclass(frozen=True, slots=True)
class RowSets:
    """Sets of rows to leave out, one at a time: G sets."""

    rows: Rows  # (m,) the rows of all sets, set after set
    weights: Array  # (m,) what they lose of their weights: all, or less where a row stands for several
    start: Rows  # (G + 1,) where each set begins, and the end
    n_obs: Array  # (G,) observations that stay


@dataclass(frozen=True, slots=True)
class DeletionFits:
    """Estimates without each of G sets of rows; NaN where there are none."""

    theta: Array  # (G, k)
    beta: Array  # (G, p)
    fixed_factor: Array  # (G, p, p) lower Cholesky factor of X'V^-1X
    pwrss: Array  # (G,)
    converged: npt.NDArray[np.bool_]  # (G,)


@dataclass(frozen=True, slots=True)
class CaseOutcomes:
    """Where the searches for B samples of clusters ended; NaN where a sample cannot be fitted."""

    searches: SearchOutcomes
    fixed_factors: Array  # (B, p, p) lower Cholesky factors of X'V^-1X


class Held(IntEnum):
    """Quantities that a profile holds, as the core numbers them (core/profile.hpp)."""

    residual = 0
    deviation = 1
    correlation = 2


@dataclass(frozen=True, slots=True)
class Constraint:
    """A residual, a standard deviation or a correlation that is held at a value."""

    held: Held
    term: int  # of no meaning for the residual
    directions: Array  # (q, 1) or (q, 2): the columns, in the term's working coordinates


@dataclass(frozen=True, slots=True)
class ConstrainedMinimum:
    """The minimum of the deviance where one quantity of the covariances is held."""

    free: Array  # what was searched over: a start for the next point
    factors: list[Array]  # T of each term (q, q)
    beta: Array  # (p,)
    log_sigma: float
    deviance: float
    slope: float  # of the minimum, in the coordinate of what is held
    converged: bool
    evaluations: int
    inverse_hessian: Array  # of the deviance in `free`, approximately


@dataclass(frozen=True, slots=True)
class TailFit:
    """The fit by maximum likelihood with other columns in the place of X and y."""

    theta: Array
    beta: Array
    criterion: float
    pwrss: float
    converged: bool
    evaluations: int


@dataclass(frozen=True, slots=True)
class Solution:
    """Estimates and the pieces of the criterion at one theta."""

    beta: Array  # (p,)
    u: tuple[Array, ...]  # per factor: (J, Q) spherical random effects
    pwrss: float
    log_det_random: float
    log_det_fixed: float
    fixed_factor: Array  # (p, p) lower Cholesky factor of X'V^-1X


@dataclass(frozen=True, slots=True)
class InverseBlocks:
    """Blocks of the inverse of the augmented matrix without y."""

    own: tuple[Array, ...]  # per factor: (J, Q, Q)
    against_fixed: tuple[Array, ...]  # per factor: (J, Q, p)
    fixed: Array  # (p, p)
    tail: Array | None  # all of it over the dense remainder's random effects, where asked for


class GaussianKernel:
    """A Gaussian mixed model on fixed rows, compiled."""

    def __init__(
        self,
        fixed: ScaledColumns,
        response: ScaledColumns,
        weights: Array | None,
        n_obs: float,
        factors: Sequence[FactorColumns],
        terms: Sequence[TermLayout],
        memory_limit: float = np.inf,
    ) -> None:
        """Form the cross-products. Factors come in order of decreasing number of levels."""
        self.factors = tuple(factors)
        self.n_fixed = fixed.values.shape[1]
        self.n_random = sum(f.n_levels * f.columns.values.shape[1] for f in self.factors)
        self.response = np.ascontiguousarray(response.values[:, 0])
        self._native = _core.GaussianModel(
            fixed.values,
            fixed.shift,
            fixed.scale,
            self.response,
            float(response.shift[0]),
            float(response.scale[0]),
            weights,
            n_obs,
            [f.codes for f in factors],
            [f.n_levels for f in factors],
            [f.columns.values for f in factors],
            [f.columns.shift for f in factors],
            [f.columns.scale for f in factors],
            [(t.factor, t.first, t.width, int(t.structure), t.hom) for t in terms],
            memory_limit,
        )
        _, self.tail_size, blocks = self._native.elimination()  # tail: the dense remainder, X and y
        self.n_numbers = blocks + self.tail_size**2  # in a factorisation

    def set_response(self, y: Array, shift: float, scale: float) -> None:
        """Put another response in the place of the one the model was made with."""
        self._native.set_response(y, shift, scale)
        self.response = y

    @property
    def n_parameters(self) -> int:
        """Length of theta."""
        return self._native.n_parameters

    def start(self) -> Array:
        """Theta by the method of moments."""
        return self._native.start()

    def criterion(self, theta: Array, *, reml: bool) -> float:
        """-2 log-likelihood, or the REML criterion."""
        with one_blas_thread(self.tail_size):
            return self._native.criterion(theta, reml)

    def derivatives(self, theta: Array, *, reml: bool) -> tuple[float, Array, Array]:
        """Criterion, its gradient (k,), and the average information (k, k)."""
        with one_blas_thread(self.tail_size):
            return self._native.derivatives(theta, reml)

    def search(self, start: Array, *, reml: bool, tolerance: float, max_evaluations: int) -> SearchOutcome:
        """Minimise the criterion from a start."""
        with one_blas_thread(self.tail_size):
            outcome = self._native.search(start, reml, tolerance, max_evaluations)
        *_, rank = outcome
        return SearchOutcome(*outcome[:-1], tuple(rank))

    def refit_many(
        self, Y: Array, start: Array, *, reml: bool, tolerance: float, max_evaluations: int
    ) -> SearchOutcomes:
        """Search for every column of Y (n, B), which is shifted and scaled as the model's own response."""
        with one_blas_thread(self.tail_size):
            found = self._native.refit_many(np.asfortranarray(Y), start, reml, tolerance, max_evaluations)
        return search_outcomes(found)

    def refit_cases(
        self,
        cluster: Codes,
        times: Codes,
        n_obs: Array,
        starts: Array,
        *,
        reml: bool,
        tolerance: float,
        max_evaluations: int,
    ) -> CaseOutcomes:
        """Search for samples that hold cluster c of the rows (n,) `times[c, b]` times, n_obs (B,) in each.

        Every level of every factor must lie within one cluster. Of the searches from the columns of `starts`
        the best is kept.
        """
        counts = np.asfortranarray(times, dtype=np.int32)
        with one_blas_thread(self.tail_size):
            found = self._native.refit_cases(cluster, counts, n_obs, starts, reml, tolerance, max_evaluations)
        p, factors = self.n_fixed, found[-1]
        return CaseOutcomes(search_outcomes(found[:-1]), factors.T.reshape(-1, p, p).transpose(0, 2, 1))

    def profile_start(self, constraint: Constraint, theta: Array, log_sigma: float) -> Array:
        """What a constrained search is over, at a point where nothing is held yet."""
        return self._native.profile_start(
            int(constraint.held), constraint.term, constraint.directions, theta, log_sigma
        )

    def profile_point(
        self, constraint: Constraint, coordinate: float, starts: Array, inverse_hessian: Array
    ) -> ConstrainedMinimum:
        """Minimise the deviance where a quantity is held; `starts` has a column each."""
        with one_blas_thread(self.tail_size):
            found = self._native.profile_point(
                int(constraint.held),
                constraint.term,
                constraint.directions,
                coordinate,
                starts,
                inverse_hessian,
            )
        free, factors = found[:2]
        return ConstrainedMinimum(free, [np.atleast_2d(factor) for factor in factors], *found[2:])

    def fit_with_tail(
        self, mapping: Array, start: Array, *, tolerance: float, max_evaluations: int
    ) -> TailFit:
        """The ML fit with [X y] mapping, (p + 1, k + 1), in the place of [X y]."""
        with one_blas_thread(self.tail_size):
            return TailFit(*self._native.fit_with_tail(mapping, start, tolerance, max_evaluations))

    def fit_without(
        self, sets: RowSets, start: Array, *, reml: bool, tolerance: float, max_evaluations: int
    ) -> DeletionFits:
        """Search without each set of rows; with `max_evaluations` 0, theta is held at `start`."""
        with one_blas_thread(self.tail_size):
            theta, beta, factor, pwrss, converged = self._native.fit_without(
                sets.rows, sets.weights, sets.start, sets.n_obs, start, reml, tolerance, max_evaluations
            )
        by_columns = factor.T.reshape(len(pwrss), self.n_fixed, self.n_fixed)
        return DeletionFits(
            theta.T, beta.T, by_columns.transpose(0, 2, 1), pwrss, np.asarray(converged.astype(bool))
        )

    def leverages(self, theta: Array) -> Array:
        """c'A^-1c (n,) with c what a row takes from the spherical effects and beta: leverage at weight 1."""
        with one_blas_thread(self.tail_size):
            return self._native.leverages(theta)

    def term_factors(self, theta: Array) -> list[Array]:
        """T of each term: (q, q) lower triangular, Sigma = sigma^2 T T'."""
        return [np.atleast_2d(factor) for factor in self._native.factors(theta)]

    def solution(self, theta: Array) -> Solution:
        """Estimates at theta."""
        with one_blas_thread(self.tail_size):
            beta, u, pwrss, log_det_random, log_det_fixed, fixed_factor = self._native.solution(theta)
        return Solution(beta, tuple(u), pwrss, log_det_random, log_det_fixed, fixed_factor)

    def inverse_blocks(self, theta: Array, *, hold_fixed: bool, tail: bool = False) -> InverseBlocks:
        """Blocks of the inverse; with `hold_fixed` those given beta, otherwise joint with beta."""
        with one_blas_thread(self.tail_size):
            own, against, fixed, remainder = self._native.inverse_blocks(theta, not hold_fixed, tail)
        shapes = [(f.n_levels, f.columns.values.shape[1]) for f in self.factors]
        return InverseBlocks(
            tuple(block.reshape(J, Q, Q) for block, (J, Q) in zip(own, shapes, strict=True)),
            tuple(block.reshape(J, Q, self.n_fixed) for block, (J, Q) in zip(against, shapes, strict=True)),
            fixed,
            remainder if tail else None,
        )

    def tail_levels(self) -> list[tuple[int, int]]:
        """Factor and level of each block of columns of the dense remainder, in their order."""
        return self._native.tail_nodes()

    def forward_solve(self, theta: Array, b: Array) -> Array:
        """R^-1 b without the y row; b has a row for each random effect, factor by factor, then for beta."""
        with one_blas_thread(self.tail_size):
            return self._native.forward_solve(theta, np.asfortranarray(b))

    def linear_predictors(self, beta: Array, b: Sequence[Array]) -> tuple[Array, Array]:
        """Fixed part and whole prediction (n,) from beta and each factor's effects (J, Q)."""
        return self._native.linear_predictors(beta, list(b))

    def fixed_crossproduct(self) -> Array:
        """[X y]'W[X y]: (p + 1, p + 1)."""
        return self._native.fixed_crossproduct()


def search_outcomes(found: Sequence[Any]) -> SearchOutcomes:
    """What the core returns of many searches, a row each."""
    theta, beta, criterion, pwrss, evaluations, converged, rank = found
    return SearchOutcomes(theta.T, beta.T, criterion, pwrss, evaluations, converged.astype(bool), rank.T)
