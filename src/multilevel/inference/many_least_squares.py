"""Tests by least squares in thousands of responses at once: naive, robust to clusters, and of cluster means.

With the responses in the columns of Y, estimates are one product with X, and the variances that are robust to
clustering are sums of squares of linear functions of the residuals, which depend on X alone:

    Var(l'beta-hat) = sum_j (a_j'e_j)^2,    a_j = A_j X_j M l,    M = (X'X)^-1,

where A_j = (I - H_jj)^(-1/2) for CR2 (Bell and McCaffrey 2002), whose degrees of freedom (Pustejovsky and
Tipton 2018) do not depend on the response either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes
from multilevel.inference.monte_carlo import Outcomes, t_outcomes

LEFT = 1e-10  # share of an error that is in the residuals, below which it is rounding


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """What estimates and tests of l'beta = value are made of; X has full rank."""

    X: Array  # (n, p)
    inverse: Array  # (p, p) M
    l: Array  # (p,)  # noqa: E741
    value: float


def least_squares(X: Array, l: Array, value: float) -> LeastSquares:  # noqa: E741
    """From the model matrix (n, p) and one hypothesis."""
    triangle = np.linalg.qr(X, mode="r")
    root = np.linalg.inv(triangle)
    return LeastSquares(X, root @ root.T, l, value)


def naive_tests(fit: LeastSquares, Y: Array) -> Outcomes:
    """Student's t test (B,), as if rows were independent."""
    n, p = fit.X.shape
    beta = fit.inverse @ (fit.X.T @ Y)
    residuals = Y - fit.X @ beta
    variance = (residuals * residuals).sum(axis=0) / (n - p) * (fit.l @ fit.inverse @ fit.l)
    return t_outcomes(fit.l @ beta - fit.value, np.sqrt(variance), np.full(Y.shape[1], float(n - p)))


def robust_tests(fit: LeastSquares, codes: Codes, Y: Array) -> Outcomes:
    """t tests (B,) with CR2 and Satterthwaite's degrees of freedom."""
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))[:-1]])
    X = fit.X[order]
    a = adjusted_contrast(X, fit, starts)
    beta = fit.inverse @ (fit.X.T @ Y)
    residuals = Y[order] - X @ beta
    scores = np.add.reduceat(a[:, None] * residuals, starts, axis=0)
    std_error = np.sqrt((scores * scores).sum(axis=0))
    df = robust_df(X, fit.inverse, a, starts)
    return t_outcomes(fit.l @ beta - fit.value, std_error, np.full(Y.shape[1], df))


def adjusted_contrast(X: Array, fit: LeastSquares, starts: npt.NDArray[np.intp]) -> Array:
    """a (n,), rows cluster by cluster."""
    root = np.linalg.cholesky(fit.inverse)
    parts = []
    for block in np.split(X, starts[1:]):
        own = block @ fit.inverse @ fit.l
        U, sizes, _ = np.linalg.svd(block @ root, full_matrices=False)
        left = 1.0 - sizes**2
        factor = np.where(left > LEFT, 1.0 / np.sqrt(np.maximum(left, LEFT)), 0.0) - 1.0
        parts.append(own + U @ (factor * (U.T @ own)))
    return np.concatenate(parts)


def robust_df(X: Array, inverse: Array, a: Array, starts: npt.NDArray[np.intp]) -> float:
    """Satterthwaite's degrees of freedom of sum (a_j'e_j)^2 where errors are independent."""
    W = np.add.reduceat(a[:, None] * X, starts, axis=0)
    G = np.diag(np.add.reduceat(a * a, starts)) - W @ inverse @ W.T
    return float(np.trace(G) ** 2 / (G * G).sum())


def cluster_means(codes: Codes, columns: Array) -> Array:
    """Means (J, k) of columns (n, k), one row a cluster."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.asarray(np.add.reduceat(columns[order], starts, axis=0) / counts[:, None])
