"""What does a model need to know of the distribution of its response?

Two protocols, from one definition. GLM and GEE need the mean and how the variance follows it (`Family`'s
link, variance and unit deviance). The likelihoods of GLM and GLMM need the log-density, which the compiled
core has: `density` names it, and `predictors` says which quantities of a row, beside the mean's linear
predictor, it depends on. Each is a linear predictor of its own: a log dispersion, a threshold, the logit of
an excess of zeros.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.errors import DataError
from multilevel.families.links import LINKS, Link

DensityName = Literal[
    "gaussian",
    "binomial",
    "poisson",
    "nbinom2",
    "nbinom1",
    "gamma",
    "inverse_gaussian",
    "beta",
    "beta_binomial",
    "tweedie",
    "student",
    "ordinal",
    "truncated_poisson",
    "truncated_nbinom2",
    "truncated_nbinom1",
]
PredictorName = Literal["dispersion", "shape", "upper", "lower"]
ResponseKind = Literal["number", "trials", "ordered"]

NEARLY_WHOLE = 1e-6  # relative distance from a whole number that rounding explains


@dataclass(frozen=True)
class Family(ABC):
    """A distribution of the response with its link.

    Var(y) = phi V(mu) / w, with phi the dispersion: 1 where `free_scale` is False.
    """

    link: Link = field(kw_only=True)

    name: ClassVar[str]  # as users write it: "binomial"
    density: ClassVar[DensityName]  # its log-density in the core
    links: ClassVar[tuple[str, ...]]  # the links it can have, the default first
    predictors: ClassVar[tuple[PredictorName, ...]] = ()  # what the density needs beside the mean's predictor
    response: ClassVar[ResponseKind] = "number"  # "trials": 0/1, y / size, cbind(y, n - y); "ordered" labels
    quasi: ClassVar[bool] = True  # whether mean and variance make sense on their own, so that GEE can have it
    weights_divide_dispersion: ClassVar[bool] = False  # precision weights: phi / w, or a power of the density

    def __init__(self, link: str | Link | None = None) -> None:
        object.__setattr__(self, "link", checked_link(type(self), link))

    @property
    def free_scale(self) -> bool:
        """Whether phi is estimated."""
        return "dispersion" in self.predictors

    @property
    def given(self) -> dict[PredictorName, float]:
        """What the user has fixed of its own parameters: a dispersion, a shape."""
        return {}

    @abstractmethod
    def variance(self, mu: Array) -> Array:
        """V(mu), the variance up to the dispersion."""

    @abstractmethod
    def unit_deviance(self, y: Array, mu: Array) -> Array:
        """Twice the log-likelihood lost at mu against the saturated fit, up to the dispersion."""

    @abstractmethod
    def start(self, y: Array) -> Array:
        """Means to begin from, inside the range; y is a proportion where there are trials."""

    @abstractmethod
    def refuse_impossible(self, y: Array, text: str) -> None:
        """Raise a DataError that names the response `text` if it holds values that cannot occur."""


def checked_link(family: type[Family], link: str | Link | None) -> Link:
    """The link asked for, the family's first one if none was."""
    if link is None:
        return LINKS[family.links[0]]
    name = link if isinstance(link, str) else getattr(link, "name", None)
    if name not in family.links:
        choices = ", ".join(f"'{each}'" for each in family.links)
        raise DataError(f"The {family.name} family has no link {link!r}; choose one of {choices}.")
    return LINKS[name]


def refuse_rows(bad: Mask, y: Array, problem: str) -> None:
    """Raise with the number of culprits and the first of them."""
    count = int(np.count_nonzero(bad))
    if count:
        first = y[np.flatnonzero(bad)[0]]
        words = {"count": count, "first": written(first), "rows": "row" if count == 1 else "rows"}
        raise DataError(problem.format(**words) + rounding_words(y[bad]))


def written(value: float) -> str:
    """A number in six digits, or in as many as tell it from a rounder one."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def rounding_words(bad: Array) -> str:
    """What to do about values that rounding alone keeps from being whole."""
    whole = np.round(bad)
    if ((bad != whole) & (np.abs(bad - whole) <= NEARLY_WHOLE * np.maximum(np.abs(whole), 1.0))).all():
        return " These are whole numbers but for rounding: round the column."
    return ""
