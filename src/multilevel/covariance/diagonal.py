"""Uncorrelated columns: a variance for each, or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array


def spread_deviations(deviations: Array, size: int, hom: bool) -> Array:
    """A standard deviation for each column (q,), from one (`hom`) or from q."""
    return np.full(size, deviations[0]) if hom else deviations


def deviation_slopes(size: int, hom: bool) -> Array:
    """Which columns each standard deviation belongs to: (1, q) if `hom`, else (q, q)."""
    return np.ones((1, size)) if hom else np.eye(size)


def deviation_names(columns: Sequence[str], hom: bool) -> tuple[str, ...]:
    """Names of the standard deviations."""
    return ("sd",) if hom else tuple(columns)


def deviation_start(deviations: Array, hom: bool) -> Array:
    """Standard deviations to start from; their quadratic mean if there is one for all."""
    return np.sqrt(np.mean(deviations**2, keepdims=True)) if hom else deviations


def collapsed_deviations(deviations: Array, least: float) -> Array:
    """Standard deviations, zero where the variance is below `least`."""
    return np.where(deviations**2 < least, 0.0, deviations)


@dataclass(frozen=True, slots=True)
class Diagonal:
    """T is diagonal; theta holds the standard deviations, of either sign.

    >>> Diagonal(2, hom=True).factor(np.array([0.5]))
    array([[0.5, 0. ],
           [0. , 0.5]])
    """

    size: int
    hom: bool = False  # one standard deviation for all columns

    @property
    def n_parameters(self) -> int:
        """One, or one a column."""
        return 1 if self.hom else self.size

    @property
    def n_sizes(self) -> int:
        """None needs to be known for its size only: each enters Sigma as a square."""
        return 0

    def parameter_names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns, or "sd"."""
        return deviation_names(columns, self.hom)

    def start(self, deviations: Array, correlation: float) -> Array:  # noqa: ARG002  this family has none
        """The given standard deviations."""
        return deviation_start(deviations, self.hom)

    def factor(self, theta: Array) -> Array:
        """The standard deviations on the diagonal."""
        return np.diag(spread_deviations(theta, self.size, self.hom))

    def factor_slopes(self, theta: Array) -> Array:  # noqa: ARG002  T is linear in theta
        """A unit diagonal entry, or the identity."""
        return np.asarray(deviation_slopes(self.size, self.hom)[:, :, None] * np.eye(self.size))

    def collapsed(self, theta: Array, least: float) -> Array:
        """Small standard deviations become zero."""
        return collapsed_deviations(theta, least)

    def null_slope(self, theta: Array, G: Array) -> float:
        """Over the standard deviations that are zero."""
        slopes = deviation_slopes(self.size, self.hom) @ np.diag(G)
        return float(np.min(slopes[theta == 0.0], initial=np.inf))
