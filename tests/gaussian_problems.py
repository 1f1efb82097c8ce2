"""Random mixed-model problems for the compiled kernel, and the same problems by dense algebra.

A `Problem` holds plain arrays. `kernel_of` hands them to the compiled core; `Dense` writes each formula as
the textbooks do, with V = W^-1 + Z Lambda Lambda' Z' and the augmented matrix A of the NumPy twins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.linalg import block_diag

from multilevel.kernels import reference
from multilevel.kernels.gaussian import (
    Array,
    Codes,
    FactorColumns,
    GaussianKernel,
    ScaledColumns,
    StructureCode,
    TermLayout,
)


@dataclass(frozen=True, slots=True)
class TermPlan:
    """One term of a problem: how many columns, and their structure."""

    width: int
    structure: Literal["us", "diag", "cs", "ar1"] = "us"
    hom: bool = False

    @property
    def n_parameters(self) -> int:
        q, deviations = self.width, 1 if self.hom else self.width
        return {"us": q * (q + 1) // 2, "diag": deviations}.get(self.structure, deviations + 1)


@dataclass(frozen=True, slots=True)
class FactorPlan:
    """One grouping factor: its levels, its terms, and how its levels relate to those of the factor before."""

    n_levels: int
    terms: tuple[TermPlan, ...]
    relation: Literal["crossed", "nests", "within"] = "crossed"
    # "nests": each level of the factor before lies in one of mine;
    # "within": mine are crossed with it inside the groups of the factor after me


@dataclass(frozen=True, slots=True)
class Problem:
    """Arrays of a mixed model."""

    X: Array  # (n, p)
    y: Array  # (n,)
    weights: Array | None
    n_obs: float
    codes: tuple[Codes, ...]  # per factor: (n,)
    n_levels: tuple[int, ...]
    Z: tuple[Array, ...]  # per factor: (n, Q)
    terms: tuple[tuple[TermPlan, ...], ...]  # per factor

    @property
    def n_parameters(self) -> int:
        return sum(term.n_parameters for terms in self.terms for term in terms)


def random_problem(
    factors: Sequence[FactorPlan],
    *,
    n: int = 150,
    p: int = 2,
    weighted: bool = False,
    seed: int = 0,
    deviation: float = 1.0,
) -> Problem:
    """A problem with given factors, most levels first, and random effects of a given standard deviation."""
    rng = np.random.default_rng(seed)
    codes = grouping_codes(factors, n, rng)
    Z = []
    for plan in factors:
        columns = rng.normal(size=(n, sum(term.width for term in plan.terms)))
        columns[:, 0] = 1.0
        Z.append(np.asfortranarray(columns))
    X = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(size=(n, 5))])[:, :p])
    weights = rng.uniform(0.5, 2.0, n) if weighted else None
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    for plan, code, columns in zip(factors, codes, Z, strict=True):
        effects = deviation * rng.normal(size=(plan.n_levels, columns.shape[1]))
        y += (columns * effects[code]).sum(axis=1)
    return Problem(
        X,
        y,
        weights,
        float(n),
        codes,
        tuple(plan.n_levels for plan in factors),
        tuple(Z),
        tuple(plan.terms for plan in factors),
    )


def grouping_codes(factors: Sequence[FactorPlan], n: int, rng: np.random.Generator) -> tuple[Codes, ...]:
    """Codes (n,) of each factor, every level present, sizes uneven."""
    codes: list[Codes] = []
    for k, plan in enumerate(factors):
        J = plan.n_levels
        if plan.relation == "nests":
            code = codes[k - 1] % J
        elif plan.relation == "within":
            outer = factors[k + 1].n_levels
            group = codes[k - 1] % outer  # the group of the factor after me, where I am crossed
            code = group + outer * rng.integers(0, J // outer, n)
        else:
            code = np.concatenate([np.arange(J), (J * rng.random(n - J) ** 1.5).astype(int)])
            rng.shuffle(code)
        codes.append(np.ascontiguousarray(code, dtype=np.int32))
    if len(codes) > 2 and factors[1].relation == "within":
        codes[2] = np.ascontiguousarray(codes[0] % factors[2].n_levels, dtype=np.int32)
    return tuple(codes)


def as_given(values: Array) -> ScaledColumns:
    """Columns neither shifted nor scaled."""
    k = values.shape[1]
    return ScaledColumns(np.asfortranarray(values), np.zeros(k), np.ones(k))


def factor_columns(problem: Problem) -> list[FactorColumns]:
    return [
        FactorColumns(code, J, as_given(Z))
        for code, J, Z in zip(problem.codes, problem.n_levels, problem.Z, strict=True)
    ]


def layouts(problem: Problem) -> list[TermLayout]:
    """The terms, each factor's side by side."""
    out = []
    for k, terms in enumerate(problem.terms):
        first = 0
        for term in terms:
            out.append(TermLayout(k, first, term.width, StructureCode[term.structure], term.hom))
            first += term.width
    return out


