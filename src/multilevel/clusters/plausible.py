"""Where would the intercept and slopes of a new cluster likely fall?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.fitted.lmm import MixedEstimates
from multilevel.inference.wald import critical_value


@dataclass(frozen=True, slots=True)
class PlausibleRanges:
    """One entry a random effect column, over all terms."""

    group: tuple[str, ...]
    term: tuple[str, ...]
    center: Array  # fixed effect of the same name; 0 where there is none
    sd: Array  # standard deviation between clusters
    conf_low: Array
    conf_high: Array


def plausible_ranges(record: MixedEstimates, level: float) -> PlausibleRanges:
    """Ranges that hold a share `level` of clusters: beta_j -+ z sd_j, with the estimates taken as known.

    Raudenbush, S. W. and Bryk, A. S. (2002). Hierarchical Linear Models, 2nd ed., p. 71. Sage.
    """
    beta = dict(zip(record.coef_names, record.beta, strict=True))
    names = tuple(name for term in record.terms for name in term.names)
    center = np.array([beta.get(name, 0.0) for name in names])
    sd = np.concatenate([term.sd for term in record.terms])
    half = critical_value(level, None) * sd
    groups = tuple(term.group for term in record.terms for _ in term.names)
    return PlausibleRanges(groups, names, center, sd, center - half, center + half)
