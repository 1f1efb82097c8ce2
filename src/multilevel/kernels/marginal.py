"""The compiled criterion of a generalized linear mixed model, as a function of psi = (theta, gamma).

`theta` are the covariance parameters of all terms in order, `gamma` the coefficients of all linear
predictors. The criterion is minus twice the log-likelihood, random effects integrated out, all constants in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel.kernels import _core
from multilevel.kernels.density import DensityCode
from multilevel.kernels.gaussian import ScaledColumns, TermLayout
from multilevel.kernels.threads import SMALLEST_LARGE_TAIL, one_blas_thread

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

NO_LIMIT = float("inf")
MOST_GROUP_COLUMNS = 8  # random effects in a group that the core integrates over group by group


@dataclass(frozen=True, slots=True)
class RowPredictor:
    """One linear predictor of every row, without its random effects: offset + X gamma[coefficients]."""

    offset: Array | None  # (n,)
    columns: ScaledColumns  # (n, p_k)
    coefficients: Codes  # (p_k,) places in gamma; predictors may share coefficients


@dataclass(frozen=True, slots=True)
class RandomColumns:
    """A grouping factor with its random-effect columns, each of which belongs to one of the predictors."""

    codes: Codes  # (n,)
    n_levels: int
    columns: ScaledColumns  # (n, Q)
    predictors: tuple[int, ...]  # (Q,)


@dataclass(frozen=True, slots=True)
class PriorPenalty:
    """What a weak prior adds to the criterion.

    precision (gamma - centre)^2, summed, and -2 avoid_zero sum log |T_jj| over the diagonals of the terms'
    factors.
    """

    precision: Array  # (coefficients,), or empty for none
    centre: Array
    avoid_zero: float = 0.0


@dataclass(frozen=True, slots=True)
class FixedOutcome:
    """Where a search without random effects ended."""

    gamma: Array  # (G,)
    loglik: float
    gradient: Array  # (G,)
    information: Array  # (G, G) minus the Hessian
    converged: bool


@dataclass(frozen=True, slots=True)
class MarginalOutcome:
    """Where a search ended, and how."""

    psi: Array
    criterion: float
    evaluations: int
    iterations: int
    stationarity: float  # decrease of the criterion that one more step would promise
    null_slope: float  # least slope of the criterion in a variance that is missing; 0 if none is
    converged: bool
    rank: tuple[int, ...]  # of each term's covariance
    settled: float  # criterion where the first descent ended, before a variance that was missing was added


@dataclass(frozen=True, slots=True)
class MarginalOutcomes:
    """Where the searches for B responses ended."""

    psi: Array  # (B, k)
    criterion: Array  # (B,)
    evaluations: Codes  # (B,)
    converged: Mask  # (B,)


def fit_fixed(
    density: DensityCode,
    y: Array,
    trials: Array | None,
    power: Array | None,
    predictors: Sequence[RowPredictor],
    start: Array,
    *,
    prior: PriorPenalty | None = None,
    tolerance: float,
    most_steps: int,
) -> FixedOutcome:
    """Climb to the maximum of the likelihood without random effects, from a start where it is finite.

    With a prior, log-likelihood, gradient and information are those of the posterior density.
    """
    none = np.empty(0)
    gamma, loglik, gradient, information, converged, _ = _core.fixed_fit(
        density.codes,
        y,
        trials,
        power,
        [arrays_of(p) for p in predictors],
        start,
        none if prior is None else prior.precision,
        none if prior is None else prior.centre,
        tolerance,
        most_steps,
    )
    return FixedOutcome(gamma, loglik, gradient, information, converged)


def arrays_of(predictor: RowPredictor) -> tuple[Array | None, Array, Array, Array, Codes]:
    """A predictor as the core takes it."""
    columns = predictor.columns
    return predictor.offset, columns.values, columns.shift, columns.scale, predictor.coefficients


class MarginalKernel:
    """A generalized linear mixed model on fixed rows, compiled.

    Factors stand in order of decreasing levels. With one node random effects are integrated out by Laplace's
    approximation, with more by adaptive Gauss-Hermite quadrature, for one grouping factor.

    Coefficients that are `joint` are found with the modes of the random effects, where the density of both
    is highest. The criterion is a function of all other parameters then: what psi has for joint coefficients
    is where the first search for them begins, and derivatives in them are zero.
    """

    def __init__(
        self,
        density: DensityCode,
        y: Array,
        trials: Array | None,
        power: Array | None,
        predictors: Sequence[RowPredictor],
        factors: Sequence[RandomColumns],
        terms: Sequence[TermLayout],
        n_coefficients: int,
        nodes: int = 1,
        prior: PriorPenalty | None = None,
        joint: Sequence[int] = (),
        memory_limit: float = NO_LIMIT,
    ) -> None:
        none = np.empty(0)
        self.factors = tuple(factors)
        self.terms = tuple(terms)
        self.nodes = nodes
        remainder = sum(f.n_levels * len(f.predictors) for f in self.factors[1:])
        self.remainder = remainder + (max(len(joint), SMALLEST_LARGE_TAIL) if joint else 0)
        self._native = _core.MarginalModel(
            density.codes,
            y,
            trials,
            power,
            [arrays_of(p) for p in predictors],
            [
                (f.codes, f.n_levels, f.columns.values, f.columns.shift, f.columns.scale, list(f.predictors))
                for f in factors
            ],
            [(t.factor, t.first, t.width, int(t.structure), t.hom) for t in terms],
            n_coefficients,
            none if prior is None else prior.precision,
            none if prior is None else prior.centre,
            0.0 if prior is None else prior.avoid_zero,
            nodes,
            list(joint),
            memory_limit,
        )
        self.n_parameters = self._native.n_parameters  # of theta and gamma
        self.n_theta = self._native.n_theta  # covariance parameters

    @property
    def has_group_scores(self) -> bool:
        """Whether there are scores of single groups: one grouping factor of few columns."""
        return len(self.factors) == 1 and len(self.factors[0].predictors) <= MOST_GROUP_COLUMNS

    def set_response(self, y: Array) -> None:
        """Take another response (n,) on the same rows."""
        self._native.set_response(y)

    def start(self, gamma: Array) -> Array:
        """Psi with the coefficients given, and covariances by moments."""
        with one_blas_thread(self.remainder):
            return self._native.start(gamma)

    def value(self, psi: Array) -> float:
        """The criterion; infinite where it is not defined."""
        with one_blas_thread(self.remainder):
            return self._native.value(psi)

    def derivatives(self, psi: Array) -> tuple[float, Array, Array]:
        """The criterion, its gradient (k,), and a positive semidefinite stand-in for its Hessian (k, k)."""
        with one_blas_thread(self.remainder):
            return self._native.derivatives(psi)

    def search(self, start: Array, *, tolerance: float, max_evaluations: int) -> MarginalOutcome:
        """Minimise the criterion."""
        with one_blas_thread(self.remainder):
            psi, criterion, evaluations, iterations, stationarity, null_slope, converged, rank, settled = (
                self._native.search(start, tolerance, max_evaluations)
            )
        return MarginalOutcome(
            psi, criterion, evaluations, iterations, stationarity, null_slope, converged, tuple(rank), settled
        )

    def hessian(self, psi: Array, free: Mask | None = None) -> Array:
        """Second derivatives of the criterion (k, k), zero where a parameter is not `free`."""
        chosen = np.ones(len(psi), dtype=bool) if free is None else free
        with one_blas_thread(self.remainder):
            return self._native.hessian(psi, chosen.tolist())

    def modes(self, psi: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Per factor the modes (J, Q) of the spherical effects, and their covariances (J, Q, Q)."""
        with one_blas_thread(self.remainder):
            u, variance = self._native.modes(psi)
        shapes = [(f.n_levels, len(f.predictors)) for f in self.factors]
        return (
            tuple(np.asarray(each).reshape(J, Q) for each, (J, Q) in zip(u, shapes, strict=True)),
            tuple(np.asarray(each).reshape(J, Q, Q) for each, (J, Q) in zip(variance, shapes, strict=True)),
        )

    def joint_mode(self, psi: Array) -> tuple[Array, Array]:
        """Psi with its joint coefficients found, and their covariance (joint, joint) were psi else known."""
        with one_blas_thread(self.remainder):
            return self._native.joint_mode(psi)

    def group_scores(self, psi: Array) -> Array:
        """Scores of the groups' log-likelihoods (J, k), without the prior; for one grouping factor."""
        with one_blas_thread(self.remainder):
            return self._native.group_scores(psi)

    def linear_predictors(self, psi: Array) -> Array:
        """All predictors of all rows at the modes: (K, n)."""
        with one_blas_thread(self.remainder):
            return self._native.linear_predictors(psi)

    def term_factors(self, psi: Array) -> list[Array]:
        """T of each term (q, q), Sigma = T T'."""
        return [np.atleast_2d(T) for T in self._native.term_factors(psi)]

    def refit_many(
        self, Y: Array, start: Array, *, tolerance: float, max_evaluations: int
    ) -> MarginalOutcomes:
        """Minimise for each column of Y (n, B), on all threads."""
        with one_blas_thread(self.remainder):
            psi, criterion, evaluations, converged = self._native.refit_many(
                np.asfortranarray(Y), start, tolerance, max_evaluations
            )
        return MarginalOutcomes(
            psi.T, criterion, np.asarray(evaluations, dtype=np.int32), np.asarray(converged, dtype=bool)
        )
