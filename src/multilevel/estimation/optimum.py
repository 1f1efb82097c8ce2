"""The record of a search: where it ended and the certificate that it is an optimum."""

from __future__ import annotations

from dataclasses import dataclass

from multilevel._typing import Array


@dataclass(frozen=True, slots=True)
class Certificate:
    """First-order conditions of the criterion in Sigma (Karush-Kuhn-Tucker).

    With G = d criterion / d Sigma, an optimum has G Sigma = 0 and G positive semidefinite on the null
    space of Sigma. Both are measured in units of the criterion: `stationarity` is the decrease that one
    more Newton step would promise, `null_eigenvalue` the rate at which adding the best missing direction
    (scaled to the residual variance) would change the criterion; negative means it would improve.
    """

    stationarity: float
    null_eigenvalue: float
    holds: bool


@dataclass(frozen=True, slots=True)
class Optimum:
    """Where the search ended, and how."""

    theta: Array  # internal covariance parameters at the end
    criterion: float
    evaluations: int  # criterion evaluations, with or without gradient
    iterations: int
    converged: bool
    message: str  # for the user
    certificate: Certificate
    rank: tuple[int, ...]  # per random-effects term: rank of its covariance
