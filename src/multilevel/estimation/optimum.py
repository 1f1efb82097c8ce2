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
    """Where the search ended, and how.

    `theta` and `criterion` are those of the search, on columns and a response that were scaled and centred
    first: compare them with each other only. The `theta` and `criterion` of a fit are in the data's units.
    """

    theta: Array  # covariance parameters at the end, in the units of the search
    criterion: float  # without the constants that scaling leaves out
    evaluations: int  # criterion evaluations, with or without gradient
    iterations: int
    converged: bool
    message: str  # for the user
    certificate: Certificate
    rank: tuple[int, ...]  # per random-effects term: rank of its covariance

    def __repr__(self) -> str:
        state = "an optimum, certified" if self.certificate.holds else "NOT certified as an optimum"
        return f"Optimum: {state}; the search {self.message}."
