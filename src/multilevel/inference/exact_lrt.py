"""What does the (restricted) likelihood ratio of one variance follow in a sample of this size?

In y = X beta + Z b + e with b ~ N(0, lambda sigma^2 I), the likelihood ratio of lambda = 0 depends on the
data through K + 1 independent chi-squares: with mu_s the K positive eigenvalues of Z'(I - X(X'X)^-1 X')Z and
xi_s those of Z'Z,

    RLRT = sup over lambda of (n - p) log(1 + N / D) - sum log(1 + lambda mu_s)
     LRT = sup over lambda of       n log(1 + N / D) - sum log(1 + lambda xi_s)
       N = sum w_s^2 lambda mu_s / (1 + lambda mu_s)
       D = sum w_s^2 / (1 + lambda mu_s) + chi2_(n - p - K).

Drawing the chi-squares draws from the exact distribution under the null, at a cost that does not depend on n.

Crainiceanu, C. M. and Ruppert, D. (2004). Likelihood ratio tests in linear mixed models with one variance
component. Journal of the Royal Statistical Society B 66, 165-185.
Greven, S., Crainiceanu, C. M., Küchenhoff, H. and Peters, A. (2008). Restricted likelihood ratio testing for
zero variance components in linear mixed models. Journal of Computational and Graphical Statistics 17,
870-891.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.estimation.working import effective_weights
from multilevel.fitted.ols import OLSRecord
from multilevel.kernels.threads import one_blas_thread

ZERO = 1e-10  # relative eigenvalue that rounding leaves of zero
SAME = 1e-9  # relative difference of eigenvalues that count as one
MOST_ROWS = 1500  # of a matrix whose eigenvalues take a second
FEWEST_VALUES = 50  # distinct entries that are told apart, whatever the number of coefficients
GRID = 200  # values of lambda, evenly spaced in its logarithm
WIDE = 1e4  # how far lambda mu goes below 1 for the largest mu, and above 1 for the smallest
BLOCK = 500  # draws at a time: a block of N and D stays in the cache


@dataclass(frozen=True, slots=True)
class Spectrum:
    """All that the distribution of the likelihood ratio depends on."""

    mu: Array  # (k,) distinct positive eigenvalues of Z'PZ, P the projection off X
    count: Array  # (k,) how many there are of each
    xi: Array  # (m,) distinct positive eigenvalues of Z'Z
    xi_count: Array  # (m,)
    n: float  # observations
    p: int  # coefficients

    @property
    def n_residual(self) -> float:
        """Degrees of freedom on which lambda has no bearing."""
        return self.n - self.p - float(self.count.sum())


def spectrum(design: Design, linear: OLSRecord, Z: Array, codes: Codes, n_levels: int) -> Spectrum | None:
    """Eigenvalues for effects of the columns Z (n, q) in each level; None where X explains all of Z.

    Each level's cross-product Z_j'WZ_j is diagonalised. Z'PZ is then a diagonal less U U', with as many
    columns in U as there are coefficients: of m equal entries of the diagonal all but p stay eigenvalues, so
    that the matrix to be decomposed has at most p rows for each distinct entry. Where that would still be too
    many, entries that are nearly equal are replaced by their mean; the distribution depends on sums of smooth
    functions of them and does not notice.
    """
    values, U = level_values(design, linear, Z, codes, n_levels)
    xi = made_alike(values, most=max(MOST_ROWS // max(U.shape[1], 1), FEWEST_VALUES))
    mu = eigenvalues_less(xi, U)
    positive = mu > ZERO * xi.max(initial=0.0)
    if not positive.any() or design.n_obs - design.X.shape[1] - positive.sum() < 0.0:
        return None
    distinct, count = merged(mu[positive])
    all_xi, xi_count = merged(xi[xi > 0.0])
    return Spectrum(distinct, count, all_xi, xi_count, design.n_obs, design.X.shape[1])


def level_values(
    design: Design, linear: OLSRecord, Z: Array, codes: Codes, n_levels: int
) -> tuple[Array, Array]:
    """Eigenvalues (J q,) of Z'WZ, and U = V'Z'W Q (J q, p) with V its eigenvectors, Q'WQ = I spanning X."""
    weights = effective_weights(design)
    weighted = Z if weights is None else Z * weights[:, None]
    q = Z.shape[1]
    G = level_sums([weighted[:, i] * Z[:, j] for i in range(q) for j in range(q)], codes, n_levels)
    basis = linear.in_basis(design.X)
    ZQ = level_sums(
        [weighted[:, i] * basis[:, k] for i in range(q) for k in range(basis.shape[1])], codes, n_levels
    )
    values, vectors = np.linalg.eigh(G.reshape(n_levels, q, q))
    U = vectors.transpose(0, 2, 1) @ ZQ.reshape(n_levels, q, basis.shape[1])
    return np.maximum(values.ravel(), 0.0), U.reshape(n_levels * q, -1)


def level_sums(products: list[Array], codes: Codes, n_levels: int) -> Array:
    """Sums within levels: (J, k)."""
    sums = np.zeros((n_levels, len(products)))
    for k, product in enumerate(products):
        sums[:, k] = np.bincount(codes, weights=product, minlength=n_levels)
    return sums


def made_alike(values: Array, most: int) -> Array:
    """Values as they are or, if more than `most` differ, the means of as many classes of equal ratio."""
    positive = values > ZERO * values.max(initial=0.0)
    inside = values[positive]
    if len(np.unique(rounded(inside))) <= most:
        return np.where(positive, values, 0.0)
    edges = np.geomspace(inside.min(), inside.max(), most + 1)[1:-1]
    place = np.searchsorted(edges, inside)
    sums, counts = np.bincount(place, weights=inside, minlength=most), np.bincount(place, minlength=most)
    out = np.zeros_like(values)
    out[positive] = (sums / np.maximum(counts, 1))[place]
    return out


def eigenvalues_less(diagonal: Array, U: Array) -> Array:
    """Eigenvalues (q,) of diag(diagonal) - U U'."""
    values, group = np.unique(rounded(diagonal), return_inverse=True)
    kept: list[Array] = []
    rows: list[Array] = []
    left: list[Array] = []
    for g, value in enumerate(values):
        mine = U[group == g]
        R = np.asarray(np.linalg.qr(mine, mode="r")) if len(mine) > mine.shape[1] else mine
        kept.append(np.full(len(mine) - len(R), value))
        rows.append(R)
        left.append(np.full(len(R), value))
    small, reduced = np.concatenate(left), np.vstack(rows)
    with one_blas_thread(len(small)):
        coupled = np.linalg.eigvalsh(np.diag(small) - reduced @ reduced.T)
    return np.concatenate([*kept, coupled])


