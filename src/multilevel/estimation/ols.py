"""Which coefficients make the weighted sum of squares least?

If the Gram matrix of the centred columns, scaled to unit length, is well conditioned, its Cholesky factor is
the triangle of the QR decomposition to full accuracy and costs one sweep; otherwise Householder QR is used.
Either way `R` and `z = Q'y` come out and the rest is common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.centring import Centring, centre

GRAM_CONDITION = 1e4  # squared condition number up to which a Gram matrix costs us at most 4 of 16 digits

PERFECT_FIT = 1e-15  # residuals smaller than this share of the response are its rounding


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """Solution of min sum_i w_i (y_i - x_i'b)^2.

    `basis = centred X @ root` has `basis' W basis = I`, so `(Xc'WXc)^-1 = root root'`.
    """

    beta: Array  # (p,)
    residuals: Array  # (n,)  y - X beta, free of the cancellation that subtracting fitted values would bring
    rss: float  # weighted residual sum of squares
    tss: float  # weighted sum of squares of y, about its mean if the constant is in the span of X
    centring: Centring
    root: Array  # (p, p)


@dataclass(frozen=True, slots=True)
class Triangle:
    """X = Q R and z = Q'y, without Q."""

    R: Array  # (p, p) upper triangular
    z: Array  # (p,)


def fit_ols(design: Design) -> LeastSquares:
    """Least squares for a design; its random terms, if any, are left out of account."""
    refuse_saturated(design.n_obs, design.X.shape[1])
    response = design.y if design.offset is None else design.y - design.offset
    weights = total_weights(design)
    solution = least_squares(design.X, response, weights)
    refuse_perfect_fit(solution.rss, sum_of_squares(design.y, weights), design.response_name)
    return solution


def refuse_saturated(n_obs: float, p: int) -> None:
    """One coefficient at least, and more observations, or no residual variance can be estimated."""
    if p == 0:
        raise ModelError(
            "the formula has no terms, not even an intercept, so there is nothing to estimate; "
            "write y ~ 1 for the mean, or add a predictor."
        )
    if n_obs <= p:
        raise ModelError(
            f"{n_obs:.0f} observations and {p} coefficients leave no residual variance to estimate; "
            "use fewer terms or more rows."
        )


def refuse_perfect_fit(rss: float, y_squared: float, response: str) -> None:
    """Residuals that are rounding leave no variance to estimate."""
    if rss <= PERFECT_FIT**2 * y_squared:
        raise ModelError(
            f"the model fits '{response}' perfectly and leaves no residual variance to estimate; "
            "is the response computed from the predictors?"
        )


def total_weights(design: Design) -> Array | None:
    """What each row's squared residual counts: its precision times its frequency."""
    if design.weights is None or design.freq_weights is None:
        return design.freq_weights if design.weights is None else design.weights
    return design.weights * design.freq_weights


def least_squares(X: Array, y: Array, weights: Array | None = None) -> LeastSquares:
    """Weighted least squares of `y` (n,) on `X` (n, p) of full column rank; `weights` (n,) are positive.

    Example:
        >>> import numpy as np
        >>> X = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
        >>> least_squares(X, np.array([1.0, 3.0, 5.0, 8.0])).beta.round(10)
        array([0.8, 2.3])

    Reference:
        Björck, Å. (1996). Numerical Methods for Least Squares Problems, SIAM, ch. 2.
    """
    centring = centre(X, weights)
    y_shift = 0.0 if centring.one is None else float(np.average(y, weights=weights))
    columns, response = centring.columns(X), y - y_shift
    triangle = triangularise(whiten(columns, weights), whiten(response, weights))
    root = np.asarray(np.linalg.inv(triangle.R), dtype=np.float64)
    centred = root @ triangle.z
    residuals = response - columns @ centred
    return LeastSquares(
        beta=centring.coefficients(centred, y_shift),
        residuals=residuals,
        rss=sum_of_squares(residuals, weights),
        tss=total_sum_of_squares(response, weights, about_mean=centring.one is not None),
        centring=centring,
        root=root,
    )


def whiten(values: Array, weights: Array | None) -> Array:
    """Rows times the square roots of their weights."""
    if weights is None:
        return values
    return np.asarray((values.T * np.sqrt(weights)).T)


def sum_of_squares(values: Array, weights: Array | None) -> float:
    """Weighted sum of squares."""
    return float(values @ values if weights is None else weights @ (values * values))


def total_sum_of_squares(y: Array, weights: Array | None, *, about_mean: bool) -> float:
    """Weighted sum of squares of `y`, about its mean or about zero."""
    return sum_of_squares(y - np.average(y, weights=weights) if about_mean else y, weights)


def triangularise(X: Array, y: Array) -> Triangle:
    """`R` and `z` by the cheapest way that keeps the digits."""
    gram = X.T @ X
    lengths = np.sqrt(gram.diagonal())
    scaled = gram / np.outer(lengths, lengths)
    if np.linalg.cond(scaled) > GRAM_CONDITION:
        return triangle_by_qr(X, y)
    return triangle_by_gram(scaled, lengths, X.T @ y)


def triangle_by_gram(scaled: Array, lengths: Array, Xty: Array) -> Triangle:
    """R'R = X'X and R'z = X'y, from X'X scaled to a unit diagonal and the lengths of the columns."""
    R = np.linalg.cholesky(scaled).T * lengths
    return Triangle(R, np.asarray(np.linalg.solve(R.T, Xty), dtype=np.float64))


def triangle_by_qr(X: Array, y: Array) -> Triangle:
    """Householder QR."""
    Q, R = np.linalg.qr(X)
    return Triangle(R, Q.T @ y)
