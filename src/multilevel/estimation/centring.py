"""In which coordinates are sums of products safe?

Columns far from zero (a year, x = 1e8 + noise, y around 1e12) lose their digits in cross-products. When the
constant lies in the span of X the columns can be moved to about their means without changing the model:

    Xc = X - 1 m' = X (I - a m'),   where X a = 1 and m'a = 0,

so coefficients of Xc go back by b = (I - a m') c, and a response moved by k adds k a.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array

CONSTANT_TOLERANCE = 1e-10  # sums of 0/1 columns are exact, so a real constant leaves only rounding


@dataclass(frozen=True, slots=True)
class Centring:
    """A shift of the columns of X that leaves their span alone."""

    shift: Array  # (p,)  m: zero in the columns that make the constant, and everywhere if none do
    one: Array | None  # (p,)  a, with X a = 1; None when the constant is not in the span of X

    def columns(self, X: Array) -> Array:
        """`X` about the shift: (n, p)."""
        return X if self.one is None else X - self.shift

    def contrasts(self, L: Array) -> Array:
        """Linear combinations of b, as those of the coefficients of the centred columns: (k, p)."""
        return L if self.one is None else L - np.outer(L @ self.one, self.shift)

    def coefficients(self, centred: Array, response_shift: float) -> Array:
        """Coefficients of X from those of the centred columns: (p,)."""
        if self.one is None:
            return centred
        return np.asarray(centred + self.one * (response_shift - self.shift @ centred))


def centre(X: Array, weights: Array | None) -> Centring:
    """Move the columns of `X` to about their weighted means, if its span holds the constant."""
    one = constant_combination(X)
    if one is None:
        return Centring(np.zeros(X.shape[1]), None)
    shift = np.average(X, axis=0, weights=weights)
    return Centring(np.where(one == 0.0, shift, 0.0), one)


def constant_combination(X: Array) -> Array | None:
    """`a` with `X a = 1`, from a constant column or from indicator columns; None if there is none."""
    column = constant_column(X)
    if column is not None:
        one = np.zeros(X.shape[1])
        one[column] = 1.0 / X[0, column]
        return one
    return constant_from_indicators(X)


def constant_column(X: Array) -> int | None:
    """First column that holds one nonzero value throughout."""
    for j in range(X.shape[1]):
        if X[0, j] != 0.0 and X[0, j] == X[-1, j] and (X[:, j] == X[0, j]).all():
            return j
    return None


def constant_from_indicators(X: Array) -> Array | None:
    """`a` over the 0/1 columns alone: the dummies of `0 + g` add up to the constant."""
    indicators = np.flatnonzero([is_indicator(X[:, j]) for j in range(X.shape[1])])
    if len(indicators) == 0 or not X[:, indicators].any(axis=1).all():
        return None
    dummies = X[:, indicators]
    weights = np.linalg.solve(dummies.T @ dummies, dummies.sum(axis=0))
    if np.abs(dummies @ weights - 1.0).max() > CONSTANT_TOLERANCE:
        return None
    one = np.zeros(X.shape[1])
    one[indicators] = np.where(np.abs(weights) < CONSTANT_TOLERANCE, 0.0, weights)
    return one


def is_indicator(x: Array) -> bool:
    """Whether `x` holds zeros and ones only (a glance at the first rows settles most columns)."""
    head = x[:8]
    return bool((head * head == head).all() and (x * x == x).all())
