"""What a row of a generalized mixed model will tell of its linear predictor, before there are data.

At a linear predictor eta the response has information w(eta) = (d mu / d eta)^2 / Var(y) on it, the weight of
iterated least squares. Here it is averaged over the random effects, as the rows of a study will average it;
with these precisions the model is planned as a linear one, V = W^-1 + Z Sigma Z'.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.inference.response_moments import moments
from multilevel.simulation.glmm import density_of, stacked
from multilevel.simulation.truth import Truth, random_variance

NODES = 15  # of the quadrature over the random effects of a row


def linearised(design: GLMMDesign, truth: Truth) -> tuple[Design, Truth] | None:
    """The linear model with the same information; None for ordered categories, whose thresholds take part."""
    if truth.family.response == "ordered":
        return None
    precision = average_information(design, truth)
    return replace(design.main, weights=precision), replace(truth, sigma=1.0)


def average_information(design: GLMMDesign, truth: Truth) -> Array:
    """w (n,), averaged over the random effects of each row."""
    spread = np.sqrt(random_variance(design.main, truth))
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    parts = [information(design, truth, truth.eta_fixed + node * spread) for node in nodes]
    return np.asarray((weights / weights.sum()) @ np.array(parts))


def information(design: GLMMDesign, truth: Truth, eta: Array) -> Array:
    """w (n,) at linear predictors."""
    density = density_of(design, truth)
    found = moments(density, stacked(design, truth, eta, None), design.trials)
    counted = design.trials is not None and density.family in ("binomial", "beta_binomial")
    size = design.trials if counted and design.trials is not None else 1.0
    return np.asarray((size * truth.family.link.slope(eta)) ** 2 / found.variance)
