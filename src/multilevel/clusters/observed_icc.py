"""How strongly do two responses of one group correlate, on the scale on which they are observed?

For two rows alike in their fixed part the covariance of their responses is that of their means given the
random effects they share, Var(E[mu | shared]), and the variance is Var(mu) + E[Var(y | mu)]. Both are
averages over a normal linear predictor, computed at the fixed part of each row and then averaged over
rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.families.moments import RowParameters, response_mean, response_variance
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.matrices import effect_variance

MOST_ROWS = 500  # at which the averages are taken
NODES, REACH = 61, 7.0
POINTS = np.linspace(-REACH, REACH, NODES)
WEIGHTS = np.exp(-0.5 * POINTS**2) / np.exp(-0.5 * POINTS**2).sum()


def observed_icc(design: GLMMDesign, record: GLMMRecord, groups: tuple[str, ...]) -> Array:
    """Correlation (G,) of two responses that share the levels of one grouping factor alone."""
    if record.family.response == "ordered":
        raise ModelError(
            "ordered categories have no correlation in units of a response; use the latent scale."
        )
    if record.eta_zi is not None:
        raise ModelError("with an excess of zeros, icc() has the latent scale of the mean only.")
    rows = np.unique(np.linspace(0, design.main.n_rows - 1, MOST_ROWS).astype(int))
    eta = record.eta_fixed[rows]
    by_factor = np.zeros((len(design.main.groupings), len(rows)))
    for term, fit in zip(design.main.terms, record.terms, strict=True):
        by_factor[term.grouping] += effect_variance(term.Z[rows], fit)
    whole = by_factor.sum(axis=0)
    mean, spread = moments(record, rows)
    expected = mixed_average(mean, eta, whole)
    within = mixed_average(spread, eta, whole)
    total = mixed_average(lambda points: mean(points) ** 2, eta, whole) - expected**2 + within
    names = [grouping.name for grouping in design.main.groupings]
    shared = [shared_covariance(mean, eta, by_factor[names.index(name)], whole, expected) for name in groups]
    return np.array([np.mean(covariance / total) for covariance in shared])


def moments(record: GLMMRecord, rows: Array) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Mean and variance of the response of one trial as functions of linear predictors (rows, points...)."""
    phi = None if record.dispersion is None else record.dispersion[rows]

    def parameters(eta: Array) -> RowParameters:
        mu = record.family.link.inverse(eta)
        wide = None if phi is None else np.broadcast_to(phi.reshape(-1, *[1] * (eta.ndim - 1)), eta.shape)
        return RowParameters(mu, wide, record.shape)

    return (
        lambda eta: response_mean(record.family.density, parameters(eta)),
        lambda eta: response_variance(record.family.density, parameters(eta)),
    )


def mixed_average(function: Callable[[Array], Array], eta: Array, variance: Array) -> Array:
    """E function(eta + s Z) for each row."""
    return np.asarray(function(eta[:, None] + np.sqrt(variance)[:, None] * POINTS) @ WEIGHTS)


def shared_covariance(
    mean: Callable[[Array], Array], eta: Array, shared: Array, whole: Array, expected: Array
) -> Array:
    """Var E[mu | shared random effects] for each row."""
    own = np.sqrt(np.maximum(whole - shared, 0.0))
    if not own.any():
        given = mean(eta[:, None] + np.sqrt(shared)[:, None] * POINTS)
    else:
        centre = eta[:, None, None] + np.sqrt(shared)[:, None, None] * POINTS[:, None]
        given = mean(centre + own[:, None, None] * POINTS) @ WEIGHTS
    return np.asarray(given**2 @ WEIGHTS - expected**2)
