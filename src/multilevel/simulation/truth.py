"""What is true in a simulated study: coefficients, covariances and dispersion, as arrays of its design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.families.family import Family
from multilevel.fitted.lmm import TermCovariance
from multilevel.simulation.glmm import draw_glmm
from multilevel.simulation.lmm import Streams, draw_responses


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


def linear_predictor(design: GLMMDesign, beta: Array) -> Array:
    """X beta + offset (n,)."""
    offset = design.main.offset
    fixed = design.main.X @ beta
    return np.asarray(fixed if offset is None else fixed + offset)
