"""What does a likelihood ratio follow when parameters lie on the boundary of a cone? Chi-bar-square.

With z normal and K a closed convex cone, the squared length of the projection of z on K is a mixture of
chi-squares, sum_k w_k chi2_k (Shapiro 1985). Here K is a product of cones of positive semidefinite matrices,
one for each covariance that is zero under the null hypothesis (of size 1: a variance), in the metric of their
efficient information. Weights are exact for up to three variances and for one 2 x 2 covariance, else they
are estimated from projections of a fixed set of draws.

Shapiro, A. (1985). Asymptotic distribution of test statistics in the analysis of moment structures under
inequality constraints. Biometrika 72, 133-144.
Silvapulle, M. J. and Sen, P. K. (2005). Constrained Statistical Inference. Wiley, chapter 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc, gammaln

from multilevel._typing import Array, Mask

CURVE_POINTS = 720  # of the boundary of a cone: the sums over a period converge faster than any power
DRAWS = 5_000  # of the vector whose projections give the weights of other cones
STEPS = 400  # of the projections, at most; they end when nothing moves
NOTHING = 1e-9  # squared length below which a projection is the origin
STILL = 1e-6  # relative step at which a projection has arrived
EM_STEPS = 500


def mixture_tail(statistic: float, weights: Array, free: int = 0) -> float:
    """P(X >= statistic) for the mixture of chi-squares with free, free + 1, ... degrees of freedom.

    >>> round(mixture_tail(2.7055, np.array([0.5, 0.5])), 4)
    0.05
    """
    tails = [chi_square_tail(statistic, free + k) for k in range(len(weights))]
    return float(min(weights @ np.array(tails), 1.0))


def chi_square_tail(statistic: float, df: int) -> float:
    """P(X >= statistic); without degrees of freedom X is zero."""
    return float(chdtrc(df, statistic)) if df > 0 else float(statistic <= 0.0)


def cone_weights(sizes: Sequence[int], information: Array) -> Array:
    """Weights (d + 1,) of chi-squares with 0 .. d degrees of freedom.

    `sizes` are those of the covariances that are zero under the null; `information` (d, d) is the efficient
    information of their lower triangles, row by row, one after the other.
    """
    metric = in_own_units(sizes, information)
    if max(sizes) == 1 and len(sizes) <= 3:
        return orthant_weights(np.asarray(np.linalg.inv(metric)))
    if list(sizes) == [2]:
        return elliptic_weights(metric)
    return simulated_weights(sizes, metric)


def in_own_units(sizes: Sequence[int], information: Array) -> Array:
    """The same with random effects in units in which each variance has information 1."""
    units, at = [], 0
    for r in sizes:
        rows, columns = np.tril_indices(r)
        variances = at + np.flatnonzero(rows == columns)
        unit = np.diag(information)[variances] ** -0.25
        units.append(unit[rows] * unit[columns])
        at += len(rows)
    scale = np.concatenate(units)
    return np.asarray(information * np.outer(scale, scale))


# ---- exact weights ----


def orthant_weights(covariance: Array) -> Array:
    """Up to three variances whose estimates have this covariance (r, r), were they free of a bound.

    >>> orthant_weights(np.eye(2))
    array([0.25, 0.5 , 0.25])
    """
    r = len(covariance)
    if r == 1:
        return np.array([0.5, 0.5])
    angles = pair_angles(covariance)
    if r == 2:
        both = float(0.5 - angles[0] / (2.0 * np.pi))
        return np.array([0.5 - both, 0.5, both])
    # the angles between faces follow from partial correlations, which the inverse holds with the sign turned
    faces = np.pi - pair_angles(np.asarray(np.linalg.inv(covariance)))
    all_three = (2.0 * np.pi - angles.sum()) / (4.0 * np.pi)
    two = (3.0 * np.pi - faces.sum()) / (4.0 * np.pi)
    return np.array([0.5 - two, 0.5 - all_three, two, all_three])


def pair_angles(covariance: Array) -> Array:
    """Arc cosine of the correlation of each pair."""
    sd = np.sqrt(np.diag(covariance))
    pairs = np.triu_indices(len(sd), 1)
    return np.asarray(np.arccos(np.clip((covariance / np.outer(sd, sd))[pairs], -1.0, 1.0)))


def elliptic_weights(information: Array) -> Array:
    """One 2 x 2 covariance (a, b, c): an elliptic cone in three dimensions.

    The share of directions inside is the area that the curve of matrices of rank one, cos^2, cos sin, sin^2,
    encloses on the unit sphere; by Gauss and Bonnet it is 2 pi less the integral of its geodesic curvature.
    The curve's length is 2 pi less the same area for the polar cone.
    """
    phi = np.arange(CURVE_POINTS) * np.pi / CURVE_POINTS
    root = np.linalg.cholesky(information)
    sine, cosine = np.sin(2.0 * phi), np.cos(2.0 * phi)
    x = np.column_stack([(1.0 + cosine) / 2.0, sine / 2.0, (1.0 - cosine) / 2.0]) @ root
    first = np.column_stack([-sine, cosine, sine]) @ root
    second = 2.0 * np.column_stack([-cosine, -sine, cosine]) @ root
    size2 = (x * x).sum(axis=1)
    # speed and curvature of the curve x / |x|, from those of x
    speed = (
        np.sqrt(np.maximum((first * first).sum(axis=1) * size2 - (x * first).sum(axis=1) ** 2, 0.0)) / size2
    )
    turning = np.abs(np.linalg.det(np.stack([x, first, second], axis=1))) / (size2**1.5 * speed**2)
    step = np.pi / CURVE_POINTS
    inside = 0.5 - float(turning.sum() * step) / (4.0 * np.pi)
    two = float(speed.sum() * step) / (4.0 * np.pi)
    return np.array([0.5 - two, 0.5 - inside, two, inside])


# ---- estimated weights ----


def simulated_weights(sizes: Sequence[int], information: Array) -> Array:
    """Weights from projections of draws, for cones without a formula; the draws never change.

    Off-diagonal entries are counted by the square root of two, so that the sum of squares of the entries of
    a matrix is that of its vector.
    """
    d = len(information)
    twice = np.concatenate([np.where(np.equal(*np.tril_indices(r)), 1.0, np.sqrt(2.0)) for r in sizes])
    metric = information / np.outer(twice, twice)
    root = np.linalg.cholesky(metric)
    draws = np.random.default_rng(0).standard_normal((DRAWS, d)) @ np.linalg.inv(root)
    nearest = project(draws, sizes, metric, twice)
    if max(sizes) == 1:
        faces = np.bincount((nearest > 0.0).sum(axis=1), minlength=d + 1)
        return balanced(faces / DRAWS)
    inside = ((nearest - draws) ** 2).sum(axis=1) <= NOTHING
    return balanced(fitted_weights(((nearest @ root) ** 2).sum(axis=1), inside, d))


def balanced(weights: Array) -> Array:
    """Weights whose even and odd places sum to one half each, as those of every cone do."""
    out = weights.copy()
    for first in (0, 1):
        out[first::2] *= 0.5 / weights[first::2].sum()
    return out


def project(points: Array, sizes: Sequence[int], metric: Array, twice: Array) -> Array:
    """The nearest points (B, d) in the cone, by accelerated gradient steps that restart on overshooting."""
    step = 1.0 / np.linalg.eigvalsh(metric)[-1]
    x = into_cone(points, sizes, twice)
    ahead, momentum = x, np.ones((len(points), 1))
    for _ in range(STEPS):
        new = into_cone(ahead - step * (ahead - points) @ metric, sizes, twice)
        overshot = (((ahead - new) * (new - x)).sum(axis=1) > 0.0)[:, None]
        momentum = np.where(overshot, 1.0, momentum)
        grown = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        moved = new - x
        ahead, x = new + np.where(overshot, 0.0, (momentum - 1.0) / grown) * moved, new
        momentum = grown
        if (moved * moved).max() < STILL**2 * max(float((x * x).max()), 1e-300):
            break
    return x


def into_cone(points: Array, sizes: Sequence[int], twice: Array) -> Array:
    """Each covariance without its negative eigenvalues (nearest by the sum of squares of all its entries)."""
    entries, out, at = points / twice, np.empty_like(points), 0
    for r in sizes:
        d = r * (r + 1) // 2
        rows, columns = np.tril_indices(r)
        matrices = np.zeros((len(points), r, r))
        matrices[:, rows, columns] = matrices[:, columns, rows] = entries[:, at : at + d]
        values, vectors = np.linalg.eigh(matrices)
        kept = (vectors * np.maximum(values, 0.0)[:, None, :]) @ vectors.transpose(0, 2, 1)
        out[:, at : at + d] = kept[:, rows, columns]
        at += d
    return out * twice


def fitted_weights(squares: Array, inside: Mask, d: int) -> Array:
    """Weights of chi-squares with 0 .. d degrees of freedom that make the squares (B,) most likely.

    A draw inside the cone is its own projection and has d degrees of freedom, one that is projected on the
    origin none; the others are a mixture of what is between, fitted by the EM algorithm.
    """
    zero = squares <= NOTHING
    between = squares[~inside & ~zero][:, None]
    half = np.arange(1.0, d) / 2.0
    log_density = (half - 1.0) * np.log(between) - between / 2.0 - half * np.log(2.0) - gammaln(half)
    density, weights = np.exp(log_density), np.full(d - 1, 1.0 / (d - 1))
    for _ in range(EM_STEPS):
        posterior = density * weights
        weights = (posterior / posterior.sum(axis=1, keepdims=True)).mean(axis=0)
    shares = [zero.mean(), *(len(between) / len(squares) * weights), inside.mean()]
    return np.array(shares)
