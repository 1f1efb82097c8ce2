"""Families of measurements: any number, or positive ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel._typing import Array
from multilevel.errors import DataError
from multilevel.families.family import DensityName, Family, PredictorName, refuse_rows


@dataclass(frozen=True, init=False)
class Gaussian(Family):
    """Normal errors; phi is their variance."""

    name: ClassVar[str] = "gaussian"
    density: ClassVar[DensityName] = "gaussian"
    links: ClassVar[tuple[str, ...]] = ("identity", "log", "inverse", "sqrt")
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion",)
    weights_divide_dispersion: ClassVar[bool] = True

    def variance(self, mu: Array) -> Array:
        """One."""
        return np.ones_like(mu)

    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """The squared residual."""
        return np.asarray((y - mu) ** 2)

    def start(self, y: Array) -> Array:
        """The response, moved above zero where the link needs it."""
        if self.link.name == "identity":
            return y
        return np.maximum(y, 0.05 * max(float(np.mean(y)), 1e-8))

    def refuse_impossible(self, y: Array, text: str) -> None:
        """Any number may occur."""


@dataclass(frozen=True, init=False)
class StudentT(Gaussian):
    """Errors with long tails: y = mu + sqrt(phi) t, t with nu degrees of freedom, which are estimated.

    The shape is log nu: tails as long as there are, and normal ones in the limit.
    """

    name: ClassVar[str] = "student"
    density: ClassVar[DensityName] = "student"
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion", "shape")
    quasi: ClassVar[bool] = False


@dataclass(frozen=True, init=False)
class Gamma(Family):
    """Positive measurements with a constant coefficient of variation: Var(y) = phi mu^2."""

    name: ClassVar[str] = "gamma"
    density: ClassVar[DensityName] = "gamma"
    links: ClassVar[tuple[str, ...]] = ("inverse", "log", "identity")
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion",)
    weights_divide_dispersion: ClassVar[bool] = True

    def variance(self, mu: Array) -> Array:
        """mu^2."""
        return np.asarray(mu * mu)

    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """-2 (log(y / mu) - (y - mu) / mu)."""
        return np.asarray(-2.0 * (np.log(y / mu) - (y - mu) / mu))

    def start(self, y: Array) -> Array:
        """The response."""
        return y

    def refuse_impossible(self, y: Array, text: str) -> None:
        """Positive numbers only."""
        refuse_rows(y <= 0.0, y, _above_zero(self.name, text))


@dataclass(frozen=True, init=False)
class InverseGaussian(Gamma):
    """Positive measurements with a long right tail: Var(y) = phi mu^3."""

    name: ClassVar[str] = "inverse_gaussian"
    density: ClassVar[DensityName] = "inverse_gaussian"
    links: ClassVar[tuple[str, ...]] = ("1/mu^2", "inverse", "log", "identity")

    def variance(self, mu: Array) -> Array:
        """mu^3."""
        return np.asarray(mu**3)

    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """(y - mu)^2 / (y mu^2)."""
        return np.asarray((y - mu) ** 2 / (y * mu * mu))


@dataclass(frozen=True, init=False)
class Tweedie(Family):
    """Sums of a Poisson number of gamma amounts: zeros beside positive measurements, Var(y) = phi mu^p.

    The power p, between 1 and 2, is estimated by `ml.glm` and `ml.glmm`, as 1 + 1 / (1 + exp(-shape)), unless
    it is given, `Tweedie(power=1.5)`; GEE takes it as given.
    """

    power: float | None = None
    name: ClassVar[str] = "tweedie"
    density: ClassVar[DensityName] = "tweedie"
    links: ClassVar[tuple[str, ...]] = ("log", "identity", "sqrt", "inverse")
    predictors: ClassVar[tuple[PredictorName, ...]] = ("dispersion", "shape")

    def __init__(self, link: str | None = None, *, power: float | None = None) -> None:
        if power is not None and not 1.0 < power < 2.0:
            raise DataError(f"The power of a Tweedie family lies between 1 and 2, got {power}.")
        super().__init__(link)
        object.__setattr__(self, "power", power)

    @property
    def given(self) -> dict[PredictorName, float]:
        """The power, if it is known."""
        return {} if self.power is None else {"shape": self.power}

    def variance(self, mu: Array) -> Array:
        """mu^p, p = 1.5 where it is not given."""
        return np.asarray(mu ** (self.power or 1.5))

    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """2 (y (y^(1-p) - mu^(1-p)) / (1-p) - (y^(2-p) - mu^(2-p)) / (2-p))."""
        p = self.power or 1.5
        first = (y ** (2.0 - p) - y * mu ** (1.0 - p)) / (1.0 - p)
        return np.asarray(2.0 * (first - (y ** (2.0 - p) - mu ** (2.0 - p)) / (2.0 - p)))

    def start(self, y: Array) -> Array:
        """A little above the response, so that zeros have a logarithm."""
        return np.asarray(y + 0.1 * max(float(np.mean(y)), 1e-8))

    def refuse_impossible(self, y: Array, text: str) -> None:
        """Zero and positive numbers."""
        problem = (
            f"The response '{text}' is {{first}} in {{count}} {{rows}}, but a Tweedie variable is not "
            "negative; check the data."
        )
        refuse_rows(y < 0.0, y, problem)


def _above_zero(family: str, text: str) -> str:
    return (
        f"The response '{text}' is {{first}} in {{count}} {{rows}}, but a {family.replace('_', ' ')} "
        "variable is positive; for zeros beside positive amounts use family='tweedie'."
    )
