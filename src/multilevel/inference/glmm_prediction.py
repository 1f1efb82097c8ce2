"""What does a generalized mixed model predict for a row?

Each side of the model, the mean and the excess of zeros, has a linear predictor x'gamma + z'b. Random
effects that are to be averaged over (all of them for a population average, those of groups not seen on
request) leave a normal variable in it, whose average through the link is the prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit

from multilevel._options import checked_choice, checked_seed
from multilevel._typing import Array, Frame, Mask
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.families.moments import RowParameters, is_truncated, response_mean
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.lmm import Modes, TermCovariance
from multilevel.inference.matrices import effect_variance
from multilevel.inference.normal_average import normal_average
from multilevel.inference.prediction import (
    IncludedEffects,
    included_groupings,
    known_part,
    mean,
    refuse_new_levels,
    sampled_part,
)
from multilevel.inference.prediction_rows import Rows, rows_of_data, rows_of_design

Kind = Literal["response", "link", "conditional", "zprob", "dispersion"]
KINDS = ("response", "link", "conditional", "zprob", "dispersion")
NewLevels = Literal["error", "population", "sample", "integrate"]


@dataclass(frozen=True, slots=True)
class GLMMRequest:
    """What the user wants predicted."""

    kind: Kind
    re: IncludedEffects  # grouping factors whose random effects are included; "integrate" averages over all
    new_levels: NewLevels
    seed: int | None


@dataclass(frozen=True, slots=True)
class SideEstimates:
    """One side of a model as a mixed model of its own linear predictor."""

    coef_names: tuple[str, ...]
    beta: Array  # (p,)
    vcov: Array  # (p, p)
    terms: tuple[TermCovariance, ...]
    modes: tuple[Modes, ...]
    unit: float = 1.0


@dataclass(frozen=True, slots=True)
class SidePrediction:
    """A linear predictor (n,), and the standard deviation of the random effects left to average over."""

    eta: Array  # (n,) NaN where a predictor is missing
    sd: Array  # (n,)


def side_estimates(record: GLMMRecord, side: int) -> SideEstimates:
    """The mean (0) or the excess of zeros (1)."""
    part = record.part("zi" if side else "cond")
    assert part is not None
    terms, modes = (record.zi_terms, record.zi_modes) if side else (record.terms, record.modes)
    return SideEstimates(part.names, part.estimate, part.vcov, terms, modes)


def predict_glmm(design: GLMMDesign, record: GLMMRecord, new: Frame | None, request: GLMMRequest) -> Array:
    """Predictions (n,) for new rows or those of the fit; (n, C) probabilities of ordered categories."""
    checked_request(request)
    if request.kind == "dispersion":
        return predicted_dispersion(design, record, new)
    mean_side = predicted_side(design, record, new, request, 0)
    if request.kind == "link":
        return mean_side.eta
    zero_side = None if design.zi is None else predicted_side(design, record, new, request, 1)
    if request.kind == "zprob":
        if zero_side is None:
            raise ModelError('kind="zprob" is the probability of an excess zero, which needs zi=.')
        return zero_probability(zero_side)
    if record.family.response == "ordered":
        return category_probabilities(record, mean_side)
    phi = predicted_dispersion(design, record, new) if record.dispersion is not None else None
    expected = expected_mean(record, mean_side, phi)
    if zero_side is None or request.kind == "conditional":
        return expected
    return (1.0 - zero_probability(zero_side)) * expected


def checked_request(request: GLMMRequest) -> None:
    """Options that exist, and go together."""
    checked_choice("kind", request.kind, KINDS)
    checked_choice("new_levels", request.new_levels, ("error", "population", "sample", "integrate"))


# ---- linear predictors ----


def predicted_side(
    design: GLMMDesign, record: GLMMRecord, new: Frame | None, request: GLMMRequest, side: int
) -> SidePrediction:
    """The linear predictor of one side in all rows given."""
    which, estimates = design.sides[side], side_estimates(record, side)
    groupings = groupings_of_side(design, which, request.re)
    rows = rows_of_design(which) if new is None else rows_of_data(which, new, groupings, None)
    included = tuple(term.grouping in groupings for term in which.terms)
    if request.new_levels == "error":
        refuse_new_levels(which, rows, included)
    eta = mean(estimates, rows) + known_part(estimates, rows, included)
    if request.new_levels == "sample":
        rng = np.random.default_rng(checked_seed(request.seed))
        eta = eta + sampled_part(which, estimates, rows, included, rng)
    sd = np.sqrt(variance_left(estimates, rows, included, request))
    return SidePrediction(over(eta, rows.complete), over(sd, rows.complete))


def groupings_of_side(design: GLMMDesign, side: Design, re: IncludedEffects) -> frozenset[int]:
    """The grouping factors of a side whose known random effects are included."""
    if re == "integrate":
        return frozenset()
    wanted = {
        each.groupings[k].name
        for each in design.sides
        for k in included_groupings(each, names_of_side(design, each, re))
    }
    return frozenset(k for k, grouping in enumerate(side.groupings) if grouping.name in wanted)


def names_of_side(design: GLMMDesign, side: Design, re: IncludedEffects) -> IncludedEffects:
    """Of the grouping factors named, those that this side has; one that no side has stays, to be refused."""
    if isinstance(re, bool) or re in ("all", "none") or not isinstance(re, str | Sequence):
        return re
    names = [re] if isinstance(re, str) else list(re)
    here = {grouping.name for grouping in side.groupings}
    anywhere = {grouping.name for each in design.sides for grouping in each.groupings}
    return [name for name in names if name in here or name not in anywhere]


def variance_left(
    estimates: SideEstimates, rows: Rows, included: Sequence[bool], request: GLMMRequest
) -> Array:
    """Variance (k,) of the random effects to be averaged over."""
    total = np.zeros(len(rows.X))
    for Z, term, is_in in zip(rows.Z, estimates.terms, included, strict=True):
        if request.re == "integrate":
            total += effect_variance(Z, term)
        elif is_in and request.new_levels == "integrate":
            total += np.where(rows.codes[term.grouping] < 0, effect_variance(Z, term), 0.0)
    return total


def over(values: Array, complete: Mask) -> Array:
    """Values of the complete rows among all (n,), NaN in the others."""
    everywhere = np.full(len(complete), np.nan)
    everywhere[complete] = values
    return everywhere


# ---- through the links ----


def expected_mean(record: GLMMRecord, side: SidePrediction, phi: Array | None) -> Array:
    """Mean (n,) of what is no excess zero, averaged over what is left of the random effects."""
    if not is_truncated(record.family.density):
        return averaged(record.family.link.inverse, side)
    if phi is None:
        return averaged(above_zero(record, None), side)
    found = np.full(len(phi), np.nan)
    for value in np.unique(phi[np.isfinite(phi)]).tolist():
        rows = phi == value
        found[rows] = averaged(above_zero(record, value), SidePrediction(side.eta[rows], side.sd[rows]))
    return found


def above_zero(record: GLMMRecord, phi: float | None) -> Callable[[Array], Array]:
    """The mean of counts above zero as a function of the linear predictor."""

    def expected(eta: Array) -> Array:
        mu = record.family.link.inverse(eta)
        return response_mean(
            record.family.density, RowParameters(mu, None if phi is None else np.full_like(mu, phi))
        )

    return expected


def averaged(function: Callable[[Array], Array], side: SidePrediction) -> Array:
    """A function of the linear predictor over what is left of it; NaN where a predictor is missing."""
    known = np.isfinite(side.eta)
    found = np.full(len(side.eta), np.nan)
    found[known] = normal_average(function, side.eta[known], side.sd[known])
    return found


def zero_probability(side: SidePrediction) -> Array:
    """Probability (n,) of an excess zero."""
    return averaged(expit, side)


def category_probabilities(record: GLMMRecord, side: SidePrediction) -> Array:
    """Probability (n, C) of each ordered category."""
    link = record.family.link

    def below_cut(cut: float) -> Callable[[Array], Array]:
        return lambda eta: link.inverse(cut - eta)

    below = [averaged(below_cut(cut), side) for cut in record.thresholds.tolist()]
    ends = [np.where(np.isfinite(side.eta), value, np.nan) for value in (0.0, 1.0)]
    return np.diff(np.column_stack([ends[0], *below, ends[1]]), axis=1)


def predicted_dispersion(design: GLMMDesign, record: GLMMRecord, new: Frame | None) -> Array:
    """The dispersion phi (n,)."""
    if record.dispersion is None:
        raise ModelError(f"the {record.family.name} family has no dispersion to predict.")
    if design.dispersion is None:
        rows = rows_of_design(design.main) if new is None else rows_of_data(design.main, new, (), None)
        return over(np.full(len(rows.X), record.dispersion[0]), rows.complete)
    part = record.part("disp")
    assert part is not None
    side = design.dispersion
    rows = rows_of_design(side) if new is None else rows_of_data(side, new, (), None)
    log_phi = rows.X @ part.estimate
    return over(np.exp(log_phi if rows.offset is None else log_phi + rows.offset), rows.complete)
