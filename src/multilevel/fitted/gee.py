"""The record of generalized estimating equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.estimation.centring import Centring
from multilevel.estimation.gee.problem import EstimatingProblem, working_rows_at
from multilevel.estimation.gee.solve import EstimatingSolution, sums_at
from multilevel.kernels.gee import ByCluster

NO_LIKELIHOOD = (
    "estimating equations have no likelihood, and so no log-likelihood, AIC or BIC; compare models by "
    "fit.qic(), nested ones by fit.wald_test(smaller)."
)


@dataclass(frozen=True, slots=True)
class GEERecord:
    """What the estimating equations gave.

    With A = sum D'R^-1 D the information up to the scale, contributions of clusters are kept in the basis
    where A = I: `scores = u root`, `root root' = A^-1` over the coefficients of the moved columns (see
    `Centring`). Where A is not positive definite the basis is those coefficients themselves. A
    covariance of beta-hat is `to_coefficients @ core @ to_coefficients'`.
    """

    coef_names: tuple[str, ...]
    beta: Array  # (p,)
    phi: float  # scale: Var(y) = phi V(mu) / w
    alpha: Array  # (q,) parameters of the working correlation
    alpha_names: tuple[str, ...]  # (q,)
    fitted: Array  # (n,) means, over the rows used
    linear: Array  # (n,) their linear predictors
    pearson: Array  # (n,) sqrt(w / V) (y - mu)
    scores: Array  # (K, p)
    centring: Centring
    root: Array  # (p, p)
    bread: Array  # (p, p) A^-1 in the basis: I, unless the working correlation is none and A indefinite
    sizes: npt.NDArray[np.int64]  # (K,) rows of the clusters
    n_obs: float  # rows, those of a cluster as often as its frequency weight says
    iterations: int
    converged: bool
    margin: float  # positive if the working correlation is positive definite

    @property
    def n_coefficients(self) -> int:
        """Number of coefficients p."""
        return len(self.beta)

    @property
    def n_clusters(self) -> int:
        """Number of clusters K."""
        return len(self.sizes)

    @property
    def n_parameters(self) -> int:
        """Coefficients, parameters of the correlation, and the scale."""
        return self.n_coefficients + len(self.alpha) + 1

    @property
    def sigma(self) -> float:
        """Root of the scale."""
        return float(np.sqrt(self.phi))

    @property
    def loglik(self) -> float:
        """There is none."""
        raise ModelError(NO_LIKELIHOOD)

    @property
    def definite(self) -> bool:
        """Whether A is positive definite, so that there is a basis where it is I."""
        return bool((self.bread == np.eye(self.n_coefficients)).all())

    @property
    def to_coefficients(self) -> Array:
        """(p, p) from the basis to coefficients."""
        return self.in_basis(np.eye(self.n_coefficients))

    @property
    def vcov(self) -> Array:
        """(p, p) model-based covariance of beta-hat: right if the working correlation and variance are."""
        root = self.to_coefficients
        return np.asarray(self.phi * (root @ self.bread @ root.T))

    def in_basis(self, L: Array) -> Array:
        """Rows of linear combinations of the coefficients (k, p) in the basis."""
        return np.asarray(self.centring.contrasts(L) @ self.root)


def assemble_gee(
    problem: EstimatingProblem, solution: EstimatingSolution, coef_names: tuple[str, ...], n_used: int
) -> GEERecord:
    """Gather what was found, in the units of the data and over the `n_used` rows used in their order."""
    rows = working_rows_at(problem, solution.beta)
    sums = sums_at(problem, rows, solution.alpha, ByCluster.scores)
    root = inverse_root(sums.information)
    bread = np.eye(len(solution.beta)) if root is not None else np.asarray(np.linalg.inv(sums.information))
    eta = problem.X @ solution.beta
    if problem.offset is not None:
        eta = eta + problem.offset
    weighted = rows.pearson if problem.weights is None else np.sqrt(problem.weights) * rows.pearson
    back = problem.layout.order
    return GEERecord(
        coef_names=coef_names,
        beta=problem.centring.coefficients(solution.beta, 0.0),
        phi=solution.phi,
        alpha=solution.alpha,
        alpha_names=problem.structure.names,
        fitted=as_used(problem.family.link.inverse(eta), back, n_used),
        linear=as_used(eta, back, n_used),
        pearson=as_used(weighted, back, n_used),
        scores=sums.scores @ (bread if root is None else root),
        centring=problem.centring,
        root=np.eye(len(solution.beta)) if root is None else root,
        bread=bread,
        sizes=problem.layout.sizes,
        n_obs=float(problem.layout.n_rows),
        iterations=solution.iterations,
        converged=solution.converged,
        margin=solution.margin,
    )


def inverse_root(A: Array) -> Array | None:
    """(p, p) upper triangular R^-1 with A = R'R; None if A is not positive definite."""
    unit = np.sqrt(np.abs(A.diagonal()))
    try:
        R = np.linalg.cholesky(A / np.outer(unit, unit)).T * unit
    except np.linalg.LinAlgError:
        return None
    return np.asarray(np.linalg.inv(R))


def as_used(values: Array, order: npt.NDArray[np.int64] | None, n_used: int) -> Array:
    """Numbers in the order of estimation back in the order of the rows used (n,)."""
    if order is None:
        return values
    out = np.empty(n_used)
    out[order] = values
    return out
