"""Satterthwaite's and Kenward and Roger's formulas written out with n x n matrices, for small data.

Independent of the package: V is a plain function of its parameters (covariances and variances on the scale of
the data), differentiated numerically, and every product is formed as the papers write it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord

CovarianceOf = Callable[[Array], Array]  # parameters (m,) -> V (n, n)


@dataclass(frozen=True, slots=True)
class DenseModel:
    """A model at its estimates: V of the parameters, and its first and second derivatives."""

    X: Array
    y: Array
    V: Array
    first: list[Array]
    second: list[list[Array]]
    reml: bool

    @property
    def W(self) -> Array:
        return np.linalg.inv(self.V)

    @property
    def vcov(self) -> Array:
        return np.linalg.inv(self.X.T @ self.W @ self.X)

    @property
    def P(self) -> Array:
        WX = self.W @ self.X
        return self.W - WX @ self.vcov @ WX.T


def dense_model(
    design: Design, covariance_of: CovarianceOf, at: Array, *, reml: bool, linear: bool = True
) -> DenseModel:
    """Differentiate V in its parameters: exactly (up to rounding) where it is linear in them."""
    y = design.y - (0.0 if design.offset is None else design.offset)
    steps = 1e-4 * np.maximum(np.abs(at), 1e-3 * np.abs(at).max())
    unit = np.diag(steps)

    def central(f: Callable[[Array], Array], where: Array, i: int) -> Array:
        return np.asarray((f(where + unit[i]) - f(where - unit[i])) / (2.0 * steps[i]))

    first = [central(covariance_of, at, i) for i in range(len(at))]
    zero = np.zeros_like(first[0])
    second = [
        [
            zero if linear else central(lambda a, i=i: central(covariance_of, a, i), at, j)
            for j in range(len(at))
        ]
        for i in range(len(at))
    ]
    return DenseModel(design.X, y, covariance_of(at), first, second, reml)


def hessian(m: DenseModel) -> Array:
    """Second derivatives of minus twice the (restricted) log-likelihood."""
    P, trace_of = m.P, m.P if m.reml else m.W
    e = P @ m.y
    k = len(m.first)
    H = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            Vi, Vj, Vij = m.first[i], m.first[j], m.second[i][j]
            H[i, j] = (
                np.trace(trace_of @ Vij)
                - np.trace(trace_of @ Vi @ trace_of @ Vj)
                + 2.0 * e @ Vi @ P @ Vj @ e
                - e @ Vij @ e
            )
    return H


def satterthwaite_df(m: DenseModel, L: Array) -> Array:
    """2 v^2 / (g' 2 H^-1 g) for each row of L."""
    WX = m.W @ m.X
    slopes = [m.vcov @ WX.T @ Vi @ WX @ m.vcov for Vi in m.first]
    covariance = 2.0 * np.linalg.inv(hessian(m))
    out = []
    for row in L:
        g = np.array([row @ slope @ row for slope in slopes])
        out.append(2.0 * (row @ m.vcov @ row) ** 2 / (g @ covariance @ g))
    return np.array(out)


@dataclass(frozen=True, slots=True)
class DenseKenwardRoger:
    """Phi_A, and what its F tests need."""

    adjusted: Array
    vcov: Array
    P: list[Array]
    covariance: Array  # of the variance parameters


def kenward_roger_of(m: DenseModel) -> DenseKenwardRoger:
    """Kenward and Roger (1997), equations for Phi_A."""
    k, Phi, WX = len(m.first), m.vcov, m.W @ m.X
    information = np.array(
        [[0.5 * np.trace(m.P @ m.first[i] @ m.P @ m.first[j]) for j in range(k)] for i in range(k)]
    )
    covariance = np.linalg.inv(information)
    P = [-WX.T @ Vi @ WX for Vi in m.first]
    total = np.zeros_like(Phi)
    for i in range(k):
        for j in range(k):
            Q = WX.T @ m.first[i] @ m.W @ m.first[j] @ WX
            R = WX.T @ m.second[i][j] @ WX
            total += covariance[i, j] * (Q - P[i] @ Phi @ P[j] - 0.25 * R)
    return DenseKenwardRoger(Phi + 2.0 * Phi @ total @ Phi, Phi, P, covariance)


def kenward_roger_f(kr: DenseKenwardRoger, beta: Array, L: Array) -> tuple[float, float]:
    """The scaled F statistic and its denominator degrees of freedom."""
    q, Phi = len(L), kr.vcov
    Theta = L.T @ np.linalg.inv(L @ Phi @ L.T) @ L
    k = len(kr.P)
    turned = [Theta @ Phi @ P @ Phi for P in kr.P]
    A1 = sum(
        kr.covariance[i, j] * np.trace(turned[i]) * np.trace(turned[j]) for i in range(k) for j in range(k)
    )
    A2 = sum(kr.covariance[i, j] * np.trace(turned[i] @ turned[j]) for i in range(k) for j in range(k))
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
    c1, c2, c3 = np.array([g, q - g, q + 2.0 - g]) / (3.0 * q + 2.0 * (1.0 - g))
    E = 1.0 / (1.0 - A2 / q)
    V = 2.0 / q * (1.0 + c1 * B) / ((1.0 - c2 * B) ** 2 * (1.0 - c3 * B))
    rho = V / (2.0 * E**2)
    df = 4.0 + (q + 2.0) / (q * rho - 1.0)
    scale = df / (E * (df - 2.0))
    wald = float(L @ beta @ np.linalg.inv(L @ kr.adjusted @ L.T) @ L @ beta)
    return scale * wald / q, float(df)


# ---- V of a fitted model ----


def covariance_parameters(design: Design, record: LMMRecord) -> tuple[CovarianceOf, Array]:
    """V as a linear function of the elements of every Sigma and of sigma^2, for us and diag terms."""
    parts = [linear_part(record, k) for k in range(len(design.terms))]
    at = np.concatenate([part for part, _ in parts])
    bases = [basis for _, basis in parts]

    def covariance_of(parameters: Array) -> Array:
        V, first = residual_part(design, record, parameters), 0
        for k, basis in enumerate(bases):
            mine = parameters[first : first + len(basis)]
            V = V + term_part(design, k, np.einsum("i,iab->ab", mine, basis))
            first += len(basis)
        return V

    return covariance_of, np.append(at, record.sigma**2) if record.sigma else at


def linear_part(record: LMMRecord, k: int) -> tuple[Array, Array]:
    """Coefficients and basis matrices of a term's Sigma."""
    term = record.terms[k]
    q = len(term.names)
    if term.structure == "diag" and term.hom:
        return term.covariance[:1, 0], np.eye(q)[None]
    pairs = [(a, b) for a in range(q) for b in range(a, q) if a == b or term.structure == "us"]
    basis = np.zeros((len(pairs), q, q))
    for matrix, (a, b) in zip(basis, pairs, strict=True):
        matrix[a, b] = matrix[b, a] = 1.0
    return np.array([term.covariance[pair] for pair in pairs]), basis


def residual_part(design: Design, record: LMMRecord, parameters: Array) -> Array:
    """The residual's covariance, its variance the last parameter."""
    precision = np.ones(design.n_rows) if design.weights is None else design.weights
    return np.diag((parameters[-1] if record.sigma else 0.0) / precision)


def term_part(design: Design, k: int, Sigma: Array) -> Array:
    """Z (I x Sigma) Z' of one term."""
    term = design.terms[k]
    codes = design.groupings[term.grouping].codes
    return np.asarray((codes[:, None] == codes[None, :]) * (term.Z @ Sigma @ term.Z.T))
