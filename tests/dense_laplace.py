"""Laplace's approximation written out with dense matrices: the twin of the compiled one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel.kernels.density import DensityCode, log_density
from multilevel.kernels.gaussian import ScaledColumns, StructureCode, TermLayout
from multilevel.kernels.marginal import MarginalKernel, PriorPenalty, RandomColumns, RowPredictor

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crossed:
    """A model of n rows with several grouping factors; factors in order of decreasing levels."""

    density: DensityCode
    y: Array
    designs: tuple[Array, ...]  # per predictor (n, p_k)
    coefficients: tuple[npt.NDArray[np.int32], ...]  # per predictor: places in gamma
    codes: tuple[npt.NDArray[np.int32], ...]  # per factor (n,)
    columns: tuple[Array, ...]  # per factor (n, Q)
    of_predictor: tuple[tuple[int, ...], ...]  # per factor: predictor of each column
    terms: tuple[TermLayout, ...]
    prior: PriorPenalty | None = None

    @property
    def n_coefficients(self) -> int:
        return 1 + max(int(each.max()) for each in self.coefficients)

    @property
    def n_theta(self) -> int:
        return sum(term.n_parameters for term in self.terms)

    def kernel(self, joint: Sequence[int] = ()) -> MarginalKernel:
        return MarginalKernel(
            self.density,
            self.y,
            None,
            None,
            [RowPredictor(None, plain(X), at) for X, at in zip(self.designs, self.coefficients, strict=True)],
            [
                RandomColumns(codes, int(codes.max()) + 1, plain(Z), of)
                for codes, Z, of in zip(self.codes, self.columns, self.of_predictor, strict=True)
            ],
            self.terms,
            self.n_coefficients,
            prior=self.prior,
            joint=joint,
        )


def plain(values: Array) -> ScaledColumns:
    k = values.shape[1]
    return ScaledColumns(np.asfortranarray(values), np.zeros(k), np.ones(k))


def factor_roots(model: Crossed, kernel: MarginalKernel, psi: Array) -> list[Array]:
    """T of each factor, its terms along the diagonal."""
    roots = [np.zeros((Z.shape[1], Z.shape[1])) for Z in model.columns]
    for term, T in zip(model.terms, kernel.term_factors(psi), strict=True):
        here = slice(term.first, term.first + term.width)
        roots[term.factor][here, here] = T
    return roots


def loadings(model: Crossed, roots: Sequence[Array]) -> list[Array]:
    """Z Lambda of each predictor: (n, q), all factors side by side, level after level."""
    n, K = len(model.y), len(model.designs)
    wide = []
    for k in range(K):
        blocks = []
        for codes, Z, of, T in zip(model.codes, model.columns, model.of_predictor, roots, strict=True):
            mine = (Z * (np.array(of) == k)) @ T
            block = np.zeros((n, int(codes.max()) + 1, Z.shape[1]))
            block[np.arange(n), codes] = mine
            blocks.append(block.reshape(n, -1))
        wide.append(np.hstack(blocks))
    return wide


@dataclass(frozen=True)
class DenseLaplace:
    criterion: float
    u: Array  # (q,)
    covariance: Array  # (q, q) H^-1
    predictors: Array  # (K, n)


def dense_laplace(model: Crossed, psi: Array) -> DenseLaplace:
    """Newton's method on all random effects at once."""
    kernel = model.kernel()
    gamma = psi[model.n_theta :]
    A = loadings(model, factor_roots(model, kernel, psi))
    fixed = np.array([X @ gamma[at] for X, at in zip(model.designs, model.coefficients, strict=True)])
    K, q = len(A), A[0].shape[1]
    u = np.zeros(q)

    def height(u: Array) -> float:
        at = log_density(model.density, model.y, None, None, fixed + np.array([a @ u for a in A]))
        return float(at[0].sum() - 0.5 * u @ u)

    for _ in range(100):
        d = log_density(model.density, model.y, None, None, fixed + np.array([a @ u for a in A]), 2)
        gradient = sum(a.T @ d[1 + k] for k, a in enumerate(A)) - u
        H = np.eye(q)
        for i in range(K):
            for j in range(K):
                second = d[1 + K + max(i, j) * (max(i, j) + 1) // 2 + min(i, j)]
                H -= A[i].T @ (second[:, None] * A[j])
        values, vectors = np.linalg.eigh(H)
        step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-6))
        if gradient @ step < 1e-22:
            break
        here, length = height(u), 1.0
        while not height(u + length * step) >= here - 1e-10 and length > 1e-8:
            length /= 2.0
        u = u + length * step
    criterion = -2.0 * height(u) + np.linalg.slogdet(H)[1]
    if model.prior is not None:
        criterion += float((model.prior.precision * (gamma - model.prior.centre) ** 2).sum())
        diagonals = np.concatenate([np.diag(T) for T in kernel.term_factors(psi)])
        criterion -= 2.0 * model.prior.avoid_zero * np.log(np.abs(diagonals)).sum()
    return DenseLaplace(criterion, u, np.linalg.inv(H), fixed + np.array([a @ u for a in A]))


def crossed_problem(
    family: str,
    link: str,
    *,
    widths: Sequence[int] = (1, 1),
    levels: Sequence[int] = (9, 5),
    rows: int = 160,
    seed: int = 1,
) -> Crossed:
    """Random rows of crossed factors, each with an intercept and slopes."""
    rng = np.random.default_rng(seed)
    n = rows
    X = np.column_stack([np.ones(n), rng.normal(size=n), rng.normal(size=n)])
    codes = tuple(np.concatenate([np.arange(J), rng.integers(0, J, n - J)]).astype(np.int32) for J in levels)
    columns = tuple(X[:, :width] for width in widths)
    eta = X @ [0.3, 0.5, -0.4]
    for Z, code, J in zip(columns, codes, levels, strict=True):
        eta += (Z * rng.normal(0.0, 0.6, (J, Z.shape[1]))[code]).sum(axis=1)
    density = DensityCode(family, link, categories=4 if family == "ordinal" else 0)
    y = draws(family, eta, rng)
    extra = density.n_predictors - 1
    if family == "ordinal":
        upper = (y[:, None] == np.arange(3)).astype(float)
        lower = (y[:, None] == np.arange(1, 4)).astype(float)
        designs: tuple[Array, ...] = (X[:, 1:], upper, lower)
        thresholds = np.array([2, 3, 4], dtype=np.int32)
        places = (np.array([0, 1], dtype=np.int32), thresholds, thresholds)
    else:
        designs = (X, *[np.ones((n, 1))] * extra)
        places = (np.arange(3, dtype=np.int32), *[np.array([3 + k], dtype=np.int32) for k in range(extra)])
    terms = tuple(
        TermLayout(f, 0, w, StructureCode.us if w > 1 else StructureCode.diag, False)
        for f, w in enumerate(widths)
    )
    of = tuple((0,) * w for w in widths)
    return Crossed(density, y, designs, places, codes, columns, of, terms)


def draws(family: str, eta: Array, rng: np.random.Generator) -> Array:
    """Responses that the family can have."""
    mu, n = np.exp(np.clip(eta, -3.0, 3.0)), len(eta)
    match family:
        case "binomial":
            return (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
        case "poisson":
            return rng.poisson(mu).astype(float)
        case "nbinom2":
            return rng.poisson(mu * rng.gamma(2.0, 0.5, n)).astype(float)
        case "gamma":
            return rng.gamma(3.0, mu / 3.0)
        case "ordinal":
            return np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5, 1.5]).astype(float)
    return eta + rng.standard_t(5, n)
