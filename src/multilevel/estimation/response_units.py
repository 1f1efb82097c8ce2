"""In which units is the response of a generalized model estimated?

Measurements are scaled to unit size, y_w = (y - shift) * scale, so that a search need not know of units. The
other linear predictors follow: with the identity link eta_w = scale (eta - shift), with the log link
eta_w = eta + log scale, with the inverse link eta_w = eta / scale. Counts, shares and categories stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.working import sample_mean, typical_size
from multilevel.families.family import Family

LOG_PHI = {"gaussian": 2.0, "student": 2.0, "gamma": 0.0, "inverse_gaussian": -1.0}  # per log of the scale
ETA_POWER = {"identity": 1.0, "log": 0.0, "inverse": -1.0, "1/mu^2": -2.0, "sqrt": 0.5}


@dataclass(frozen=True, slots=True)
class ResponseUnits:
    """y_w = (y - shift) scale, eta_w = (eta - shift) eta_scale + eta_shift, log phi_w = log phi + log_phi."""

    shift: float = 0.0
    scale: float = 1.0
    eta_scale: float = 1.0
    eta_shift: float = 0.0
    log_phi: float = 0.0

    def response(self, y: Array) -> Array:
        """The response in working units (n,); itself where they are the user's."""
        return y if self.scale == 1.0 and self.shift == 0.0 else (y - self.shift) * self.scale

    def log_density(self, counts: Array | None, n: int) -> float:
        """What the log-density of n rows in the user's units has beside that in working units."""
        return float(np.log(self.scale) * (n if counts is None else counts.sum()))

    def linear_predictor(self, working: Array) -> Array:
        """Eta in the user's units."""
        return np.asarray((working - self.eta_shift) / self.eta_scale + self.shift)


def response_units(
    family: Family, y: Array, offset: Array | None, weights: Array | None, has_constant: bool
) -> ResponseUnits:
    """Units of about the spread of y (n,), about its mean where an intercept can take that up."""
    if family.density not in LOG_PHI:
        return ResponseUnits()
    additive = family.link.name == "identity" and family.density in ("gaussian", "student")
    left = y if offset is None or not additive else y - offset
    shift = sample_mean(left[:, None], weights) if additive and has_constant else np.zeros(1)
    scale = 1.0 / float(typical_size(left[:, None], shift)[0])
    power = ETA_POWER[family.link.name]
    return ResponseUnits(
        shift=float(shift[0]),
        scale=scale,
        eta_scale=scale**power,
        eta_shift=float(np.log(scale)) if family.link.name == "log" else 0.0,
        log_phi=LOG_PHI[family.density] * float(np.log(scale)),
    )
