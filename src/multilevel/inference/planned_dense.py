"""Standard errors and degrees of freedom at true variances by matrices over all rows: crossed factors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.inference.refit_inference import ManyInference, inverted, told, with_scale_slope
from multilevel.kernels.threads import one_blas_thread
from multilevel.simulation.truth import Truth

MOST_ROWS = 1500  # beyond which n by n matrices take more than an instant


def dense_inference(design: Design, truth: Truth, L: Array) -> ManyInference | None:
    """For L (k, p), with the expected information; None for many rows, and for structures such as ar1."""
    if any(term.structure not in ("us", "diag") or term.hom for term in design.terms):
        return None
    n, p = design.X.shape
    if n > MOST_ROWS and design.terms:
        return None
    if not design.terms:
        WX = design.X if design.weights is None else design.X * design.weights[:, None]
        root = np.asarray(np.linalg.cholesky(design.X.T @ WX), dtype=np.float64)
        return at_information(L, root, truth.sigma, np.empty((0, 0)), np.empty(0), np.empty((0, p, p)), n - p)
    with one_blas_thread(n):
        V = np.eye(n) if design.weights is None else np.diag(1.0 / design.weights)
        changes = []
        for term, fit in zip(design.terms, truth.terms, strict=True):
            half = fit.root / truth.sigma
            same = same_level(design, term)
            V += same * (term.Z @ half @ half.T @ term.Z.T)
            changes += [same * (term.Z @ half @ D @ half.T @ term.Z.T) for D in symmetric(term, half)]
        W = np.linalg.inv(V)
        WX = W @ design.X
        root = np.asarray(np.linalg.cholesky(design.X.T @ WX), dtype=np.float64)
        basis = np.linalg.solve(root, WX.T)  # R^-1 X'W
        P = W - basis.T @ basis
        slopes = np.array([basis @ change @ basis.T for change in changes])
        PV = [P @ change for change in changes]
    trace = np.array([float(np.trace(each)) for each in PV])
    WV = [W @ change for change in changes]
    before = np.array([float(np.einsum("ab,ba->", each, each)) for each in WV])
    expected = np.array([[float(np.einsum("ab,ba->", a, b)) for b in PV] for a in PV])
    found = at_information(L, root, truth.sigma, expected, trace, slopes, n - p)
    unknown = ~told(expected[None], before[None])
    return replace(found, df=np.where(unknown[:, None], np.nan, found.df))


def same_level(design: Design, term: RandomTerm) -> Array:
    """1 where two rows (n, n) share a level of the term's factor."""
    codes = design.groupings[term.grouping].codes
    return np.asarray(codes[:, None] == codes[None, :], dtype=np.float64)


def symmetric(term: RandomTerm, root: Array) -> list[Array]:
    """Directions D (q, q) of root D root': all of an unstructured term, the variances of a diagonal one."""
    q = term.n_columns
    if term.structure == "diag":
        back = np.linalg.pinv(root)
        return [np.outer(b, b) * float(root[a] @ root[a]) for a, b in enumerate(back.T)]
    units = np.eye(q)
    pairs = [(a, b) for b in range(q) for a in range(b + 1)]
    return [0.5 * (np.outer(units[a], units[b]) + np.outer(units[b], units[a])) for a, b in pairs]


def at_information(
    L: Array, root: Array, sigma: float, expected: Array, trace: Array, slopes: Array, df: float
) -> ManyInference:
    """From X'V^-1 X = root root' and the information on log sigma^2 and the directions."""
    k = len(trace)
    matrix = np.empty((1, 1 + k, 1 + k))
    matrix[0, 0, 0] = df
    matrix[0, 0, 1:] = matrix[0, 1:, 0] = trace
    matrix[0, 1:, 1:] = expected
    inverse, good = inverted(matrix)
    rows = np.asarray(sigma * np.linalg.solve(root, L.T).T[None], dtype=np.float64)
    all_slopes = with_scale_slope(slopes[None])
    v = np.asarray((rows * rows).sum(axis=2))
    g = np.einsum("bkp,bmpq,bkq->bmk", rows, all_slopes, rows)
    found = np.where(good[:, None], 1.0, np.nan) * v**2 / np.einsum("bmk,bmn,bnk->bk", g, inverse, g)
    return ManyInference(
        np.asarray(np.sqrt(v)), np.asarray(found, dtype=np.float64), rows, all_slopes, inverse
    )
