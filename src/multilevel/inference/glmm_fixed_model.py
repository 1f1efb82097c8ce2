"""A generalized mixed model that has lost its last random effect: what it expects, draws, and how it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.fixed_newton import linear_predictors
from multilevel.estimation.glmm_rows import working_rows
from multilevel.estimation.glmm_start import fit_without_random_effects
from multilevel.families.family import Family
from multilevel.fitted.assemble_glmm import dispersion, mean_predictor, shape, thresholds
from multilevel.simulation.families import draw
from multilevel.simulation.glmm import density_of, stacked


@dataclass(frozen=True, slots=True)
class RowDistribution:
    """What the distribution of each row needs beside its linear predictors."""

    family: Family
    dispersion: Array | None  # (n,)
    shape: float | None
    thresholds: Array


@dataclass(frozen=True, slots=True)
class FixedModel:
    """A model without random effects, fitted."""

    design: GLMMDesign
    distribution: RowDistribution
    eta: Array  # (n,)
    eta_zi: Array | None  # (n,)
    loglik: float

    def draw(self, streams: Sequence[np.random.Generator]) -> Array:
        """A response from each stream: (n, B)."""
        density = density_of(self.design, self.distribution)
        predictors = stacked(self.design, self.distribution, self.eta, self.eta_zi)
        return np.column_stack([draw(density, predictors, self.design.trials, rng) for rng in streams])

    def logliks(self, Y: Array) -> tuple[Array, Mask]:
        """Log-likelihood (B,) of the fit to each column of Y (n, B), and whether its search converged."""
        found = [self.loglik_of(y) for y in Y.T]
        loglik = np.array(found)
        return loglik, np.isfinite(loglik)

    def loglik_of(self, y: Array) -> float:
        """The log-likelihood of one response (n,); NaN where the model has no maximum."""
        if len(np.unique(y)) < len(self.design.categories):
            return np.nan  # a threshold between none and some is infinite
        try:
            other = replace(self.design, main=replace(self.design.main, y=y))
            return fixed_model(other, self.distribution.family).loglik
        except ModelError:
            return np.nan


def fixed_model(design: GLMMDesign, family: Family) -> FixedModel:
    """Fit the model without random effects."""
    rows = working_rows(design, family)
    fixed = fit_without_random_effects(rows, family)
    gamma = rows.coefficients(fixed.gamma)
    predictors = linear_predictors(rows, fixed.gamma)
    distribution = RowDistribution(
        family=family,
        dispersion=dispersion(design, rows, family, gamma),
        shape=shape(rows, family, gamma),
        thresholds=thresholds(rows, family, gamma),
    )
    return FixedModel(
        design=design,
        distribution=distribution,
        eta=mean_predictor(rows, gamma, predictors[0]),
        eta_zi=None if design.zi is None else predictors[-1],
        loglik=fixed.loglik + rows.units.log_density(rows.power, len(rows.y)),
    )
