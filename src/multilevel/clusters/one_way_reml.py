"""The intraclass correlation of raw data by REML: the mixed model with a random intercept and nothing else.

Its likelihood knows a group by size, mean and sum of squares alone. Two values on either side of the mean,
each counted as half the size, have all three; so the model is fitted to two rows a group, however many there
were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.icc_limits import Limits, delta_limits, exact_limits, icc_ratios
from multilevel.clusters.one_way import GroupMoments
from multilevel.design.build import build_design
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.lmm import WorkingModel, minimise, working_model
from multilevel.formula.parse import parse_formula

EMPTY_MODEL = "y ~ 1 + (1 | g)"


@dataclass(frozen=True, slots=True)
class OneWayREML:
    """Variances by REML, and the model they come from."""

    var_between: float
    var_within: float
    theta: Array  # (1,) internal
    design: Design
    model: WorkingModel

    @property
    def icc(self) -> float:
        """Share of the variance between groups; never negative."""
        return self.var_between / (self.var_between + self.var_within)


def one_way_reml(moments: GroupMoments) -> OneWayREML:
    """Fit the empty model to groups with these moments."""
    design = two_rows_a_group(moments)
    model = working_model(design)
    theta = minimise(model, reml=True).theta
    df = design.n_obs - 1.0
    within = float(model.kernel.solution(theta).pwrss / df / model.response.scale**2)
    share = float(icc_ratios(design).at(design, theta[None], np.ones(1))[0, 0])
    return OneWayREML(within * share / (1.0 - share), within, theta, design, model)


def two_rows_a_group(moments: GroupMoments) -> Design:
    """The empty model on the fewest rows that have the sizes, means and sums of squares of the groups."""
    half = np.sqrt(moments.square / moments.size)
    y = np.concatenate([moments.deviation - half, moments.deviation + half])
    codes = np.tile(np.arange(len(half), dtype=np.int32), 2)
    design = build_design(parse_formula(EMPTY_MODEL), {"y": y, "g": codes})
    return replace(design, freq_weights=np.tile(0.5 * moments.size, 2))


def reml_limits(fit: OneWayREML, method: str, level: float) -> Limits:
    """Limits that are "exact" (Harville and Fenech) or by the "delta" method; NaN where there are none."""
    ratios = icc_ratios(fit.design)
    if method == "exact":
        return exact_limits(fit.design, fit.model, ratios, level)
    if fit.var_between == 0.0:
        raise ModelError(
            'conf_int="delta" needs a variance above zero between groups, and REML finds none; use "exact".'
        )
    return delta_limits(fit.design, fit.model, fit.theta, ratios, reml=True, level=level)
