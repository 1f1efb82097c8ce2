"""What does a mixed model predict for a row, and how far may it be off?

A prediction is x'beta + z'b over the grouping factors included. Its error has the parts
  - the joint error of beta-hat and of the conditional modes of known levels (Henderson 1975),
  - z' Sigma z of every level the fit has not seen, whose effect is predicted as zero,
and for a new observation also z' Sigma z of the factors left out, and the residual variance.

Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection model.
Biometrics 31, 423-447.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_choice, checked_seed
from multilevel._typing import Array, Frame
from multilevel.design.design import Design
from multilevel.errors import DataError, DataTypeError, ModelError, NewLevelsError
from multilevel.fitted.lmm import LMMRecord, MixedEstimates
from multilevel.inference.joint_variance import prediction_variance
from multilevel.inference.matrices import effect_variance
from multilevel.inference.prediction_rows import Rows, over_all_rows, rows_of_data, rows_of_design
from multilevel.inference.wald import critical_value
from multilevel.simulation.lmm import draw_effects

IncludedEffects = bool | str | Sequence[str]  # True or "all", False or "none", or grouping factors by name
MOST_NAMED = 5  # unseen levels that an error lists


@dataclass(frozen=True, slots=True)
class Request:
    """What the user wants predicted."""

    re: IncludedEffects  # grouping factors whose random effects are included
    new_levels: Literal["error", "population", "sample"]
    interval: Literal["confidence", "prediction"] | None
    level: float
    seed: int | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted values, with limits if they were asked for."""

    fitted: Array  # (k,)
    conf_low: Array | None  # (k,)
    conf_high: Array | None  # (k,)


def predict_rows(design: Design, record: LMMRecord, rows: Rows, request: Request) -> Prediction:
    """Predict the rows as requested; NaN in rows with missing predictors."""
    included = included_terms(design, request.re)
    if request.new_levels == "error":
        refuse_new_levels(design, rows, included)
    fit = mean(record, rows) + known_part(record, rows, included)
    if request.new_levels == "sample":
        fit = fit + sampled_part(
            design, record, rows, included, np.random.default_rng(checked_seed(request.seed))
        )
    if request.interval is None:
        return Prediction(over_all_rows(fit, rows.complete), None, None)
    variance = error_variance(design, record, rows, included, request.interval == "prediction")
    half = critical_value(request.level, None) * np.sqrt(variance)
    return Prediction(*(over_all_rows(value, rows.complete) for value in (fit, fit - half, fit + half)))


def checked(request: Request) -> Request:
    """A request whose options exist, and go together."""
    checked_choice("new_levels", request.new_levels, ("error", "population", "sample"))
    checked_choice("interval", request.interval, (None, "confidence", "prediction"))
    if request.new_levels == "sample" and request.interval is not None:
        raise ModelError(
            'an interval has no meaning around a sampled effect; new_levels="population" gives the interval '
            "that covers the new levels."
        )
    return request


def rows_to_predict(
    design: Design, new: Frame | None, request: Request, weights: npt.ArrayLike | None
) -> Rows:
    """The rows of the fit, or new ones with the grouping factors that the request includes."""
    if new is None and weights is not None:
        raise DataError("predict(weights=) belongs to new rows; those of the fit keep their own weights.")
    if new is None:
        return rows_of_design(design)
    return rows_of_data(design, new, included_groupings(design, request.re), weights)


def included_groupings(design: Design, re: IncludedEffects) -> frozenset[int]:
    """The grouping factors whose random effects are included."""
    names = [grouping.name for grouping in design.groupings]
    if isinstance(re, bool):
        re = "all" if re else "none"
    if not isinstance(re, Iterable):
        raise DataTypeError(f"re={re!r} names no grouping factors; choose 'all', 'none' or from {names}.")
    if isinstance(re, str):
        re = names if re == "all" else [] if re == "none" else [re]
    unknown = [name for name in re if name not in names]
    if unknown:
        raise DataError(
            f"re={unknown[0]!r} is no grouping factor of this fit; choose 'all', 'none' or from {names}."
        )
    return frozenset(map(names.index, re))


