"""What is true in a simulated study: coefficients, covariances and dispersion, as arrays of its design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import DataError
from multilevel.families.family import Family
from multilevel.fitted.lmm import TermCovariance
from multilevel.simulation.glmm import draw_glmm
from multilevel.simulation.lmm import Streams, draw_responses

FARTHEST = 4.0  # standard deviations that random effects are expected to be from their mean


@dataclass(frozen=True, slots=True)
class Truth:
    """A model with known parameters, on n rows; what `draw_glmm` and `draw_responses` ask of a record."""

    family: Family
    coef_names: tuple[str, ...]
    beta: Array  # (p,)
    terms: tuple[TermCovariance, ...]
    sigma: float  # residual standard deviation; 1 in families that have none
    dispersion: Array | None  # (n,) phi; None where the family has none
    shape: float | None
    thresholds: Array  # (C - 1,) between ordered categories, else empty
    eta_fixed: Array  # (n,) X beta + offset

    @property
    def unit(self) -> float:
        """What the terms' factors are relative to."""
        return 1.0

    @property
    def fitted_fixed(self) -> Array:
        """The linear predictor without random effects."""
        return self.eta_fixed

    @property
    def fitted(self) -> Array:
        """Of a study that is not made yet no random effects are known."""
        return self.eta_fixed

    @property
    def eta(self) -> Array:
        """The same."""
        return self.eta_fixed

    @property
    def eta_zi(self) -> None:
        """No excess of zeros."""

    @property
    def eta_zi_fixed(self) -> None:
        """No excess of zeros."""

    @property
    def zi_terms(self) -> tuple[TermCovariance, ...]:
        """No excess of zeros."""
        return ()

    @property
    def linear(self) -> bool:
        """Whether it is a linear mixed model."""
        return self.family.density == "gaussian" and self.family.link.name == "identity"


def true_responses(design: GLMMDesign, truth: Truth, streams: Streams) -> Array:
    """A response from each stream: (n, len(streams))."""
    if truth.linear:
        return draw_responses(design.main, truth, streams, keep=False)
    return draw_glmm(design, truth, streams, keep=False)


def random_variance(design: Design, truth: Truth) -> Array:
    """Variance (n,) of the random effects of each row."""
    total = np.zeros(design.n_rows)
    for term, fit in zip(design.terms, truth.terms, strict=True):
        half = term.Z @ fit.root
        total += (half * half).sum(axis=1)
    return total


def refuse_impossible_means(design: Design, truth: Truth) -> None:
    """A link such as the inverse has no mean for some linear predictors, which random effects may reach."""
    family = truth.family
    if family.density in ("gaussian", "student", "ordinal") and family.link.name == "identity":
        return
    spread = FARTHEST * np.sqrt(random_variance(design, truth))
    eta = np.concatenate([truth.eta_fixed - spread, truth.eta_fixed + spread])
    with np.errstate(all="ignore"):
        mu = family.link.inverse(eta)
    highest = 1.0 if family.response == "trials" or family.density == "beta" else np.inf
    if family.link.holds(eta) and (mu >= 0.0).all() and (mu <= highest).all():
        return
    raise DataError(
        f"the linear predictor runs from {eta.min():.3g} to {eta.max():.3g} where random effects are "
        f"{FARTHEST:g} standard deviations from their mean, and for some of that the {family.link.name} link "
        f"has no mean of a {family.name} response; use another link, or other values in fixef= and sd=."
    )


def linear_predictor(design: GLMMDesign, beta: Array) -> Array:
    """X beta + offset (n,)."""
    offset = design.main.offset
    fixed = design.main.X @ beta
    return np.asarray(fixed if offset is None else fixed + offset)
