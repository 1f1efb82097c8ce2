"""Families of successes in a known number of trials, and of shares between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import xlogy

from multilevel._typing import Array
from multilevel.errors import DataError
from multilevel.families.family import DensityName, Family, PredictorName, ResponseKind, refuse_rows

PROBABILITY_LINKS = ("logit", "probit", "cloglog", "cauchit", "log", "identity")


@dataclass(frozen=True, init=False)
class Binomial(Family):
    """Successes in trials of one probability: `y` of 0 and 1, `y / size`, or `cbind(y, failures)`.

    >>> family = Binomial(link="probit")
    >>> family.name, family.link.name, family.variance(np.array([0.5]))
    ('binomial', 'probit', array([0.25]))
    """

    name: ClassVar[str] = "binomial"
    density: ClassVar[DensityName] = "binomial"
    links: ClassVar[tuple[str, ...]] = PROBABILITY_LINKS
    response: ClassVar[ResponseKind] = "trials"

    def variance(self, mu: Array) -> Array:
        """Of a proportion times its trials: mu (1 - mu)."""
        return np.asarray(mu * (1.0 - mu))

    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """Of a proportion y, for one trial."""
        parts = xlogy(y, y / mu) + xlogy(1.0 - y, (1.0 - y) / (1.0 - mu))
        return np.asarray(2.0 * parts)

    def start(self, y: Array) -> Array:
        """Half way between the proportion and one half."""
        return np.asarray((y + 0.5) / 2.0)

    def refuse_impossible(self, y: Array, text: str) -> None:
        """Proportions lie between 0 and 1."""
        values = np.unique(y)
        if len(values) == 2 and (values == np.round(values)).all() and values[1] == values[0] + 1.0 > 1.0:
            low, high = (f"{value:g}" for value in values)
            raise DataError(
                f"The response '{text}' is {low} or {high}, and a binomial one is 0 or 1: write "
                f"I({text} == {high}) for the probability of {high}, or make it a column of two labels."
            )
        problem = (
            f"The response '{text}' is {{first}} in {{count}} {{rows}}, but a proportion lies between 0 and "
            "1: write 'successes / trials' or 'cbind(successes, failures)' for counts."
        )
        refuse_rows((y < 0.0) | (y > 1.0), y, problem)


@dataclass(frozen=True, init=False)
class BetaBinomial(Binomial):
    """Successes whose probability varies from row to row: mean mu, precision phi.

    Var(y / n) = mu (1 - mu) / n (1 + (n - 1) / (1 + phi)).
    """

    name: ClassVar[str] = "beta_binomial"
    density: ClassVar[DensityName] = "beta_binomial"
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion",)
    quasi: ClassVar[bool] = False


@dataclass(frozen=True, init=False)
class Beta(Family):
    """Shares strictly between 0 and 1, Var(y) = mu (1 - mu) / (1 + phi) with phi the precision."""

    name: ClassVar[str] = "beta"
    density: ClassVar[DensityName] = "beta"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog", "cauchit", "log", "identity")
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion",)

    def variance(self, mu: Array) -> Array:
        """mu (1 - mu)."""
        return np.asarray(mu * (1.0 - mu))

    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """That of the quasi-likelihood with this variance."""
        parts = xlogy(y, y / mu) + xlogy(1.0 - y, (1.0 - y) / (1.0 - mu))
        return np.asarray(2.0 * parts)

    def start(self, y: Array) -> Array:
        """The share itself."""
        return y

    def refuse_impossible(self, y: Array, text: str) -> None:
        """Zero and one have no density."""
        problem = (
            f"The response '{text}' is {{first}} in {{count}} {{rows}}, but a beta variable lies strictly "
            "between 0 and 1. If the ends are rounded values, move them inwards, (y (n - 1) + 0.5) / n; if "
            "they are events of their own, model these apart by a binomial."
        )
        refuse_rows((y <= 0.0) | (y >= 1.0), y, problem)
