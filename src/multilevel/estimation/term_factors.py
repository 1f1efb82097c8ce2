"""From covariance parameters in working coordinates to the factor T of each term, Sigma = T T'."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from multilevel._typing import Array
from multilevel.kernels.gaussian import StructureCode, TermLayout


def term_factors(layouts: Sequence[TermLayout], theta: Array) -> list[Array]:
    """T (q, q) of each term; theta holds their parameters one term after the other.

    Unstructured: the lower triangle column by column. Diagonal: standard deviations. Otherwise standard
    deviations, then an angle whose cosine and sine make the correlation (core/structure.hpp).
    """
    sizes = [layout.n_parameters for layout in layouts]
    parts = zip(layouts, accumulate(sizes), sizes, strict=True)
    return [term_factor(layout, theta[end - size : end]) for layout, end, size in parts]


def term_factor(layout: TermLayout, theta: Array) -> Array:
    """T (q, q) of one term."""
    q = layout.width
    if layout.structure is StructureCode.us:
        T = np.zeros((q, q))
        columns, rows = np.triu_indices(q)
        T[rows, columns] = theta
        return T
    sd = np.full(q, theta[0]) if layout.hom else theta[:q]
    if layout.structure is StructureCode.diag:
        return np.diag(sd)
    root = autoregressive_root if layout.structure is StructureCode.ar1 else exchangeable_root
    return np.asarray(np.abs(sd)[:, None] * root(q, float(theta[-1])))


def autoregressive_root(q: int, angle: float) -> Array:
    """Root of the correlations rho^|i - j|, rho = cos(angle)."""
    rho, innovation = np.cos(angle), np.sin(angle)
    lag = np.arange(q)[:, None] - np.arange(q)
    powers = np.where(lag >= 0, rho ** np.maximum(lag, 0), 0.0)
    return np.asarray(np.where(np.arange(q) == 0, powers, innovation * powers))


def exchangeable_root(q: int, angle: float) -> Array:
    """Root of one correlation for all pairs, 1 - rho = q / (q - 1) sin^2(angle)."""
    own = np.sqrt(q / (q - 1.0)) * np.sin(angle)
    whole = np.sqrt(q) * np.cos(angle)
    return np.asarray(own * np.eye(q) + (whole - own) / q)
