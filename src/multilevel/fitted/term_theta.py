"""From a term's `theta`, as a record shows it, back to its covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.fitted.assemble import theta_labels
from multilevel.fitted.lmm import TermCovariance


def split_theta(terms: Sequence[TermCovariance], theta: Array) -> list[Array]:
    """The parameters of each term."""
    sizes = [len(theta_labels(term)) for term in terms]
    return np.split(theta, np.cumsum(sizes)[:-1])


def covariance_at(term: TermCovariance, theta: Array) -> Array:
    """Sigma (q, q), relative to the record's unit, of a term like this one with parameters `theta`."""
    q = len(term.names)
    if q == 1:
        return np.asarray(theta[:1, None] ** 2)
    if term.structure == "us":
        T = np.zeros((q, q))
        columns, rows = np.triu_indices(q)
        T[rows, columns] = theta
        return T @ T.T
    sd = np.full(q, theta[0]) if term.hom else theta[:q]
    if term.structure == "diag":
        return np.diag(sd**2)
    rho = float(theta[-1])
    lag = np.abs(np.arange(q)[:, None] - np.arange(q))
    correlation = rho**lag if term.structure == "ar1" else np.where(lag == 0, 1.0, rho)
    return np.asarray(sd[:, None] * correlation * sd)
