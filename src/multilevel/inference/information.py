"""What do the data say about the variance parameters, and what do these do to the covariance of beta-hat?

With V the covariance of y over sigma^2, V_i its derivative in a parameter, W = V^-1 and
P = W - W X (X'W X)^-1 X'W, the criterion f (minus twice the log-likelihood, restricted or not) has

    d2f / dt_i dt_j = 2 y'P V_i P V_j P y / sigma^2 - tr(P V_i P V_j) + <G, d2S / dt_i dt_j>

with the expectation tr(P V_i P V_j); G = df / dS is the slope in the covariance S of a term. The traces of a
fit by maximum likelihood have W for P. The parameters are t_0 = log sigma^2, in which V moves as a whole, and
the directions of the terms' charts. In the basis of the fixed effects in which the covariance of their
estimates is the identity, M_i = X'W V_i W X is the derivative of that covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.centring import Centring


@dataclass(frozen=True, slots=True)
class FixedBasis:
    """A basis of the fixed effects in which the covariance of their estimates is the identity."""

    centring: Centring
    to_identity: Array  # (p, p)

    def rows(self, L: Array) -> Array:
        """Linear combinations L (k, p) of the coefficients in this basis: Var(L beta-hat) = rows rows'."""
        return np.asarray(self.centring.contrasts(L) @ self.to_identity)


@dataclass(frozen=True, slots=True)
class Products:
    """What the data say in the k directions of the charts; see the top of this file."""

    trace: Array  # (k,) tr(P V_i)
    expected: Array  # (k, k) tr(P V_i P V_j)
    score: Array  # (k,) y'P V_i P y / sigma^2
    average: Array  # (k, k) y'P V_i P V_j P y / sigma^2
    bend: Array  # (k, k) <G, d2S / dt_i dt_j>
    slopes: Array  # (k, p, p) M_i


class Projections(Protocol):
    """A fitted model that can be asked for products of P with the derivatives of V."""

    @property
    def n_scale(self) -> float | None:
        """y'P y / sigma^2, the degrees of freedom of sigma; None in a model without a residual."""

    def products(self) -> Products:
        """The products in all directions."""

    def adjustment(self, covariance: Array) -> Array:
        """Sum over i, j of covariance_ij X'W V_i P V_j W X, with covariance (k, k): (p, p)."""

    def curvature(self, covariance: Array) -> Array:
        """Sum over i, j of covariance_ij X'W (d2V / dt_i dt_j) W X: (p, p)."""


@dataclass(frozen=True, slots=True)
class Information:
    """Information on the m variance parameters, and the slopes of the covariance of beta-hat in them."""

    matrix: Array  # (m, m)
    slopes: Array  # (m, p, p)


def observed_information(products: Products, df: float | None) -> Information:
    """The Hessian of the criterion."""
    matrix = 2.0 * products.average - products.expected + products.bend
    return with_scale(products, products.score, matrix, df)


def expected_information(products: Products, df: float | None) -> Information:
    """The expectation of the Hessian of the restricted criterion."""
    return with_scale(products, products.trace, products.expected, df)


def with_scale(products: Products, against_scale: Array, matrix: Array, df: float | None) -> Information:
    """A first row and column for log sigma^2 with its `df`, if the model has a sigma."""
    if df is None:
        return Information(matrix, products.slopes)
    whole = np.block([[np.array([[df]]), against_scale[None, :]], [against_scale[:, None], matrix]])
    p = products.slopes.shape[1]
    return Information(whole, np.concatenate([np.eye(p)[None], products.slopes]))


def inverse(information: Array) -> Array:
    """The inverse, without directions that the data say nothing about and those that lead downhill."""
    size = np.sqrt(np.abs(np.diag(information)))
    unit = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(information / np.outer(unit, unit))
    kept = values > 1e-8 * values.max(initial=0.0)
    half = vectors[:, kept] / np.sqrt(values[kept]) / unit[:, None]
    return np.asarray(half @ half.T)


def block_diagonal(blocks: Sequence[Array]) -> Array:
    """Square blocks along the diagonal; some may be empty."""
    ends = np.cumsum([0, *(len(block) for block in blocks)])
    whole = np.zeros((ends[-1], ends[-1]))
    for block, first, last in zip(blocks, ends, ends[1:], strict=False):
        whole[first:last, first:last] = block
    return whole
