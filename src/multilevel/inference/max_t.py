"""How large is the largest of several correlated t statistics, by chance?

The family's statistics are T = (chi_r / s) A u, with u a direction uniform on the sphere in r dimensions, r
the rank of their correlation A A', chi_r^2 and s^2 = chi_df^2 / df independent of it. The largest exceeds t
when F = chi_r^2 / (r s^2) exceeds t^2 / (r M(u)^2), where M(u) = max_j |a_j'u|, so that

    P(max_j |T_j| >= t) = E_u[ P(F_{r, df} >= t^2 / (r M(u)^2)) ].

Directions are drawn once for a family, quasi-randomly, and every p-value and quantile is a mean of a smooth
function over them. Statistics that are combinations of one another, as all pairwise differences are, only
make r smaller. No answer leaves the interval from the unadjusted p-value to Bonferroni's.

References:
    Genz & Bretz (2009), Computation of Multivariate Normal and t Probabilities, section 4.1.
    Hothorn, Bretz & Westfall (2008), Biometrical Journal 50 (single-step adjustment).
    Dunnett (1955), Journal of the American Statistical Association 50, when all are compared with one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpstrf
from scipy.optimize import brentq
from scipy.special import chdtrc, fdtrc, ndtri, stdtrit
from scipy.stats import qmc

from multilevel._typing import Array
from multilevel.inference.wald import two_sided_p

MOST_DIRECTIONS, FEWEST_DIRECTIONS = 2**17, 2**12
LENGTHS = 2**24  # to compute at most, one for each direction and statistic
AT_ONCE = 2**11  # directions
KEPT = 2**11  # values that stand for the distribution of M
SIGNIFICANT = 1e-9  # what is left of a variance of one once others are known: less is rounding


@dataclass(frozen=True, slots=True)
class MaxT:
    """The distribution of the largest of m statistics whose correlation has rank r."""

    m: int
    rank: int
    reach: Array  # (KEPT,) equally likely values of M(u)^2, sorted


def max_t(covariance: Array, seed: int | np.random.SeedSequence) -> MaxT:
    """The family of estimates with this covariance (m, m)."""
    sd = np.sqrt(covariance.diagonal())
    root = thin_root(covariance / np.outer(sd, sd))
    m, rank = root.shape
    n = 2 ** int(np.log2(np.clip(LENGTHS // m, FEWEST_DIRECTIONS, MOST_DIRECTIONS)))
    normals = ndtri(shifted_points(n, rank, np.random.default_rng(seed)))
    squares = np.concatenate([largest_square(part, root) for part in np.split(normals, n // AT_ONCE)])
    return MaxT(m, rank, np.sort(squares).reshape(KEPT, -1).mean(axis=1))


def thin_root(correlation: Array) -> Array:
    """A (m, r) with A A' the correlations, by Cholesky's method with pivots: cheap where the rank is low."""
    factor, pivots, rank, _ = dpstrf(correlation, tol=SIGNIFICANT, lower=1)
    root = np.empty((len(correlation), rank))
    root[pivots - 1] = np.tril(factor)[:, :rank]
    return root


def shifted_points(n: int, dimensions: int, rng: np.random.Generator) -> Array:
    """Sobol's points (n, dimensions) in the open unit cube, moved by one random shift."""
    points = qmc.Sobol(dimensions, scramble=False).random(n)
    return np.asarray(np.clip((points + rng.random(dimensions)) % 1.0, 1e-15, 1.0 - 1e-15))


def largest_square(normals: Array, root: Array) -> Array:
    """M(u)^2 (b,) in the directions of `normals` (b, r), with `root` (m, r)."""
    return np.asarray(((normals @ root.T) ** 2).max(axis=1) / (normals**2).sum(axis=1))


def max_t_p(family: MaxT, statistic: float, df: float) -> float:
    """P(max_j |T_j| >= |statistic|), all with these df, maybe infinite."""
    square = statistic**2 / family.reach
    beyond = chdtrc(family.rank, square) if np.isinf(df) else fdtrc(family.rank, df, square / family.rank)
    alone = float(two_sided_p(np.array([statistic]), np.array([df]))[0])
    return float(np.clip(beyond.mean(), alone, min(1.0, family.m * alone)))


def max_t_quantile(family: MaxT, level: float, df: float) -> float:
    """The t that max_j |T_j| stays below with probability `level`."""
    low, high = (-float(stdtrit(df, 0.5 * (1.0 - level) / share)) for share in (1.0, family.m))
    if max_t_p(family, low, df) <= 1.0 - level:  # one statistic, or copies of one
        return low
    return float(brentq(lambda t: max_t_p(family, t, df) - (1.0 - level), low, 1.001 * high, xtol=1e-10))