def kernel_of(problem: Problem) -> GaussianKernel:
    """The problem in the compiled core."""
    return GaussianKernel(
        as_given(problem.X),
        as_given(problem.y[:, None]),
        problem.weights,
        problem.n_obs,
        factor_columns(problem),
        layouts(problem),
    )


def permuted(problem: Problem, order: Array) -> Problem:
    """The same rows in another order."""
    weights = None if problem.weights is None else problem.weights[order]
    return replace(
        problem,
        X=problem.X[order],
        y=problem.y[order],
        weights=weights,
        codes=tuple(np.ascontiguousarray(code[order]) for code in problem.codes),
        Z=tuple(Z[order] for Z in problem.Z),
    )


def some_theta(problem: Problem, seed: int = 0) -> Array:
    """Parameters of either sign, away from zero."""
    rng = np.random.default_rng(seed + 1000)
    k = problem.n_parameters
    return np.asarray(rng.uniform(0.2, 1.2, k) * rng.choice([-1.0, 1.0], k))


@dataclass(frozen=True)
class Dense:
    """A problem at one theta, by dense matrices."""

    problem: Problem
    theta: Array
    reml: bool = False

    @cached_property
    def Z(self) -> Array:
        """(n, q): all random effects, factor by factor, level by level."""
        parts = zip(self.problem.Z, self.problem.codes, self.problem.n_levels, strict=True)
        return np.column_stack([reference.spread(Z, code, J) for Z, code, J in parts])

    @cached_property
    def factor_T(self) -> list[Array]:
        """Per factor: block-diagonal T of its terms (Q, Q)."""
        out, at = [], 0
        for terms in self.problem.terms:
            blocks = []
            for term in terms:
                part = self.theta[at : at + term.n_parameters]
                blocks.append(reference.term_factor(term.structure, term.hom, term.width, part))
                at += term.n_parameters
            out.append(block_diag(*blocks))
        return out

    @cached_property
    def Lambda(self) -> Array:
        """(q, q) with Cov(b) = sigma^2 Lambda Lambda'."""
        spread = zip(self.problem.n_levels, self.factor_T, strict=True)
        return np.asarray(block_diag(*(np.kron(np.eye(J), T) for J, T in spread)))

    @cached_property
    def A(self) -> Array:
        """The augmented matrix (q + p + 1, q + p + 1)."""
        return reference.augmented_matrix(
            self.problem.X, self.problem.y, self.Z, self.Lambda, self.problem.weights
        )

    @cached_property
    def V(self) -> Array:
        """Cov(y) / sigma^2: (n, n)."""
        n = len(self.problem.y)
        precision = np.ones(n) if self.problem.weights is None else self.problem.weights
        half = self.Z @ self.Lambda
        return np.diag(1.0 / precision) + half @ half.T

    @property
    def q(self) -> int:
        return self.Z.shape[1]

    @property
    def p(self) -> int:
        return self.problem.X.shape[1]

    @property
    def df(self) -> float:
        return self.problem.n_obs - (self.p if self.reml else 0)

    def moved(self, theta: Array) -> Dense:
        return replace(self, theta=theta)

    def criterion(self) -> float:
        return reference.profiled_criterion(self.A, self.q, self.p, self.problem.n_obs, self.reml)

    def gradient(self) -> Array:
        """By the twin's formula, with numerical slopes of A: the criterion itself is not differenced."""
        slopes = [(self.moved(up).A - self.moved(down).A) / 2e-5 for up, down in self.around(1e-5)]
        return reference.criterion_gradient(self.A, slopes, self.q, self.p, self.problem.n_obs, self.reml)

    def around(self, step: float) -> list[tuple[Array, Array]]:
        """Theta a step up and down in each parameter."""
        return [(self.theta + move, self.theta - move) for move in step * np.eye(len(self.theta))]

    def average_information(self) -> Array:
        """m y'P V_i P V_j P y / r^2 - m b_i b_j / r^4, with b_i = y'P V_i P y and r^2 = y'P y."""
        X, y = self.problem.X, self.problem.y
        W = np.linalg.inv(self.V)
        P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
        Py = P @ y
        r2 = float(y @ Py)
        change = [(self.moved(up).V - self.moved(down).V) @ Py / 2e-5 for up, down in self.around(1e-5)]
        v = np.array(change)
        b = v @ Py
        return np.asarray(self.df * (v @ P @ v.T / r2 - np.outer(b, b) / r2**2))

    def by_level(self, stacked: Array) -> list[Array]:
        """Values (q, ...) of all random effects, per factor as (J, Q, ...)."""
        out, at = [], 0
        for J, Z in zip(self.problem.n_levels, self.problem.Z, strict=True):
            Q = Z.shape[1]
            out.append(stacked[at : at + J * Q].reshape(J, Q, *stacked.shape[1:]))
            at += J * Q
        return out
