"""In what range does the ratio of the one random variance to the residual variance lie, exactly?

In a model with a single random column, y = X beta + z b + e, let PWRSS(gamma) be the penalised weighted
residual sum of squares at the ratio gamma = Var(b) / sigma^2, and RSS its limit for large gamma: the residual
sum of squares when the effects b are fixed ones. At the true ratio

    F = ((PWRSS(gamma) - RSS) / r) / (RSS / f)

has the F distribution with r and f degrees of freedom, r being what the effects add to the rank of X, and f
what is left. F falls as gamma grows, so the ratios at which it meets two quantiles are exact confidence
limits for any design, balanced or not. In a balanced one-way layout they are Searle's.

Harville, D. A. and Fenech, A. P. (1985). Confidence intervals for a variance ratio, or for heritability, in
an unbalanced mixed linear model. Biometrics 41, 137-152.
Seely, J. F. and El-Bassiouni, Y. (1983). Applying Wald's variance component test. Annals of Statistics 11,
197-201.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.optimize import brentq
from scipy.special import fdtri

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.working import effective_weights, is_one

NOTHING_LEFT = 1e-7  # relative length of a column within levels below which it is constant within them
LEAST, MOST = -6.0, 6.0  # powers of ten of theta between which limits are told from none and from no residual


@dataclass(frozen=True, slots=True)
class WithinLevels:
    """Least squares with the effects of the levels as fixed ones."""

    rss: float
    df_effects: int  # r: what the effects add to the rank of X
    df_residual: float  # f


def exact_theta_limits(design: Design, model: WorkingModel, level: float) -> tuple[float, float]:
    """Limits of the internal theta, the ratio of standard deviations on the working column; 0 or more."""
    within = least_squares_within(design)
    if within.df_effects < 1 or within.df_residual < 1:
        raise ModelError(
            "the levels leave no degrees of freedom for an exact interval, between or within them; "
            'use conf_int="bootstrap".'
        )
    scale = model.response.scale**2

    def excess(theta: float) -> float:
        return model.kernel.solution(np.array([theta])).pwrss / scale / within.rss - 1.0

    ratio = within.df_effects / within.df_residual
    tails = 0.5 * (1.0 + level), 0.5 * (1.0 - level)
    low, high = (
        theta_where(excess, ratio * float(fdtri(within.df_effects, within.df_residual, tail)))
        for tail in tails
    )
    return low, high


def theta_where(excess: Callable[[float], float], target: float) -> float:
    """Where a falling function of theta meets a target; 0 where it begins below."""
    if excess(10.0**LEAST) <= target:
        return 0.0
    if excess(10.0**MOST) >= target:
        return np.inf
    return float(10.0 ** brentq(lambda power: excess(10.0**power) - target, LEAST, MOST, xtol=1e-12))


def least_squares_within(design: Design) -> WithinLevels:
    """Absorb the effects of the one random column, then X."""
    (term,) = design.terms
    codes = design.groupings[term.grouping].codes
    weights = effective_weights(design)
    root = np.ones(design.n_rows) if weights is None else np.sqrt(weights)
    y = design.y if design.offset is None else design.y - design.offset
    columns = np.column_stack([design.X, y])
    if is_one(term.Z[:, 0]):  # the effects take a shift up, and digits are kept
        columns = centred(columns, weights)
    columns = root[:, None] * columns
    rest = without_effects(columns, root * term.Z[:, 0], codes)
    X, response = rest[:, :-1], rest[:, -1]
    length = np.sqrt((columns[:, :-1] ** 2).sum(axis=0))
    X = X[:, np.sqrt((X**2).sum(axis=0)) > NOTHING_LEFT * length]
    basis = orthonormal_basis(X)
    residual = response - basis @ (basis.T @ response)
    n_effects = int(np.count_nonzero(np.bincount(codes, weights=(root * term.Z[:, 0]) ** 2)))
    rank = n_effects + basis.shape[1]
    return WithinLevels(float(residual @ residual), rank - design.X.shape[1], design.n_obs - rank)


def centred(columns: Array, weights: Array | None) -> Array:
    """Columns (n, k) about their means; constant ones stay as they are."""
    mean = np.average(columns, axis=0, weights=weights)
    return np.where(columns.max(axis=0) > columns.min(axis=0), columns - mean, columns)


def without_effects(columns: Array, z: Array, codes: Codes) -> Array:
    """What is left of columns (n, k) after least squares on z (n,) within each level."""
    square = np.bincount(codes, weights=z * z)
    inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
    slopes = [np.bincount(codes, weights=z * column) * inverse for column in columns.T]
    return np.column_stack(
        [column - z * slope[codes] for column, slope in zip(columns.T, slopes, strict=True)]
    )


def orthonormal_basis(X: Array) -> Array:
    """A basis (n, rank) of the span of the columns of X."""
    if X.shape[1] == 0:
        return X
    Q, R, _ = qr(X / np.sqrt((X**2).sum(axis=0)), mode="economic", pivoting=True)
    return np.asarray(Q[:, np.abs(np.diag(R)) > NOTHING_LEFT])
