"""Plain NumPy twins of the compiled kernels: the same mathematics, dense, for tests and readers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]


def spread(Z: Array, codes: Codes, n_levels: int) -> Array:
    """Random-effect columns (n, q) spread over their levels: (n, n_levels * q), level by level."""
    n, q = Z.shape
    out = np.zeros((n, n_levels, q))
    out[np.arange(n), codes] = Z
    return out.reshape(n, n_levels * q)


def augmented_matrix(X: Array, y: Array, Z: Array, Lambda: Array, weights: Array | None = None) -> Array:
    """A = [L'Z'WZL + I, L'Z'W[X y]; ., [X y]'W[X y]] with Z (n, q) spread over levels and L (q, q)."""
    M = np.column_stack([Z @ Lambda, X, y])
    A = M.T @ (M if weights is None else weights[:, None] * M)
    q = Z.shape[1]
    A[:q, :q] += np.eye(q)
    return A


def row_weights(q: int, p: int, df: float, reml: bool) -> Array:
    """Weights of the log-diagonal of R in the criterion: random effects, X, y."""
    return np.concatenate([np.ones(q), np.full(p, float(reml)), [df]])


def profiled_criterion(A: Array, q: int, p: int, n_obs: float, reml: bool) -> float:
    """-2 log-likelihood (or REML criterion) with beta and sigma profiled out, from A = R R'."""
    df = n_obs - p if reml else n_obs
    log_diagonal = np.log(np.diag(np.linalg.cholesky(A)))
    constant = df * (1.0 + np.log(2.0 * np.pi / df))
    return float(2.0 * row_weights(q, p, df, reml) @ log_diagonal + constant)


def criterion_gradient(A: Array, dA: Sequence[Array], q: int, p: int, n_obs: float, reml: bool) -> Array:
    """d criterion / d theta_k = <R^-T W R^-1, dA / d theta_k>."""
    df = n_obs - p if reml else n_obs
    inverse = np.linalg.inv(np.linalg.cholesky(A))
    Abar = inverse.T @ (row_weights(q, p, df, reml)[:, None] * inverse)
    return np.array([float(np.sum(Abar * d)) for d in dA])


def unstructured_factor(theta: Array, q: int) -> Array:
    """Lower triangle filled column by column."""
    T = np.zeros((q, q))
    T[np.triu_indices(q)[::-1]] = theta
    return T


def correlation_at(structure: str, q: int, eta: float) -> float:
    """Correlation of a "cs" or "ar1" term at its angle eta."""
    if structure == "ar1":
        return float(np.cos(eta))
    return float(1.0 - q / (q - 1.0) * np.sin(eta) ** 2)


def correlation_root(structure: str, q: int, eta: float) -> Array:
    """Root L (q, q) of the correlation matrix L L' of a "cs" or "ar1" term at its angle eta."""
    if structure == "ar1":
        lag = np.maximum(np.subtract.outer(np.arange(q), np.arange(q)), 0)
        powers = np.tril(np.cos(eta) ** lag)
        return np.asarray(powers * np.where(np.arange(q) == 0, 1.0, np.sin(eta)))
    a = np.sqrt(q / (q - 1.0)) * np.sin(eta)
    return np.asarray(a * np.eye(q) + (np.sqrt(q) * np.cos(eta) - a) / q)


def term_factor(structure: str, hom: bool, q: int, theta: Array) -> Array:
    """T (q, q) with Sigma = sigma^2 T T', as core/structure.cpp has it."""
    if structure == "us":
        return unstructured_factor(theta, q)
    sd = np.full(q, theta[0]) if hom else theta[:q]
    if structure == "diag":
        return np.diag(sd)
    return np.asarray(np.abs(sd)[:, None] * correlation_root(structure, q, float(theta[-1])))