def rounded(values: Array) -> Array:
    """Values that agree within rounding made equal: each is the first of its run."""
    order = np.argsort(values)
    ascending = values[order]
    new = np.diff(ascending, prepend=-np.inf) > SAME * ascending.max(initial=0.0)
    out = np.empty_like(values)
    out[order] = ascending[new][np.cumsum(new) - 1]
    return out


def merged(values: Array) -> tuple[Array, Array]:
    """Distinct values and how many there are of each."""
    distinct, count = np.unique(rounded(values), return_counts=True)
    return distinct, count.astype(np.float64)


# ---- the distribution under the null ----


def null_draws(of: Spectrum, n: int, rng: np.random.Generator, *, reml: bool) -> Array:
    """Draws (n,) of the likelihood ratio, restricted or not, when the variance is zero."""
    grid = lambda_grid(of)
    damped = 1.0 / (1.0 + np.outer(of.mu, grid))  # (k, G)
    eigenvalues, count = (of.mu, of.count) if reml else (of.xi, of.xi_count)
    penalty = count @ np.log1p(np.outer(eigenvalues, grid))
    df = of.n - of.p if reml else of.n
    with one_blas_thread(len(of.mu)):
        return np.concatenate([largest(*squares, damped, penalty, df) for squares in chi_squares(of, n, rng)])


def lambda_grid(of: Spectrum) -> Array:
    """Values of lambda from where no effect is noticed to where the effects are all that matters."""
    return np.geomspace(1.0 / (WIDE * of.mu.max()), WIDE / of.mu.min(), GRID)


def chi_squares(of: Spectrum, n: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Blocks of draws: of the squares that belong to each eigenvalue (B, k), and of the rest (B,)."""
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        rest = rng.chisquare(of.n_residual, size) if of.n_residual > 0.0 else np.zeros(size)
        yield rng.chisquare(of.count, (size, len(of.count))), rest


def largest(squares: Array, rest: Array, damped: Array, penalty: Array, df: float) -> Array:
    """Sup over lambda of the likelihood ratio of each draw, refined between points of the grid: (B,)."""
    total = squares.sum(axis=1) + rest
    D = squares @ damped + rest[:, None]
    values = df * np.log(total[:, None] / D) - penalty
    top = np.clip(values.argmax(axis=1), 1, values.shape[1] - 2)
    before, at, after = (values[np.arange(len(top)), top + step] for step in (-1, 0, 1))
    slope, bend = 0.5 * (after - before), np.minimum(before - 2.0 * at + after, -1e-300)
    vertex = at - np.where(np.abs(slope) <= -bend, 0.5 * slope * slope / bend, 0.0)
    return np.asarray(np.maximum(np.maximum(values.max(axis=1), vertex), 0.0))