def included_terms(design: Design, re: IncludedEffects) -> tuple[bool, ...]:
    """Whether each random term is included."""
    groupings = included_groupings(design, re)
    return tuple(term.grouping in groupings for term in design.terms)


def refuse_new_levels(design: Design, rows: Rows, included: Sequence[bool]) -> None:
    """Name the levels that the fit has not seen, and what can be done about them."""
    for term, is_in in zip(design.terms, included, strict=True):
        labels = rows.new_levels[term.grouping]
        if is_in and labels:
            name = design.groupings[term.grouping].name
            shown = ", ".join(map(repr, labels[:MOST_NAMED])) + (", ..." if len(labels) > MOST_NAMED else "")
            raise NewLevelsError(
                f"the fit has not seen {len(labels)} of these levels of '{name}': {shown}. "
                'Choose new_levels="population" (their effect is zero, its variance in the interval), '
                '"sample" (drawn from their distribution), or re="none".'
            )


# The predicted value ---------------------------------------------------------------------------------


def mean(record: MixedEstimates, rows: Rows) -> Array:
    """X beta + offset (k,)."""
    fixed = rows.X @ record.beta
    return np.asarray(fixed if rows.offset is None else fixed + rows.offset)


def known_part(record: MixedEstimates, rows: Rows, included: Sequence[bool]) -> Array:
    """Z b-hat (k,) over the terms included; zero for levels that were not seen."""
    total = np.zeros(len(rows.X))
    for modes in record.modes:
        codes, first = rows.codes[modes.grouping], 0
        for term in modes.terms:
            q = rows.Z[term].shape[1]
            if included[term]:
                effects = np.where(codes[:, None] >= 0, modes.values[codes, first : first + q], 0.0)
                total += (rows.Z[term] * effects).sum(axis=1)
            first += q
    return total


def sampled_part(
    design: Design, record: MixedEstimates, rows: Rows, included: Sequence[bool], rng: np.random.Generator
) -> Array:
    """Z b (k,) with one draw of b for each unseen level, the same in all of its rows."""
    total = np.zeros(len(rows.X))
    for k, term in enumerate(design.terms):
        unseen = rows.new_codes[term.grouping]
        if included[k] and (unseen >= 0).any():
            drawn = draw_effects(record.terms[k], record.unit, int(unseen.max()) + 1, rng)
            total += np.where(unseen >= 0, (rows.Z[k] * drawn[unseen]).sum(axis=1), 0.0)
    return total


# Its error -------------------------------------------------------------------------------------------


def error_variance(
    design: Design, record: LMMRecord, rows: Rows, included: Sequence[bool], observation: bool
) -> Array:
    """Variance (k,) of the error of the predicted mean, or of a new `observation`."""
    Z = [columns * float(is_in) for columns, is_in in zip(rows.Z, included, strict=True)]
    variance = prediction_variance(design, record, rows.X, Z, rows.codes)
    for k, fit in enumerate(record.terms):
        between = effect_variance(rows.Z[k], fit)
        if included[k]:
            variance = variance + np.where(rows.codes[fit.grouping] < 0, between, 0.0)
        elif observation:
            variance = variance + between
    return variance + new_error_variance(design, record, rows) if observation else variance


def new_error_variance(design: Design, record: LMMRecord, rows: Rows) -> Array:
    """Residual variance (k,) of new observations: sigma^2, over their precision weights."""
    if rows.weights is not None:
        return record.sigma**2 / rows.weights
    if design.weights is not None:
        raise DataError(
            "the fit has precision weights, and a prediction interval needs those of the new rows: "
            "pass predict(..., weights=), one positive number a row."
        )
    return np.full(len(rows.X), record.sigma**2)
