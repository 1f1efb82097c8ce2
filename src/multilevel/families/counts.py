"""Families of counts: 0, 1, 2, ... without an upper end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import xlogy

from multilevel._typing import Array
from multilevel.errors import DataError
from multilevel.families.family import DensityName, Family, PredictorName, refuse_rows

COUNT_LINKS = ("log", "identity", "sqrt")


@dataclass(frozen=True, init=False)
class Poisson(Family):
    """Counts whose variance is their mean.

    >>> Poisson().link.name, Poisson().unit_deviance(np.array([0.0, 2.0]), np.array([1.0, 2.0]))
    ('log', array([2., 0.]))
    """

    name: ClassVar[str] = "poisson"
    density: ClassVar[DensityName] = "poisson"
    links: ClassVar[tuple[str, ...]] = COUNT_LINKS

    def variance(self, mu: Array) -> Array:
        """The mean."""
        return mu

    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """2 (y log(y / mu) - (y - mu))."""
        return np.asarray(2.0 * (xlogy(y, y / mu) - (y - mu)))

    def start(self, y: Array) -> Array:
        """A little above the count, so that zeros have a logarithm."""
        return np.asarray(y + 0.1)

    def refuse_impossible(self, y: Array, text: str) -> None:
        """Counts are whole and not negative."""
        problem = (
            f"The response '{text}' is {{first}} in {{count}} {{rows}}, but a count is 0, 1, 2, ...; for a "
            "rate, keep the count and write offset(log(exposure))."
        )
        refuse_rows((y < 0.0) | (y != np.floor(y)), y, problem)


@dataclass(frozen=True, init=False)
class NegativeBinomial(Poisson):
    """Counts that vary more than Poisson's: Var(y) = mu + mu^2 / phi (NB2).

    phi, the size, is estimated by `ml.glm` and `ml.glmm` unless it is given, `NegativeBinomial(size=2.0)`;
    the larger, the nearer to Poisson. GEE takes it as given.
    """

    size: float | None = None
    name: ClassVar[str] = "negative_binomial"
    density: ClassVar[DensityName] = "nbinom2"
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion",)

    def __init__(self, link: str | None = None, *, size: float | None = None) -> None:
        if size is not None and not 0.0 < size < np.inf:
            raise DataError(f"The size of a negative binomial family is a positive number, got {size}.")
        super().__init__(link)
        object.__setattr__(self, "size", size)

    @property
    def given(self) -> dict[PredictorName, float]:
        """The size, if it is known."""
        return {} if self.size is None else {"dispersion": self.size}

    def variance(self, mu: Array) -> Array:
        """mu + mu^2 / size for a known size, else as for Poisson."""
        return mu if self.size is None else np.asarray(mu + mu * mu / self.size)

    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """For a known size, else as for Poisson."""
        if self.size is None:
            return super().unit_deviance(y, mu)
        total = (y + self.size) * np.log((y + self.size) / (mu + self.size))
        return np.asarray(2.0 * (xlogy(y, y / mu) - total))


@dataclass(frozen=True, init=False)
class NegativeBinomial1(Poisson):
    """Counts with variance proportional to the mean: Var(y) = mu (1 + phi) (NB1)."""

    name: ClassVar[str] = "nbinom1"
    density: ClassVar[DensityName] = "nbinom1"
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion",)
    quasi: ClassVar[bool] = False


class _Positive(Poisson):
    """Counts of one and more; zeros are told apart by `zi=` (a hurdle)."""

    quasi: ClassVar[bool] = False


@dataclass(frozen=True, init=False)
class TruncatedPoisson(_Positive):
    """Counts above zero as in a Poisson variable; with `zi="~ x"` the hurdle model."""

    name: ClassVar[str] = "truncated_poisson"
    density: ClassVar[DensityName] = "truncated_poisson"


@dataclass(frozen=True, init=False)
class TruncatedNegativeBinomial(_Positive):
    """Counts above zero as in a negative binomial (NB2); with `zi="~ x"` the hurdle model."""

    name: ClassVar[str] = "truncated_nbinom2"
    density: ClassVar[DensityName] = "truncated_nbinom2"
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion",)


@dataclass(frozen=True, init=False)
class TruncatedNegativeBinomial1(_Positive):
    """Counts above zero as in a negative binomial of the first kind (NB1)."""

    name: ClassVar[str] = "truncated_nbinom1"
    density: ClassVar[DensityName] = "truncated_nbinom1"
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion",)
