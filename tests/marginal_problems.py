"""Random generalized mixed models of one grouping factor for the compiled core, and SciPy's integrals.

A `Problem` holds plain arrays; `kernel_of` hands them to the core; `integral` integrates the random effects
of one group out by brute force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import integrate

from multilevel.kernels.density import DensityCode, log_density
from multilevel.kernels.gaussian import ScaledColumns, StructureCode, TermLayout
from multilevel.kernels.marginal import MarginalKernel, PriorPenalty, RandomColumns, RowPredictor

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows of a model with one grouping factor and unstructured or diagonal terms."""

    density: DensityCode
    y: Array  # (n,)
    designs: tuple[Array, ...]  # per predictor (n, p_k)
    coefficients: tuple[Codes, ...]  # per predictor, places in gamma
    codes: Codes  # (n,)
    Z: Array  # (n, q)
    of_predictor: tuple[int, ...]  # (q,)
    terms: tuple[TermLayout, ...]
    trials: Array | None = None
    power: Array | None = None
    offset: Array | None = None  # of the mean
    prior: PriorPenalty | None = None

    @property
    def n_groups(self) -> int:
        return int(self.codes.max()) + 1

    @property
    def n_coefficients(self) -> int:
        return 1 + max(int(places.max()) for places in self.coefficients if len(places))


def plain(columns: Array) -> ScaledColumns:
    """Columns that are neither shifted nor scaled."""
    p = columns.shape[1]
    return ScaledColumns(np.asfortranarray(columns, dtype=float), np.zeros(p), np.ones(p))


def kernel_of(problem: Problem, nodes: int) -> MarginalKernel:
    """The compiled criterion of a problem."""
    predictors = [
        RowPredictor(problem.offset if k == 0 else None, plain(X), places)
        for k, (X, places) in enumerate(zip(problem.designs, problem.coefficients, strict=True))
    ]
    factor = RandomColumns(problem.codes, problem.n_groups, plain(problem.Z), problem.of_predictor)
    return MarginalKernel(
        problem.density,
        problem.y,
        problem.trials,
        problem.power,
        predictors,
        [factor],
        problem.terms,
        problem.n_coefficients,
        nodes,
        problem.prior,
    )


def one_predictor(
    family: str,
    link: str,
    y: Array,
    X: Array,
    codes: Codes,
    Z: Array,
    *,
    trials: Array | None = None,
    terms: Sequence[TermLayout] | None = None,
    others: int = 0,
) -> Problem:
    """A problem whose mean has all columns and whose `others` predictors have an intercept each."""
    n, p = X.shape
    ones = np.ones((n, 1))
    return Problem(
        DensityCode(family, link),
        y,
        (X, *(ones for _ in range(others))),
        (np.arange(p, dtype=np.int32), *(np.array([p + k], dtype=np.int32) for k in range(others))),
        np.asarray(codes, dtype=np.int32),
        Z,
        (0,) * Z.shape[1],
        tuple(terms or [TermLayout(0, 0, Z.shape[1], StructureCode.us, False)]),
        trials,
    )


def random_problem(
    family: str,
    link: str,
    *,
    columns: int = 1,
    groups: int = 25,
    rows: int = 6,
    others: int = 0,
    seed: int = 1,
) -> Problem:
    """Groups of unequal sizes, intercept and covariates, responses in the family's range."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(groups), rng.integers(1, 2 * rows, groups))).astype(np.int32)
    n = len(codes)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    Z = X[:, :columns]
    eta = X @ [0.2, 0.4, -0.3] + (Z * rng.normal(0, 0.8, (groups, columns))[codes]).sum(1)
    trials = rng.integers(1, 9, n).astype(float) if family in ("binomial", "beta_binomial") else None
    match family:
        case "binomial" | "beta_binomial":
            y = rng.binomial(trials.astype(int), 1 / (1 + np.exp(-eta))).astype(float)
        case "gaussian" | "student":
            y = eta + rng.normal(size=n)
        case "gamma":
            y = np.exp(eta) * rng.gamma(3, 1 / 3, n)
        case _:
            y = rng.poisson(np.exp(eta)).astype(float)
    return one_predictor(family, link, y, X, codes, Z, trials=trials, others=others)


def predictors_of(problem: Problem, gamma: Array) -> Array:
    """All predictors of all rows without random effects: (K, n)."""
    out = np.array(
        [X @ gamma[places] for X, places in zip(problem.designs, problem.coefficients, strict=True)]
    )
    if problem.offset is not None:
        out[0] += problem.offset
    return out


def integral(problem: Problem, T: Array, gamma: Array, group: int) -> float:
    """A group's log-likelihood, its random effects integrated out adaptively or on a dense grid."""
    rows = problem.codes == group
    fixed = predictors_of(problem, gamma)[:, rows]
    loadings = problem.Z[rows] @ T
    y = problem.y[rows]
    trials = None if problem.trials is None else problem.trials[rows]
    power = None if problem.power is None else problem.power[rows]

    def height(u: Array) -> float:
        eta = fixed.copy()
        for c, k in enumerate(problem.of_predictor):
            eta[k] += problem.Z[rows, c] * (T @ u)[c]
        values = log_density(problem.density, y, trials, power, eta)[0]
        return float(values.sum() - 0.5 * u @ u - 0.5 * len(u) * np.log(2 * np.pi))

    assert loadings.shape[1] in (1, 2)
    if loadings.shape[1] == 1:
        grid = np.linspace(-12, 12, 241)
        top = max(height(np.array([u])) for u in grid)
        best = grid[np.argmax([height(np.array([u])) for u in grid])]
        value = integrate.quad(
            lambda u: np.exp(height(np.array([u])) - top),
            best - 12,
            best + 12,
            epsabs=0,
            epsrel=1e-11,
            limit=400,
            points=[best],
        )[0]
        return float(np.log(value) + top)
    width = 7.5
    heights = np.array([[height(width * np.array([a, b])) for a in NODES] for b in NODES])
    top = heights.max()
    return float(np.log(width**2 * WEIGHTS @ np.exp(heights - top) @ WEIGHTS) + top)
