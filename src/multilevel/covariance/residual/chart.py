"""What is a chart of correlations? Unbounded numbers eta in, correlations out, with derivatives.

A chart knows no rows. It says which natural parameters a user reads (a correlation, a coefficient), between
which limits they lie, and what a search and an interval need to move freely.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from multilevel._typing import Array

Limits = tuple[float, float]  # between which a natural parameter lies; infinite where it has no bound
CORRELATION: Limits = (-1.0, 1.0)
POSITIVE: Limits = (0.0, np.inf)
NUMBER: Limits = (-np.inf, np.inf)


class Chart(Protocol):
    """A family of correlations with k parameters."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the natural parameters (k,)."""

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Where the natural parameters lie (k,)."""

    def natural(self, eta: Array) -> Array:
        """The natural parameters (k,)."""


class MatrixChart(Chart, Protocol):
    """Correlation matrices of T visits."""

    def matrix(self, eta: Array) -> Array:
        """R (T, T), ones on the diagonal; positive definite, or no correlation matrix at all."""

    def slopes(self, eta: Array, G: Array) -> Array:
        """Derivatives (k,) of <G, R> for a symmetric G (T, T) that is held."""

    def near(self, R: Array) -> Array:
        """Eta (k,) whose matrix is close to a given correlation matrix (T, T), positive definite."""

    def elsewhere(self) -> list[Array]:
        """Other places (k,) where a search may begin, because the likelihood can have several modes."""


def unbounded(value: Array, limits: tuple[Limits, ...]) -> Array:
    """Natural parameters on scales without bounds, where a normal interval makes sense: (k,).

    Both limits: the logit of the place between them (for a correlation twice Fisher's z); one: a logarithm.

    >>> unbounded(np.array([0.5, 2.0, 3.0]), (CORRELATION, POSITIVE, NUMBER)).round(3)
    array([1.099, 0.693, 3.   ])
    """
    return np.array([_to_line(float(x), *ends) for x, ends in zip(value, limits, strict=True)])


def bounded(value: Array, limits: tuple[Limits, ...]) -> Array:
    """The way back from `unbounded`: (k,)."""
    return np.array([_from_line(float(x), *ends) for x, ends in zip(value, limits, strict=True)])


def line_slopes(value: Array, limits: tuple[Limits, ...]) -> Array:
    """Derivative of `unbounded` at natural parameters: (k,)."""
    low, high = np.array(limits).reshape(-1, 2).T
    with np.errstate(divide="ignore"):
        below = np.where(np.isfinite(low), 1.0 / (value - low), 0.0)
        above = np.where(np.isfinite(high), 1.0 / (high - value), 0.0)
    return np.where(np.isfinite(low) | np.isfinite(high), below + above, 1.0)


def _to_line(x: float, low: float, high: float) -> float:
    if np.isinf(low):
        return x
    with np.errstate(divide="ignore"):
        return float(np.log(x - low) - (0.0 if np.isinf(high) else np.log(high - x)))


def _from_line(x: float, low: float, high: float) -> float:
    if np.isinf(low):
        return x
    if np.isinf(high):
        return float(low + np.exp(x))
    return float(low + (high - low) * 0.5 * (1.0 + np.tanh(0.5 * x)))
