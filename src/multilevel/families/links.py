"""How does a mean hang on the linear predictor? g(mu) = eta, one small class a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from scipy.special import expit, log_ndtr, logit, ndtri

from multilevel._typing import Array

ROOT_TWO_PI = np.sqrt(2.0 * np.pi)


class Link(Protocol):
    """A smooth monotone function from means to linear predictors; arrays in, arrays of their shape out."""

    @property
    def name(self) -> str:
        """As users write it: "logit"."""

    @property
    def ratio(self) -> str | None:
        """What the exponential of a coefficient is, "odds ratio"; None where it is nothing."""

    def link(self, mu: Array) -> Array:
        """Eta from mu."""

    def inverse(self, eta: Array) -> Array:
        """Mu from eta."""

    def slope(self, eta: Array) -> Array:
        """First derivative of mu in eta."""

    def curvature(self, eta: Array) -> Array:
        """Second derivative of mu in eta."""

    def holds(self, eta: Array) -> bool:
        """Whether every eta belongs to some mean."""


@dataclass(frozen=True, slots=True)
class _EverywhereDefined:
    """A link whose linear predictor may be any number."""

    def holds(self, eta: Array) -> bool:
        """True for finite numbers."""
        return bool(np.isfinite(eta).all())


@dataclass(frozen=True, slots=True)
class Logit(_EverywhereDefined):
    """log(mu / (1 - mu)): coefficients are log odds ratios.

    >>> Logit().inverse(np.array([0.0, 2.0])).round(3)
    array([0.5  , 0.881])
    """

    name: ClassVar[str] = "logit"
    ratio: ClassVar[str | None] = "odds ratio"

    def link(self, mu: Array) -> Array:
        """Log odds."""
        return np.asarray(logit(mu))

    def inverse(self, eta: Array) -> Array:
        """Probability."""
        return np.asarray(expit(eta))

    def slope(self, eta: Array) -> Array:
        """mu (1 - mu), without cancellation."""
        return np.asarray(expit(eta) * expit(-eta))

    def curvature(self, eta: Array) -> Array:
        """mu (1 - mu) (1 - 2 mu)."""
        return np.asarray(-self.slope(eta) * np.tanh(eta / 2.0))


@dataclass(frozen=True, slots=True)
class Probit(_EverywhereDefined):
    """The normal quantile of mu: eta is the mean of a latent normal variable with variance one."""

    name: ClassVar[str] = "probit"
    ratio: ClassVar[str | None] = None

    def link(self, mu: Array) -> Array:
        """Normal quantile."""
        return np.asarray(ndtri(mu))

    def inverse(self, eta: Array) -> Array:
        """Normal distribution function."""
        return np.asarray(np.exp(log_ndtr(eta)))

    def slope(self, eta: Array) -> Array:
        """Normal density."""
        return np.asarray(np.exp(-0.5 * eta * eta) / ROOT_TWO_PI)

    def curvature(self, eta: Array) -> Array:
        """Its slope."""
        return np.asarray(-eta * self.slope(eta))


@dataclass(frozen=True, slots=True)
class Cloglog(_EverywhereDefined):
    """log(-log(1 - mu)): coefficients are log hazard ratios of grouped survival times."""

    name: ClassVar[str] = "cloglog"
    ratio: ClassVar[str | None] = "hazard ratio"

    def link(self, mu: Array) -> Array:
        """Complementary log-log."""
        return np.asarray(np.log(-np.log1p(-mu)))

    def inverse(self, eta: Array) -> Array:
        """1 - exp(-exp(eta))."""
        return np.asarray(-np.expm1(-np.exp(eta)))

    def slope(self, eta: Array) -> Array:
        """exp(eta - exp(eta))."""
        return np.asarray(np.exp(eta - np.exp(eta)))

    def curvature(self, eta: Array) -> Array:
        """slope (1 - exp(eta))."""
        return np.asarray(-self.slope(eta) * np.expm1(eta))


@dataclass(frozen=True, slots=True)
class Cauchit(_EverywhereDefined):
    """The Cauchy quantile of mu: forgives single observations far on the wrong side."""

    name: ClassVar[str] = "cauchit"
    ratio: ClassVar[str | None] = None

    def link(self, mu: Array) -> Array:
        """Cauchy quantile."""
        return np.asarray(np.tan(np.pi * (mu - 0.5)))

    def inverse(self, eta: Array) -> Array:
        """Cauchy distribution function, exact in the lower tail."""
        return np.asarray(np.where(eta < 0.0, np.arctan2(1.0, -eta), np.pi - np.arctan2(1.0, eta)) / np.pi)

    def slope(self, eta: Array) -> Array:
        """Cauchy density."""
        return np.asarray(1.0 / (np.pi * (1.0 + eta * eta)))

    def curvature(self, eta: Array) -> Array:
        """Its slope."""
        return np.asarray(-2.0 * eta / (np.pi * (1.0 + eta * eta) ** 2))


@dataclass(frozen=True, slots=True)
class Log(_EverywhereDefined):
    """log(mu): coefficients are logs of ratios of means."""

    name: ClassVar[str] = "log"
    ratio: ClassVar[str | None] = "ratio"

    def link(self, mu: Array) -> Array:
        """Logarithm."""
        return np.asarray(np.log(mu))

    def inverse(self, eta: Array) -> Array:
        """Exponential."""
        return np.asarray(np.exp(eta))

    def slope(self, eta: Array) -> Array:
        """Exponential."""
        return np.asarray(np.exp(eta))

    def curvature(self, eta: Array) -> Array:
        """Exponential."""
        return np.asarray(np.exp(eta))


@dataclass(frozen=True, slots=True)
class Identity(_EverywhereDefined):
    """mu itself: coefficients are differences of means."""

    name: ClassVar[str] = "identity"
    ratio: ClassVar[str | None] = None

    def link(self, mu: Array) -> Array:
        """Mu."""
        return mu

    def inverse(self, eta: Array) -> Array:
        """Eta."""
        return eta

    def slope(self, eta: Array) -> Array:
        """One."""
        return np.ones_like(eta)

    def curvature(self, eta: Array) -> Array:
        """Zero."""
        return np.zeros_like(eta)


@dataclass(frozen=True, slots=True)
class _PositiveOnly:
    """A link whose linear predictor is positive."""

    def holds(self, eta: Array) -> bool:
        """Whether all are finite and above zero."""
        return bool((np.isfinite(eta) & (eta > 0.0)).all())


@dataclass(frozen=True, slots=True)
class Inverse(_PositiveOnly):
    """1 / mu: coefficients are differences of rates."""

    name: ClassVar[str] = "inverse"
    ratio: ClassVar[str | None] = None

    def link(self, mu: Array) -> Array:
        """1 / mu."""
        return np.asarray(1.0 / mu)

    def inverse(self, eta: Array) -> Array:
        """1 / eta."""
        return np.asarray(1.0 / eta)

    def slope(self, eta: Array) -> Array:
        """-1 / eta^2."""
        return np.asarray(-1.0 / (eta * eta))

    def curvature(self, eta: Array) -> Array:
        """2 / eta^3."""
        return np.asarray(2.0 / eta**3)


@dataclass(frozen=True, slots=True)
class InverseSquare(_PositiveOnly):
    """1 / mu^2: the canonical link of the inverse Gaussian."""

    name: ClassVar[str] = "1/mu^2"
    ratio: ClassVar[str | None] = None

    def link(self, mu: Array) -> Array:
        """1 / mu^2."""
        return np.asarray(1.0 / (mu * mu))

    def inverse(self, eta: Array) -> Array:
        """1 / sqrt(eta)."""
        return np.asarray(1.0 / np.sqrt(eta))

    def slope(self, eta: Array) -> Array:
        """-eta^(-3/2) / 2."""
        return np.asarray(-0.5 * eta**-1.5)

    def curvature(self, eta: Array) -> Array:
        """3 eta^(-5/2) / 4."""
        return np.asarray(0.75 * eta**-2.5)


@dataclass(frozen=True, slots=True)
class Sqrt(_PositiveOnly):
    """sqrt(mu): stabilises the variance of counts."""

    name: ClassVar[str] = "sqrt"
    ratio: ClassVar[str | None] = None

    def link(self, mu: Array) -> Array:
        """Square root."""
        return np.asarray(np.sqrt(mu))

    def inverse(self, eta: Array) -> Array:
        """Square."""
        return np.asarray(eta * eta)

    def slope(self, eta: Array) -> Array:
        """2 eta."""
        return np.asarray(2.0 * eta)

    def curvature(self, eta: Array) -> Array:
        """Two."""
        return np.full_like(eta, 2.0)


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Logit(),
        Probit(),
        Cloglog(),
        Cauchit(),
        Log(),
        Identity(),
        Inverse(),
        InverseSquare(),
        Sqrt(),
    )
}


def one_minus_mean(link: Link, eta: Array) -> Array:
    """1 - mu, without cancellation where mu is close to one and the link is one of probabilities.

    >>> one_minus_mean(LINKS["logit"], np.array([0.0, 50.0]))
    array([5.00000000e-01, 1.92874985e-22])
    """
    match link.name:
        case "logit" | "probit" | "cauchit":  # symmetric
            return link.inverse(-eta)
        case "cloglog":
            return np.asarray(np.exp(-np.exp(eta)))
    return np.asarray(1.0 - link.inverse(eta))
