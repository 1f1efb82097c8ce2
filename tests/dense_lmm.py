"""The linear mixed model by plain dense algebra: V = sigma^2 (W^-1 + Z Lambda Lambda' Z').

Slow and simple on purpose: every formula is written as in the textbooks, with n x n matrices, so that it
checks the compiled estimation independently (Laird and Ware 1982, Biometrics 38, 963-974).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag
from scipy.optimize import minimize

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.optimum import Certificate, Optimum
from multilevel.fitted.lmm import LMMRecord, Modes, TermCovariance


@dataclass(frozen=True, slots=True)
class DenseFit:
    """Estimates at given relative factors T of the terms (Sigma = sigma^2 T T')."""

    factors: tuple[Array, ...]
    beta: Array  # (p,)
    vcov: Array  # (p, p)
    sigma: float
    b: Array  # (q,) conditional modes, by term, level and column
    b_variance: Array  # (q, q) conditional variance of b at known beta
    error_variance: Array  # (p + q, p + q) covariance of the errors in (beta-hat, b-hat)
    criterion: float
    pwrss: float


def term_matrices(design: Design) -> list[Array]:
    """Z (n, J q) of each term."""
    spread = []
    for term in design.terms:
        grouping = design.groupings[term.grouping]
        q = term.n_columns
        Z = np.zeros((design.n_rows, grouping.n_levels * q))
        for row, code in enumerate(grouping.codes):
            Z[row, code * q : (code + 1) * q] = term.Z[row]
        spread.append(Z)
    return spread


def dense_fit(design: Design, factors: tuple[Array, ...], *, reml: bool) -> DenseFit:
    """Generalised least squares and its criterion at given relative factors."""
    n_levels = [design.groupings[term.grouping].n_levels for term in design.terms]
    blocks = [np.kron(np.eye(J), T @ T.T) for J, T in zip(n_levels, factors, strict=True)]
    G, Z = block_diag(*blocks), np.hstack(term_matrices(design))
    counts = np.ones(design.n_rows) if design.freq_weights is None else design.freq_weights
    precision = np.ones(design.n_rows) if design.weights is None else design.weights
    y = design.y - (0.0 if design.offset is None else design.offset)
    X, (n, p) = design.X, (float(counts.sum()), design.X.shape[1])
    V = np.diag(1.0 / (counts * precision)) + Z @ G @ Z.T
    V_inverse = np.linalg.inv(V)
    information = X.T @ V_inverse @ X
    beta = np.linalg.solve(information, X.T @ V_inverse @ y)
    residual = y - X @ beta
    pwrss = float(residual @ V_inverse @ residual)
    df = n - p if reml else n
    sigma2 = pwrss / df
    log_det = np.linalg.slogdet(V)[1] + np.log(counts * precision).sum() - (counts * np.log(precision)).sum()
    criterion = df * (1.0 + np.log(2.0 * np.pi * sigma2)) + log_det
    criterion += np.linalg.slogdet(information)[1] if reml else 0.0
    reduction = G @ Z.T @ V_inverse  # b-hat = reduction (y - X beta-hat)
    vcov = sigma2 * np.linalg.inv(information)
    b_variance = sigma2 * (G - reduction @ Z @ G)
    A = reduction @ X
    error = np.block([[vcov, -vcov @ A.T], [-A @ vcov, b_variance + A @ vcov @ A.T]])
    return DenseFit(
        factors,
        beta,
        vcov,
        float(np.sqrt(sigma2)),
        reduction @ residual,
        b_variance,
        error,
        float(criterion),
        pwrss,
    )


def dense_optimum(design: Design, *, reml: bool) -> DenseFit:
    """Search for the optimum over unstructured and diagonal terms; for small data only."""
    sizes = [term.n_columns for term in design.terms]
    diagonal = [term.structure == "diag" for term in design.terms]

    def factors_of(theta: Array) -> tuple[Array, ...]:
        factors, start = [], 0
        for q, only in zip(sizes, diagonal, strict=True):
            T = np.zeros((q, q))
            where = np.diag_indices(q) if only else np.tril_indices(q)
            T[where] = theta[start : start + len(where[0])]
            start += len(where[0])
            factors.append(T)
        return tuple(factors)

    eye = [
        np.eye(q)[np.diag_indices(q) if d else np.tril_indices(q)]
        for q, d in zip(sizes, diagonal, strict=True)
    ]
    start = np.concatenate(eye)
    for _ in range(2):
        search = minimize(
            lambda theta: dense_fit(design, factors_of(theta), reml=reml).criterion, start, tol=1e-12
        )
        start = minimize(
            lambda theta: dense_fit(design, factors_of(theta), reml=reml).criterion,
            search.x,
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000},
        ).x
    return dense_fit(design, factors_of(start), reml=reml)


def record_of(design: Design, fit: DenseFit, *, reml: bool) -> LMMRecord:
    """The record that estimation would assemble from a dense fit."""
    terms = tuple(term_covariance(design, k, T, fit.sigma) for k, T in enumerate(fit.factors))
    offset = 0.0 if design.offset is None else design.offset
    fitted_fixed = design.X @ fit.beta + offset
    theta = np.concatenate([T[np.tril_indices(len(T))] for T in fit.factors])
    return LMMRecord(
        coef_names=design.coef_names,
        beta=fit.beta,
        vcov=fit.vcov,
        sigma=fit.sigma,
        theta=theta,
        theta_names=tuple(map(str, range(len(theta)))),
        terms=terms,
        modes=tuple(modes_of(design, fit, g) for g in range(len(design.groupings))),
        fitted=fitted_fixed + np.hstack(term_matrices(design)) @ fit.b,
        fitted_fixed=fitted_fixed,
        reml=reml,
        criterion=fit.criterion,
        pwrss=fit.pwrss,
        n_obs=design.n_obs,
        n_parameters=len(fit.beta) + sum(parameters(term) for term in terms) + 1,
        optimum=Optimum(theta, fit.criterion, 1, 1, True, "assembled", Certificate(0.0, 0.0, True), (1,)),
    )


def parameters(term: TermCovariance) -> int:
    q = len(term.names)
    return q if term.structure == "diag" else q * (q + 1) // 2


def term_covariance(design: Design, k: int, T: Array, sigma: float) -> TermCovariance:
    term = design.terms[k]
    return TermCovariance(
        label=term.label,
        group=design.groupings[term.grouping].name,
        grouping=term.grouping,
        names=term.names,
        structure=term.structure,
        hom=term.hom,
        factor=T,
        unit=sigma,
        singular=bool(np.linalg.eigvalsh(T @ T.T)[0] < 1e-12),
    )


def modes_of(design: Design, fit: DenseFit, grouping: int) -> Modes:
    """Conditional modes of all terms on one factor, side by side."""
    J = design.groupings[grouping].n_levels
    where, first = [], 0
    for term in design.terms:
        size = design.groupings[term.grouping].n_levels * term.n_columns
        if term.grouping == grouping:
            where.append(first + np.arange(size).reshape(J, term.n_columns))
        first += size
    index = np.hstack(where)
    variance = np.array([fit.b_variance[np.ix_(row, row)] for row in index])
    return Modes(
        grouping,
        tuple(k for k, t in enumerate(design.terms) if t.grouping == grouping),
        fit.b[index],
        variance,
    )
